import type { TimerEvent } from '../events/event.js';
import type { Machine } from '../machine/machine.js';
import type { HostChoice, ModelChoice } from './facts.js';

/** Looks on while a trace is replayed: what it sees is attributed, and the model has applied it. */
export interface Observer {
  /** Before the first event: the model and the host have been chosen. Nicer to have. */
  begin?(model: ModelChoice, host: HostChoice): void;
  /** The event and the machine are reused: copy what must last. */
  event(event: TimerEvent, machine: Machine): void;
  /** The trace has ended. @param time nanoseconds since its first record */
  end(time: number): void;
}
