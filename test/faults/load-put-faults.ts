import type { Fault, Site } from './fault.js';
import { copy, type Line, recordLike, withArg } from './inject.js';
import { inRounds, raising } from './sites.js';
import { first, isDecidable, linesOf, type Recording, type Round } from './structure.js';

// Faults of 4.15 to 5.0, where probes and nothing else show what is saved and restored.

/** The memory copy that a round shows: in the put where schedule has saved before, in the load, and in the restore. */
function shown(round: Round): Line[] {
  return [...round.put.lines, ...round.load.lines].filter(
    ({ event, args }) => ['timer_put', 'timer_load', 'vtimer_restore'].includes(event) && args.includes(' loaded=0 '),
  );
}

function restoreOf(round: Round): Line | undefined {
  return linesOf(round.load, 'vtimer_restore').find(({ args }) => args.includes(' loaded=0 '));
}

/** 4.15, whose every exit calls sync; later ones do so for userspace irqchips only. */
export function lowersAtSync(recording: Recording): boolean {
  return !recording.isTraced && recording.has('timer_sync');
}

/** The next record of a thread outside interrupts that is one of these. */
function nextOf(recording: Recording, after: Line, events: readonly string[]): Line | undefined {
  return recording.next(
    recording.index.get(after) ?? 0,
    (line) => line.pid === after.pid && events.includes(line.event) && !recording.inInterrupt(line),
  );
}

