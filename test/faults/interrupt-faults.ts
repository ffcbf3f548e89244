import type { Fault, Site } from './fault.js';
import { copy, interruptLike, type Line } from './inject.js';
import { lowersAtSync } from './load-put-faults.js';
import { interrupt, raising, sequences } from './sites.js';
import { first, type Interrupt, last, type Recording, type Round, registersOf } from './structure.js';

// Faults of the vtimer's interrupt and its handler.

/** update_irq, its probe and the injection of an interrupt. */
function reportsOf({ inside }: Interrupt): Line[] {
  return inside.filter(({ event }) =>
    ['kvm_timer_update_irq', 'vgic_update_irq_pending', 'update_irq'].includes(event),
  );
}

/**
 * Rounds after whose put the CPU runs something else, with the line of the next switch there: until then no vcpu is
 * loaded on it.
 */
function idleAfter(recording: Recording): { round: Round; next: Line }[] {
  if (recording.interrupts.length === 0) return [];
  return recording.rounds.flatMap((round) => {
    const to = Number(/next_pid=(\d+)/.exec(first(round.out).args)?.[1]);
    if (recording.steps.has(to)) return [];
    const next = recording.next(
      recording.endOf(round.put),
      (line) => line.cpu === round.put.cpu && line.event === 'sched_switch',
    );
    return next === undefined || next.pid !== to ? [] : [{ round, next }];
  });
}

function lateInterrupts(count: number): Fault['sites'] {
  return (recording) =>
    idleAfter(recording).map(({ round, next }, i, all) => ({
      place: last(round.put),
      inject(edit) {
        if (count === 1) return edit.before(next, ...interrupt(recording, next))[0] as Line;
        const places = all.slice(i, i + count).map((site) => site.next);
        const inserted = places.map((place) => edit.before(place, ...interrupt(recording, place))[0] as Line);
        return [inserted[0] as Line, inserted[inserted.length - 1] as Line] as const;
      },
    }));
}

/** Saves of the vtimer in puts that end KVM_RUN: unlike in a put of the scheduler, interrupts are on. */
function ioctlSaves(recording: Recording): Line[] {
  return sequences(recording, 'put', 'user').flatMap(([put]) => registersOf(put!, 1) ?? []);
}

/** Interrupts that raise a level which nothing in the recording lowers: 4.15 reports that, of a level that was raised. */
function unlowered(recording: Recording): Interrupt[] {
  return lowersAtSync(recording) ? [] : raising(recording);
}

/** What only a thread writes on a CPU. */
const goesOn = (cpu: number) => (line: Line) =>
  line.cpu === cpu && ['kvm_entry', 'kvm_exit', 'sched_switch'].includes(line.event);

