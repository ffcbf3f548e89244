import { catalogue } from '../decode/catalogue.js';
import type { TimerEvent } from '../events/event.js';

/** By source: 1 for those that a filter by thread (set_event_pid) lets pass when another thread writes of one in the list. */
const ofScheduler = Uint8Array.from(catalogue.events, ({ name }) => (name.startsWith('sched_') ? 1 : 0));

/** No thread has this number. */
const nobody = -0x80000000;

/**
 * Notices threads that have run without a record, because the recording or its report is filtered by thread. A CPU's
 * switches make a chain: the thread that one switches to is the one that the next switches from. Where that is another
 * one, the switch between was left out; and where the thread that it switched from has no record at all but the
 * scheduler's, so was all that it wrote, with every interrupt and timer that came meanwhile. (A thread that has other
 * records shows a filter of sched_switch alone, which takes nothing else away.)
 */
export class LeftOutThreads {
  /** Threads that have written anything but the scheduler's records. */
  readonly #writers = new Set<number>();
  /** By CPU: the thread that it has switched to. */
  readonly #current: number[] = [];

  /** A CPU's first record of a thread after another one's. @param source an index into the catalogue */
  wrote(pid: number, source: number): void {
    if (ofScheduler[source] !== 1) this.#writers.add(pid);
  }

  /** Records of a CPU were lost: whatever it has switched to meanwhile is not known. */
  lost(cpu: number): void {
    this.#current[cpu] = nobody;
  }

  /** sched_switch. @returns whether `ran` has run there before, and was left out */
  switched({ cpu, pid, otherPid }: TimerEvent): boolean {
    const expected = this.#current[cpu] ?? nobody;
    this.#current[cpu] = otherPid;
    this.ran = expected;
    return expected !== nobody && pid >= 0 && pid !== expected && !this.#writers.has(expected);
  }

  /** The thread that had to be current on the CPU of the last switch. */
  ran = nobody;
}