export const loadPutFaults: readonly Fault[] = [
  {
    id: 'probed-restore-other-cval',
    does: 'a load restores another CVAL than its memory copy held',
    rules: ['restore-equals-last-save'],
    diagnosis: 'cval-changed',
    sites: (recording) =>
      recording.isTraced
        ? []
        : inRounds(recording, (round) => {
            const restore = restoreOf(round);
            if (restore === undefined || !isDecidable(round)) return undefined;
            return {
              place: restore,
              inject: (edit) => edit.replace(restore, withArg(restore, / cval=\w+/, ' cval=0x7ffff0000')),
            };
          }),
  },
  {
    id: 'probed-level-of-masked-timer',
    does: 'the handler raises the level of a timer that the load has restored masked',
    rules: ['level-true-only-if-can-fire'],
    sites: (recording) =>
      recording.isTraced
        ? []
        : inRounds(recording, (round) => {
            const restore = restoreOf(round);
            const entry = recording.at(round.entry);
            if (restore === undefined) return undefined;
            const irq = raising(recording).find(
              ({ begin }) => begin.pid === restore.pid && recording.at(begin) > recording.at(restore),
            );
            if (irq === undefined || recording.at(irq.begin) > entry) return undefined;
            const update = irq.inside.find(({ event }) => event === 'kvm_timer_update_irq') as Line;
            return {
              place: restore,
              inject(edit) {
                for (const line of shown(round)) edit.replace(line, withArg(line, / ctl=\w+/, ' ctl=0x3'));
                return update;
              },
            };
          }),
  },
  {
    id: 'probed-level-before-expiry',
    does: 'the handler raises the level, and the next load shows that ISTATUS was clear',
    rules: ['level-true-only-if-expired'],
    diagnosis: 'not-expired',
    sites: (recording) =>
      recording.isTraced
        ? []
        : raising(recording).flatMap(({ begin, inside }) => {
            const update = inside.find(({ event }) => event === 'kvm_timer_update_irq') as Line;
            const load = nextOf(recording, begin, ['kvm_entry', 'timer_load']);
            if (load === undefined || !/ ctl=0x5 .* loaded=0 /.test(load.args)) return [];
            const restore = nextOf(recording, load, ['vtimer_restore']);
            if (restore === undefined || !restore.args.includes(' ctl=0x5 ')) return [];
            const site: Site = {
              place: begin,
              inject(edit) {
                for (const line of [load, restore]) edit.replace(line, withArg(line, ' ctl=0x5 ', ' ctl=0x1 '));
                return update;
              },
            };
            return [site];
          }),
  },
  {
    id: 'probed-user-write-lost',
    does: 'userspace writes CVAL before a load that restores the old one',
    rules: ['user-write-survives'],
    diagnosis: 'lost',
    sites: (recording) =>
      recording.isTraced
        ? []
        : inRounds(recording, (round) => {
            const restore = restoreOf(round);
            const place = first(round.load);
            const vcpu = /vcpu=\w+ id=\d+/.exec(place.args)?.[0];
            if (restore === undefined || vcpu === undefined) return undefined;
            const args = `(kvm_arm_timer_set_reg+0x0/0x100) ${vcpu} reg=0x603000000013df02 val=0x123456789a`;
            return {
              place,
              inject(edit) {
                edit.before(place, recordLike(place, 'set_reg', args));
                return restore;
              },
            };
          }),
  },
  {
    id: 'bg-not-cancelled-by-unschedule',
    does: 'the end of a wait does not cancel the armed background timer',
    rules: ['bg-not-armed-in-guest'],
    // Up to 4.10 the probe of each flush shows whether the timer is armed.
    sites: (recording) =>
      recording.isTraced || recording.isWorldSwitch
        ? []
        : recording.lines.flatMap((unschedule) => {
            if (unschedule.event !== 'timer_unschedule') return [];
            const entry = nextOf(recording, unschedule, ['kvm_entry']);
            const cancel = nextOf(recording, unschedule, ['hrtimer_cancel']);
            if (entry === undefined || cancel === undefined || recording.at(cancel) > recording.at(entry)) return [];
            const site: Site = {
              place: cancel,
              inject(edit) {
                edit.remove(cancel);
                return entry;
              },
            };
            return [site];
          }),
  },
  {
    id: 'entry-after-schedule',
    does: 'a vcpu enters and exits directly after the save of schedule, without unschedule',
    rules: ['entry-only-when-loaded'],
    diagnosis: 'not-restored',
    sites: (recording) =>
      inRounds(recording, ({ entry, exit, load }) => {
        if (recording.isTraced || exit.cpu !== load.cpu || entry.cpu !== load.cpu) return undefined;
        const schedule = nextOf(recording, first(exit), ['timer_schedule', 'vcpu_put', 'kvm_entry']);
        if (schedule?.event !== 'timer_schedule') return undefined;
        const save = nextOf(recording, schedule, ['vtimer_save', 'vcpu_put']);
        if (save?.event !== 'vtimer_save') return undefined;
        return {
          place: save,
          inject: (edit) => edit.after(save, copy(first(entry)), copy(first(exit)))[0] as Line,
        };
      }),
  },
  {
    id: 'level-raised-twice',
    does: 'the handler of 4.15 reports level 1 although it is 1',
    rules: ['level-alternates'],
    diagnosis: 'repeated',
    sites: (recording) =>
      lowersAtSync(recording)
        ? raising(recording).flatMap(({ begin, inside }) => {
            const reports = inside.filter(({ event }) =>
              /^(kvm_timer_update_irq|vgic_update_irq_pending)$/.test(event),
            );
            if (reports.length !== 2) return [];
            const site: Site = {
              place: begin,
              inject: (edit) => edit.after(reports[1] as Line, ...reports.map(copy))[0] as Line,
            };
            return [site];
          })
        : [],
  },
  {
    id: 'probed-active-state-not-written',
    does: 'a load of 4.16 to 5.0 does not write the active state',
    rules: ['dist-active-at-load'],
    diagnosis: 'unwritten',
    sites: (recording) =>
      recording.isTraced || lowersAtSync(recording)
        ? []
        : inRounds(recording, (round) => {
            const [write] = linesOf(round.load, 'set_irqchip_state');
            if (write === undefined) return undefined;
            return {
              place: write,
              inject(edit) {
                edit.remove(write);
                return first(round.entry);
              },
            };
          }),
  },
  {
    id: 'probed-active-state-cleared',
    does: 'a load of 4.15 with the level high writes an inactive state to the distributor',
    rules: ['dist-active-at-load'],
    diagnosis: 'inactive',
    sites: (recording) =>
      lowersAtSync(recording)
        ? inRounds(recording, (round) => {
            const high = linesOf(round.load, 'timer_load').some(({ args }) => args.includes(' level=1 '));
            const write = linesOf(round.load, 'set_irqchip_state').find(({ args }) => args.endsWith('val=1'));
            if (!high || write === undefined) return undefined;
            return { place: write, inject: (edit) => edit.replace(write, withArg(write, 'val=1', 'val=0')) };
          })
        : [],
  },
];
