import type { Fault, Site } from './fault.js';
import { copy, type Edit, hrtimer, interruptLike, type Line, recordLike, withArg, withLevel } from './inject.js';
import type { Recording } from './structure.js';

// Faults of 4.9 and 4.14, where flush and sync, as probes show them, stand for what no record shows.

const numberOf = (line: Line, name: string) =>
  Number(new RegExp(`\\b${name}=(\\w+)`).exec(line.args)?.[1] ?? Number.NaN);
const withNumber = (line: Line, name: string, value: number | string) =>
  withArg(line, new RegExp(`\\b${name}=\\w+`), `${name}=${value}`);
const levelOf = (line: Line) => Number(/level:? (\d)/.exec(line.args)?.[1] ?? -1);
const ofThread = new WeakMap<Recording, Map<number, Line[]>>();

/** What each thread that enters a guest has recorded, outside interrupts. */
function threads(recording: Recording): Map<number, Line[]> {
  let all = ofThread.get(recording);
  if (all === undefined) {
    all = new Map([...recording.steps.keys()].map((pid) => [pid, []]));
    for (const line of recording.lines) if (!recording.inInterrupt(line)) all.get(line.pid)?.push(line);
    ofThread.set(recording, all);
  }
  return all;
}

/** Records that stand between others and say nothing of the timer. */
const beside =
  /^(update_state|update_irq|kvm_arm_\w+|kvm_guest_fault|kvm_mmio|vcpu_kick|handle_wfx|kvm_handle_sys_reg|kvm_hvc_arm64|sched_migrate_task|kvm_halt_poll_ns)$/;

/** Runs of a thread's records with these names, with nothing but `beside` in between. */
function runs(recording: Recording, ...names: readonly string[]): Line[][] {
  if (!recording.isWorldSwitch) return [];
  return [...threads(recording).values()].flatMap((lines) => {
    const told = lines.filter(({ event }) => !beside.test(event));
    return told.flatMap((_, i) => {
      const found = told.slice(i, i + names.length);
      return found.length === names.length && found.every(({ event }, k) => event === names[k]) ? [found] : [];
    });
  });
}

/** A site per run; `make` answers where the rule must, or nothing where the run does not fit. */
function sites(
  found: Line[][],
  fits: (run: Line[]) => boolean,
  inject: (edit: Edit, run: Line[]) => Line | readonly [Line, Line],
): Site[] {
  return found.filter(fits).map((run) => ({ place: run[0]!, inject: (edit) => inject(edit, run) }));
}

/** Without each thread's first and last run: a vcpu that was never injected may have a userspace irqchip. */
function inner(found: Line[][]): Line[][] {
  const pids = found.map(([first]) => first!.pid);
  return found.filter((_, i) => pids.indexOf(pids[i]!) < i && pids.lastIndexOf(pids[i]!) > i);
}

const always = () => true;
const round = ['timer_flush', 'kvm_entry', 'kvm_exit', 'timer_sync'] as const;
const reported = ['kvm_timer_update_irq', 'vgic_update_irq_pending'] as const;