export const interruptFaults: readonly Fault[] = [
  {
    id: 'irq-after-put-once',
    does: 'one vtimer interrupt with no vcpu loaded, after a put',
    rules: ['irq-only-when-loaded'],
    diagnosis: 'late',
    info: true,
    sites: lateInterrupts(1),
  },
  {
    id: 'irq-directly-after-put',
    does: 'one vtimer interrupt in the next thread directly after the last record of a put',
    rules: ['irq-only-when-loaded'],
    diagnosis: 'late',
    info: true,
    sites: (recording) =>
      idleAfter(recording).map(({ round, next }) => ({
        place: last(round.put),
        inject: (edit) => edit.after(last(round.put), ...interrupt(recording, next))[0] as Line,
      })),
  },
  {
    id: 'undecided-irq-inside-put',
    does: 'one vtimer interrupt in the put of an ioctl, directly after the save: the put is not over yet',
    rules: [],
    sites: (recording) =>
      recording.interrupts.length === 0
        ? []
        : ioctlSaves(recording).map((save) => ({
            place: save,
            inject: (edit) => edit.after(save, ...interrupt(recording, save))[0] as Line,
          })),
  },
  {
    id: 'legal-host-irq-inside-put',
    does: 'an interrupt of the host comes in the put of an ioctl, directly after the save of the vtimer',
    rules: [],
    sites: (recording) => {
      const args = recording.lines.find((line) => line.args.endsWith('name=arch_timer'))?.args;
      if (args === undefined || !recording.has('irq_handler_exit')) return [];
      return ioctlSaves(recording).map((save) => ({
        place: save,
        inject(edit) {
          const irq = /irq=\d+/.exec(args)?.[0] ?? '';
          const handler = [
            interruptLike(save, 'irq_handler_entry', args),
            interruptLike(save, 'irq_handler_exit', `${irq} ret=handled`),
          ];
          return edit.after(save, ...handler)[0] as Line;
        },
      }));
    },
  },
  {
    id: 'irq-after-put-again',
    does: 'two vtimer interrupts with no vcpu loaded after the same put',
    rules: ['irq-only-when-loaded'],
    diagnosis: 'again',
    sites: (recording) =>
      idleAfter(recording).map(({ round, next }) => ({
        place: last(round.put),
        inject: (edit) => edit.before(next, ...interrupt(recording, next), ...interrupt(recording, next))[2] as Line,
      })),
  },
  {
    id: 'irq-after-five-puts',
    does: 'one vtimer interrupt with no vcpu loaded after each of five puts',
    rules: ['irq-only-when-loaded'],
    diagnosis: 'repeated',
    limit: { count: 4 },
    sites: (recording) => lateInterrupts(5)(recording).slice(0, -4),
  },
  {
    id: 'irq-repeated',
    does: 'the vtimer interrupt comes again directly after a handler that raised the level',
    rules: ['irq-not-repeated-while-level-high'],
    sites: (recording) =>
      raising(recording).map(({ begin, end }) => ({
        place: end,
        inject: (edit) => edit.after(end, copy(begin), copy(end))[0] as Line,
      })),
  },
  {
    id: 'irq-storm',
    does: 'the vtimer interrupt comes fifty more times after a handler that raised the level',
    rules: ['irq-not-repeated-while-level-high'],
    // Each of the fifty is one occurrence; irq-raises-level may say as well that none of them raised the level.
    limit: { count: 100 },
    sites: (recording) =>
      raising(recording).map(({ begin, end }) => ({
        place: end,
        inject(edit) {
          const storm = Array.from({ length: 50 }, () => [copy(begin), copy(end)]).flat();
          return edit.after(end, ...storm)[0] as Line;
        },
      })),
  },
  {
    id: 'irq-ignored-once',
    does: 'one handler does not raise the level: the timer may have been cancelled before it looked',
    rules: [],
    sites: (recording) =>
      unlowered(recording).map((irq) => ({
        place: irq.begin,
        inject(edit) {
          edit.remove(...reportsOf(irq));
          return irq.begin;
        },
      })),
  },
  {
    id: 'irq-ignored-repeatedly',
    does: 'four handlers in a row of one vcpu do not raise the level',
    rules: ['irq-raises-level'],
    sites: (recording) =>
      unlowered(recording).flatMap((irq, i, all) => {
        const own = all.slice(i).filter(({ begin }) => begin.pid === irq.begin.pid);
        const four = own.slice(0, 4);
        if (four.length < 4) return [];
        const site: Site = {
          place: irq.begin,
          inject(edit) {
            for (const one of four) edit.remove(...reportsOf(one));
            return [irq.begin, (four[3] as Interrupt).end];
          },
        };
        return [site];
      }),
  },
  {
    id: 'irq-never-returns',
    does: 'the end of a vtimer interrupt is missing',
    rules: ['irq-handler-returns'],
    sites: (recording) =>
      raising(recording)
        // Something has to be recorded on the CPU after it.
        .filter(({ end }) => recording.next(recording.at(end), goesOn(end.cpu)) !== undefined)
        .map(({ begin, end }) => ({
          place: begin,
          inject(edit) {
            edit.remove(end);
            return begin;
          },
        })),
  },
];
