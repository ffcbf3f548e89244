import type { TimerEvent } from '../events/event.js';
import type { Kind } from '../events/kinds.js';
import type { Host, Machine } from '../machine/machine.js';
import type { VcpuState } from '../machine/state.js';
import type { ModelId } from '../models/model.js';
import type { Timing } from '../timing/timing.js';

/** What is known of a trace when its first event is replayed. */
export interface ObservedTrace {
  /** Models that the trace may be of; the last of them drives the machine. */
  readonly candidates: readonly ModelId[];
  readonly host: Host | undefined;
  /** The kernel's release, undefined until a record has told it. */
  readonly kernel: () => string | undefined;
  /** What the trace shows of the counter; it has seen the event at hand. */
  readonly timing: Timing;
  /** Whether the trace records a kind of event, as far as it has shown. */
  records(kind: Kind): boolean;
}

/** Looks on while a trace is replayed: what it sees is attributed, and the model has applied it. */
export interface Observer {
  /** The model has been chosen; comes once, before the first event. */
  begin?(trace: ObservedTrace): void;
  /**
   * The event and the machine are reused: copy what must last.
   *
   * @param vcpu what the machine has of the event's vcpu
   */
  event(event: TimerEvent, machine: Machine, vcpu: VcpuState | undefined): void;
  /** The trace has ended. @param time nanoseconds since its first record */
  end(time: number): void;
}
