import type { Fault } from './fault.js';
import { type Line, withArg, withTime } from './inject.js';
import { inRounds, sequences } from './sites.js';
import { first, linesOf, type Recording } from './structure.js';

// Faults of the counter offset and of the host's clock.

/** Records of a CPU that show at once that its clock goes on. */
const clockShows = new Set(['sched_switch', 'kvm_entry', 'kvm_exit', 'kvm_userspace_exit', 'vcpu_load', 'timer_load']);

function nextShown(recording: Recording, index: number, cpu: number): Line | undefined {
  return recording.next(index, (line) => line.cpu === cpu && clockShows.has(line.event));
}

export const offsetFaults: readonly Fault[] = [
  {
    id: 'offset-not-written',
    does: 'the load writes no counter offset',
    rules: ['cntvoff-correct-in-guest'],
    diagnosis: 'not-written',
    sites: (recording) =>
      inRounds(recording, (round) => {
        const [write, more] = linesOf(round.load, 'set_cntvoff');
        if (write === undefined || more !== undefined) return undefined;
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
    id: 'offset-wrong',
    does: 'the load writes a counter offset that is off by one',
    rules: ['cntvoff-correct-in-guest'],
    diagnosis: 'wrong',
    sites: (recording) =>
      inRounds(recording, (round) => {
        const [write, more] = linesOf(round.load, 'set_cntvoff');
        if (write === undefined || more !== undefined || write.args.endsWith('off=0x0')) return undefined;
        // That userspace has not changed it meanwhile shows with the next put only.
        const { thread } = round.entry;
        const put = recording.next(recording.at(write), ({ pid, event }) => pid === thread && event === 'timer_put');
        if (put === undefined) return undefined;
        return {
          place: write,
          inject(edit) {
            const offset = BigInt(/off=(\w+)/.exec(write.args)?.[1] ?? 0) + 1n;
            edit.replace(write, withArg(write, /off=\w+/, `off=0x${offset.toString(16)}`));
            return first(round.entry);
          },
        };
      }),
  },
  {
    id: 'offset-left',
    does: 'the put leaves the counter offset behind',
    rules: ['cntvoff-zero-for-host'],
    // A host at EL2 does not see it.
    info: true,
    sites: (recording) =>
      inRounds(recording, (round) => {
        const [write, more] = linesOf(round.put, 'set_cntvoff');
        if (write === undefined || more !== undefined || recording.host !== 'vhe') return undefined;
        return {
          place: write,
          inject(edit) {
            edit.remove(write);
            return [first(round.put), first(round.entry)];
          },
        };
      }),
  },
  {
    id: 'clock-stands-still',
    does: 'all records from a load to the put have one time',
    rules: ['host-clock-monotonic'],
    diagnosis: 'stood-still',
    sites: (recording) =>
      recording.host === 'vhe'
        ? []
        : sequences(recording, 'load', 'entry', 'exit', 'out', 'put').flatMap(([load, , , , put]) => {
            const from = recording.at(first(load!));
            const to = recording.endOf(put!);
            const after = nextShown(recording, to, put!.cpu);
            const still = recording.lines.slice(from, to + 1).filter(({ cpu }) => cpu === put!.cpu);
            // A load that begins with what another thread has switched on the CPU is one that this CPU shows whole.
            if (after === undefined || load!.cpu !== put!.cpu) return [];
            return {
              place: first(load!),
              inject(edit) {
                for (const line of still)
                  if (line.time !== first(load!).time) edit.replace(line, withTime(line, first(load!).time));
                return [first(load!), after];
              },
            };
          }),
  },
  {
    id: 'clock-steps-back',
    does: 'the clock is a second behind while a vcpu is in the guest',
    rules: ['host-clock-monotonic'],
    diagnosis: 'stepped-back',
    sites: (recording) =>
      recording.host === 'vhe'
        ? []
        : inRounds(recording, (round) => {
            const exit = first(round.exit);
            if (exit.cpu !== round.entry.cpu) return undefined;
            const [seconds = '0', rest = ''] = exit.time.split('.');
            return {
              place: exit,
              inject: (edit) => edit.replace(exit, withTime(exit, `${Number(seconds) - 1}.${rest}`)),
            };
          }),
  },
];