export const worldSwitchFaults: readonly Fault[] = [
  {
    id: 'flush-removed',
    does: 'the flush before an entry is missing',
    rules: ['flush-entry-sync-order'],
    diagnosis: 'entry-without-flush',
    sites: (recording) =>
      sites(runs(recording, 'timer_sync', ...round), always, (edit, run) => {
        edit.remove(run[1]!);
        return run[2]!;
      }),
  },
  {
    id: 'sync-removed',
    does: 'the sync after an exit is missing',
    rules: ['flush-entry-sync-order'],
    diagnosis: 'without-sync',
    sites: (recording) =>
      sites(runs(recording, ...round, 'timer_flush'), always, (edit, run) => {
        edit.remove(run[3]!);
        return run[4]!;
      }),
  },
  {
    id: 'sync-doubled',
    does: 'the sync after an exit runs twice',
    rules: ['flush-entry-sync-order'],
    diagnosis: 'sync-without-flush',
    sites: (recording) =>
      sites(runs(recording, ...round, 'timer_flush'), always, (edit, run) => edit.after(run[3]!, copy(run[3]!))[0]!),
  },
  {
    id: 'switched-after-flush',
    does: 'the thread is switched out and in again between flush and entry',
    rules: ['flush-entry-sync-order'],
    diagnosis: 'switched-after-flush',
    sites: (recording) => {
      const model = recording.lines.find(({ event }) => event === 'sched_switch');
      if (model === undefined) return [];
      return sites(runs(recording, ...round), always, (edit, run) => {
        const comm = run[0]!.head.trim().replace(/-\d+\s.*$/, '');
        const out = `prev_comm=${comm} prev_pid=${run[0]!.pid} prev_prio=120 prev_state=R ==> next_comm=other next_pid=9 next_prio=120`;
        return edit.before(run[1]!, recordLike(run[1]!, 'sched_switch', out))[0]!;
      });
    },
  },
  {
    id: 'flush-other-cval',
    does: 'a flush finds another CVAL than the sync before it',
    rules: ['restore-equals-last-save'],
    diagnosis: 'cval-changed',
    sites: (recording) =>
      sites(
        runs(recording, 'timer_sync', ...round),
        ([, flush]) => numberOf(flush!, 'cval') > 0,
        (edit, run) =>
          edit.replace(run[1]!, withNumber(run[1]!, 'cval', `0x${(numberOf(run[1]!, 'cval') + 1).toString(16)}`)),
      ),
  },
  {
    id: 'flush-ctl-zeroed',
    does: 'a flush finds CTL 0 although the sync before it found the timer enabled',
    rules: ['restore-equals-last-save'],
    diagnosis: 'ctl-changed',
    sites: (recording) =>
      sites(
        runs(recording, 'timer_sync', ...round),
        ([, flush]) => numberOf(flush!, 'ctl') === 1,
        (edit, run) => edit.replace(run[1]!, withNumber(run[1]!, 'ctl', '0x0')),
      ),
  },
  {
    id: 'sync-reserved-ctl',
    does: 'a sync finds a reserved bit of CTL set, and so does the flush',
    rules: ['ctl-bits-valid'],
    info: true,
    sites: (recording) =>
      sites(
        runs(recording, 'timer_sync', ...round),
        ([sync, flush]) => numberOf(sync!, 'ctl') === 0 && numberOf(flush!, 'ctl') === 0,
        (edit, run) => {
          edit.replace(run[1]!, withNumber(run[1]!, 'ctl', '0x10'));
          return edit.replace(run[0]!, withNumber(run[0]!, 'ctl', '0x10'));
        },
      ),
  },
  {
    id: 'sync-does-not-lower',
    does: 'the sync leaves the level of a timer high that cannot fire',
    rules: ['level-lowered-at-sync'],
    diagnosis: 'not-lowered',
    sites: (recording) =>
      sites(
        runs(recording, 'timer_sync', ...reported, 'timer_flush'),
        ([sync, update]) => (numberOf(sync!, 'ctl') & 3) !== 1 && levelOf(update!) === 0,
        (edit, run) => {
          edit.remove(run[1]!, run[2]!);
          edit.replace(run[3]!, withNumber(run[3]!, 'level', 1));
          return run[0]!;
        },
      ),
  },
  {
    id: 'sync-does-not-raise',
    does: 'the sync leaves the level of an expired timer low',
    rules: ['level-lowered-at-sync'],
    diagnosis: 'not-raised',
    sites: (recording) =>
      sites(
        runs(recording, 'kvm_exit', 'timer_sync', ...reported, 'timer_flush'),
        ([, sync, update]) => numberOf(sync!, 'ctl') === 5 && levelOf(update!) === 1 && update!.args.includes('IRQ 27'),
        (edit, run) => {
          edit.remove(run[2]!, run[3]!);
          edit.replace(run[4]!, withNumber(run[4]!, 'level', 0));
          return run[1]!;
        },
      ),
  },
  {
    id: 'raised-while-masked',
    does: 'the sync raises the level of a timer that it has found masked',
    rules: ['level-true-only-if-can-fire'],
    limit: { rules: 3, count: 4 },
    sites: (recording) =>
      sites(
        runs(recording, 'kvm_exit', 'timer_sync', 'kvm_timer_update_irq'),
        ([, sync, update]) => numberOf(sync!, 'ctl') === 5 && levelOf(update!) === 1,
        (edit, run) => {
          edit.replace(run[1]!, withNumber(run[1]!, 'ctl', '0x7'));
          return run[2]!;
        },
      ),
  },
  {
    id: 'level-repeated',
    does: 'a level is reported and injected a second time',
    rules: ['level-alternates'],
    sites: (recording) =>
      sites(runs(recording, ...reported), always, (edit, run) => edit.after(run[1]!, ...run.map(copy))[0]!),
  },
  {
    id: 'level-not-injected',
    does: 'a level that is reported does not reach the vgic',
    rules: ['vgic-follows-level'],
    diagnosis: 'not-injected',
    sites: (recording) =>
      sites(inner(runs(recording, ...reported)), always, (edit, run) => {
        edit.remove(run[1]!);
        return run[0]!;
      }),
  },
  {
    id: 'injected-other-level',
    does: 'the vgic gets the opposite of the level that is reported',
    rules: ['vgic-follows-level'],
    diagnosis: 'other-level',
    sites: (recording) =>
      sites(runs(recording, ...reported), always, (edit, run) =>
        edit.replace(run[1]!, withLevel(run[1]!, 1 - levelOf(run[1]!))),
      ),
  },
  {
    id: 'interrupt-in-the-host',
    does: 'the interrupt of the guest timer is handled between an entry and its exit',
    rules: ['irq-only-when-loaded'],
    diagnosis: 'in-the-host',
    // Where neither probes nor the callback's name tell the generation, that interrupt is what tells a later one.
    sites: (recording) =>
      !recording.has('irq_handler_entry') ||
      !recording.lines.some(({ event, args }) => event === 'timer_flush' || args.includes('kvm_timer_expire'))
        ? []
        : sites(
            runs(recording, 'kvm_entry', 'kvm_exit'),
            always,
            (edit, run) =>
              edit.before(
                run[1]!,
                interruptLike(run[1]!, 'irq_handler_entry', 'irq=4 name=kvm guest timer'),
                ...(recording.has('irq_handler_exit')
                  ? [interruptLike(run[1]!, 'irq_handler_exit', 'irq=4 ret=handled')]
                  : []),
              )[0]!,
          ),
  },
  {
    id: 'put-keeps-active-cleared',
    does: 'the flush after a put finds active_cleared_last set',
    rules: ['dist-active-at-load'],
    diagnosis: 'stale-cache',
    sites: (recording) =>
      sites(
        runs(recording, 'vcpu_load', 'timer_flush'),
        ([, flush]) => numberOf(flush!, 'acl') === 0,
        (edit, run) => edit.replace(run[1]!, withNumber(run[1]!, 'acl', 1)),
      ),
  },
  {
    id: 'load-removed',
    does: 'the load before an entry is missing',
    rules: ['entry-only-when-loaded'],
    diagnosis: 'not-loaded',
    limit: { rules: 3, count: 4 },
    sites: (recording) =>
      sites(
        runs(recording, 'sched_switch', 'vcpu_put', 'timer_put', 'vcpu_load', ...round.slice(0, 2)),
        always,
        (edit, run) => {
          edit.remove(run[3]!);
          return run[5]!;
        },
      ),
  },
  {
    id: 'timer-armed-twice',
    does: 'the background timer is armed although it is armed',
    rules: ['bg-armed-only-when-blocked'],
    diagnosis: 'twice',
    sites: (recording) =>
      sites(
        runs(recording, 'timer_schedule', 'hrtimer_start', 'sched_switch'),
        ([, start]) => start!.args.includes('kvm_timer_expire'),
        (edit, run) => edit.after(run[1]!, copy(run[1]!))[0]!,
      ),
  },
  {
    id: 'timer-armed-after-sync',
    does: 'the background timer is armed after a sync outside any wait, and the thread is preempted',
    rules: ['bg-armed-only-when-blocked'],
    limit: { rules: 2, count: 4 },
    sites: (recording) => {
      const starts = recording.lines.filter(
        ({ event, args }) => event === 'hrtimer_start' && args.includes('kvm_timer_expire'),
      );
      return sites(
        runs(recording, 'kvm_exit', 'sched_switch'),
        ([exit, out]) =>
          /HSR_EC: 0x00(24|20)/.test(exit!.args) &&
          /(?:prev_state=|\] )R/.test(out!.args) &&
          starts.some(({ pid }) => pid === exit!.pid),
        (edit, run) => {
          const start = starts.find(({ pid }) => pid === run[0]!.pid)!;
          return edit.before(run[1]!, recordLike(run[1]!, 'hrtimer_start', start.args))[0]!;
        },
      );
    },
  },
  {
    id: 'timer-not-cancelled',
    does: 'the background timer is not cancelled at the end of a wait that it has not ended',
    rules: ['bg-not-armed-in-guest'],
    sites: (recording) => {
      const starts = new Set(
        recording.lines
          .filter(({ event, args }) => event === 'hrtimer_start' && args.includes('kvm_timer_expire'))
          .map(hrtimer),
      );
      return sites(
        runs(recording, 'hrtimer_cancel', 'kvm_vcpu_wakeup', 'kvm_entry'),
        ([cancel]) => starts.has(hrtimer(cancel!)),
        (edit, run) => {
          edit.remove(run[0]!);
          return run[2]!;
        },
      );
    },
  },
];
