import type { TimerEvent } from '../events/event.js';
import type { Machine } from '../machine/machine.js';
import type { Timing } from '../timing/timing.js';

/** What is known of a trace when its first event is replayed. */
export interface ObservedTrace {
  /** What the trace shows of the counter; it has seen the event at hand. */
  readonly timing: Timing;
}

/** Looks on while a trace is replayed: what it sees is attributed, and the model has applied it. */
export interface Observer {
  /** The model has been chosen; comes once, before the first event. */
  begin?(trace: ObservedTrace): void;
  /** The event and the machine are reused: copy what must last. */
  event(event: TimerEvent, machine: Machine): void;
  /** The trace has ended. @param time nanoseconds since its first record */
  end(time: number): void;
}
