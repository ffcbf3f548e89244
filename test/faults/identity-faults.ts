import type { Fault, Site } from './fault.js';
import { hrtimer, type Line, recordLike, withArg } from './inject.js';
import { inRounds, loadLevel, raising } from './sites.js';
import { first, last, linesOf, type Recording, registersOf } from './structure.js';

// Faults of timer maps, of interrupt numbers and of the background timer.

/** A start of a thread's background timer. */
function startOf(recording: Recording, thread: number): Line | undefined {
  return recording.lines.find(
    ({ pid, event, args }) => pid === thread && event === 'hrtimer_start' && args.includes('kvm_bg_timer_expire'),
  );
}

export const identityFaults: readonly Fault[] = [
  {
    id: 'timer-map-changed',
    does: 'one timer map is that of the other host kind',
    rules: ['timer-identity-consistent'],
    diagnosis: 'map-changed',
    sites: (recording) =>
      recording.rounds.flatMap((round) => {
        const map = linesOf(round.load, 'kvm_get_timer_map')[0];
        if (map === undefined) return [];
        const changed =
          recording.host === 'vhe'
            ? withArg(withArg(map, 'dp: 0', 'dp: -1'), 'ep: -1', 'ep: 0')
            : withArg(withArg(map, 'dp: -1', 'dp: 0'), 'ep: 0', 'ep: -1');
        return [{ place: map, inject: (edit) => edit.replace(map, changed) } satisfies Site];
      }),
  },
  {
    id: 'timer-map-illegal',
    does: 'one timer map has the ptimer as direct vtimer',
    rules: ['timer-identity-consistent'],
    diagnosis: 'illegal-map',
    sites: (recording) =>
      recording.rounds.flatMap((round) => {
        const map = linesOf(round.load, 'kvm_get_timer_map')[0];
        if (map === undefined) return [];
        return [{ place: map, inject: (edit) => edit.replace(map, withArg(map, 'dv: 1', 'dv: 0')) } satisfies Site];
      }),
  },
  {
    id: 'guest-irq-of-other-timer',
    does: 'a load reports the ptimer as the interrupt of the vtimer',
    rules: ['timer-identity-consistent'],
    diagnosis: 'same-guest-irq',
    sites: (recording) =>
      inRounds(recording, (round) => {
        const reported = recording.host === 'vhe' ? loadLevel(round, 30) : undefined;
        if (reported === undefined || loadLevel(round, 27) === undefined) return undefined;
        return {
          place: reported.update,
          inject(edit) {
            edit.replace(reported.inject, withArg(reported.inject, 'IRQ 30', 'IRQ 27'));
            return edit.replace(reported.update, withArg(reported.update, 'IRQ 30', 'IRQ 27'));
          },
        };
      }),
  },
  {
    id: 'guest-irq-changed-in-load',
    does: 'a load reports the vtimer as IRQ 28',
    rules: ['timer-identity-consistent'],
    sites: (recording) =>
      inRounds(recording, (round) => {
        const reported = loadLevel(round, 27);
        if (reported === undefined) return undefined;
        return {
          place: reported.update,
          inject(edit) {
            edit.replace(reported.inject, withArg(reported.inject, 'IRQ 27', 'IRQ 28'));
            return edit.replace(reported.update, withArg(reported.update, 'IRQ 27', 'IRQ 28'));
          },
        };
      }),
  },
  {
    id: 'guest-irq-changed-in-handler',
    does: 'the handler of the vtimer reports IRQ 28',
    rules: ['timer-identity-consistent'],
    diagnosis: 'guest-irq-changed',
    sites: (recording) =>
      raising(recording).map(({ inside }) => {
        const update = inside.find((line) => line.event === 'kvm_timer_update_irq') as Line;
        return {
          place: update,
          inject(edit) {
            for (const line of inside)
              if (line.args.includes('IRQ 27')) edit.replace(line, withArg(line, 'IRQ 27', 'IRQ 28'));
            return edit.replace(update, withArg(update, 'IRQ 27', 'IRQ 28'));
          },
        };
      }),
  },
  {
    id: 'host-irq-changed',
    does: 'one vtimer interrupt has another host irq number',
    rules: ['timer-identity-consistent'],
    diagnosis: 'host-irq-changed',
    sites: (recording) =>
      recording.interrupts.map(({ begin, end }) => ({
        place: begin,
        inject(edit) {
          edit.replace(end, withArg(end, /irq=\d+/, 'irq=77'));
          return edit.replace(begin, withArg(begin, /irq=\d+/, 'irq=77'));
        },
      })),
  },
];

function armedAfterExit(recording: Recording): Site[] {
  return inRounds(recording, (round) => {
    const start = startOf(recording, round.exit.thread);
    const exit = first(round.exit);
    if (start === undefined || round.exit.cpu !== round.load.cpu) return undefined;
    return {
      place: exit,
      inject: (edit) => edit.after(exit, recordLike(exit, 'hrtimer_start', start.args))[0] as Line,
    };
  });
}

export const backgroundFaults: readonly Fault[] = [
  {
    id: 'bg-armed-while-loaded',
    does: 'the background timer is started after an exit, with the vcpu loaded',
    rules: ['bg-armed-only-when-blocked'],
    diagnosis: 'loaded',
    sites: (recording) => (recording.isTraced ? armedAfterExit(recording) : []),
  },
  {
    id: 'bg-armed-outside-schedule',
    does: 'up to 5.0 the background timer is started after an exit, outside schedule and unschedule',
    rules: ['bg-armed-only-when-blocked'],
    diagnosis: 'not-waiting',
    sites: (recording) => (recording.isTraced ? [] : armedAfterExit(recording)),
  },
  {
    id: 'bg-armed-while-preempted',
    does: 'the put of a preempted vcpu that does not wait starts the background timer; the next load cancels it',
    rules: ['bg-armed-only-when-blocked'],
    diagnosis: 'not-waiting',
    sites: (recording) =>
      recording.rounds.flatMap((round) => {
        const start = startOf(recording, round.put.thread);
        if (start === undefined || round.previous.kind !== 'exit') return [];
        const preempted = /prev_state=R/.test(first(round.out).args);
        if (!preempted || !/^IRQ:/.test(first(round.previous).args)) return [];
        const put = last(round.put);
        const restore = registersOf(round.load, 1) ?? first(round.load);
        const site: Site = {
          place: put,
          inject(edit) {
            edit.before(restore, recordLike(restore, 'hrtimer_cancel', `hrtimer=${hrtimer(start)}`));
            return edit.after(put, recordLike(put, 'hrtimer_start', start.args))[0] as Line;
          },
        };
        return [site];
      }),
  },
  {
    id: 'bg-not-cancelled',
    does: 'a load does not cancel the armed background timer before the entry',
    rules: ['bg-not-armed-in-guest'],
    sites: (recording) =>
      inRounds(recording, (round) => {
        const start = linesOf(round.put, 'hrtimer_start').find(({ args }) => args.includes('kvm_bg_timer_expire'));
        if (start === undefined) return undefined;
        const cancel = linesOf(round.load, 'hrtimer_cancel').find((line) => hrtimer(line) === hrtimer(start));
        if (cancel === undefined) return undefined;
        return {
          place: cancel,
          inject(edit) {
            edit.remove(cancel);
            return first(round.entry);
          },
        };
      }),
  },
];
