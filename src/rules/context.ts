import type { TimerEvent } from '../events/event.js';
import type { Kind, KindName } from '../events/kinds.js';
import type { Host, Machine } from '../machine/machine.js';
import type { Model, ModelId } from '../models/model.js';
import type { Timing } from '../timing/timing.js';
import type { HandlerWhen, Occasion } from './occasion.js';
import type { Severity } from './rule.js';

/** What a rule reports when its invariant does not hold. */
export interface Violation {
  /** Message id; the sub-diagnosis. */
  readonly message: string;
  /** Values for the message's placeholders. */
  readonly data?: Readonly<Record<string, string | number>>;
  /** Events that prove it, besides the decisive one; events that never happened (serial 0) are left out. */
  readonly witness: readonly TimerEvent[];
  /** The event at which it shows, where that is not the one being handled (a put whose missing save shows later). */
  readonly at?: TimerEvent;
  /**
   * The event that brought it about, where it is no part of the proof: shown with the witness, on whatever CPU it was
   * recorded. The fingerprint does not depend on it.
   */
  readonly cause?: TimerEvent;
  /** Another severity than the model's, where the rule itself says so. */
  readonly severity?: Severity;
  /**
   * Kinds of which one would explain it, had another CPU recorded it a moment earlier: if one follows within the skew of
   * the CPUs' clocks, the order is not certain and nothing is decided (specification §4.0, M3).
   */
  readonly explainedBy?: readonly KindName[];
  /**
   * What is claimed rests on the state of the CPU alone, and all its evidence was recorded there: no loss of another
   * CPU can explain it.
   */
  readonly ofCpu?: boolean;
  /**
   * The violation means that nobody knows who is loaded where: the machine forgets ownership of the vcpu and CPU,
   * so that the consequences of one fault are undecided instead of further findings.
   */
  readonly distrustOwnership?: boolean;
  /** As above for the register values of one timer context of the vcpu. */
  readonly distrustRegisters?: number;
}

/** A violation that goes on, from `RuleContext.begin` until `end` or the end of the trace. */
export interface Ongoing {
  /** It happens once more, at this event. */
  again(event: TimerEvent): void;
  /**
   * It is over.
   *
   * @param how the word of the message's `ends`, or `lost`
   */
  end(how: string, what?: Ending): void;
}

/** What is known of an episode once it is over. */
export interface Ending {
  /** The event that ended it, which may lie before the one at hand; none when no event did. */
  readonly by?: TimerEvent;
  /** The event that brought it about, where that was not known when it began. */
  readonly cause?: TimerEvent;
  /** Values for placeholders of the sentence on the end, and other ones for those of the message. */
  readonly data?: Violation['data'];
}

/** What the run offers to a rule. Handlers answer hold, undecided or violate on every evaluation. */
export interface RuleContext {
  /** State before the event in `before` handlers, after it in `after` handlers. */
  readonly machine: Machine;
  readonly model: Model;
  /** Every model that the evidence leaves, `model` among them: a violation has to be one under each. */
  readonly candidates: readonly ModelId[];
  readonly host: Host | undefined;
  /** Longest delay that is only late, nanoseconds: what has not come by then counts as never (`--max-latency`). */
  readonly maxLatency: number;
  /** What the trace shows of the counter; it has seen the event at hand. */
  readonly timing: Timing;
  /**
   * The trace is one whole story, as people write it: what it does not show did not happen. In a recording silence may
   * have other reasons: a filter by thread, by CPU or by context leaves out what the other records do not betray.
   */
  readonly isStory: boolean;
  /** Threads have run without a record so far: interrupts and timers that came meanwhile are missing. */
  readonly leavesOutThreads: boolean;
  /** Whether the trace has recorded an event kind so far, the look-ahead of the run included. */
  records(kind: Kind): boolean;
  /** There is one from the moment at which the trace has recorded an event kind. */
  recorded(kind: Kind): Occasion;
  /** The invariant was evaluated and held. */
  hold(event: TimerEvent): void;
  /** It was evaluated and could not be decided; the reason is a constant sentence. */
  undecided(event: TimerEvent, reason: string): void;
  violate(event: TimerEvent, violation: Violation): void;
  /**
   * A violation begins that goes on, a storm or a livelock: one occurrence however long it lasts, told as soon as it is
   * certain, with its count, duration and end once they are known.
   */
  begin(event: TimerEvent, violation: Violation): Ongoing;
}

export type Handler = (event: TimerEvent) => void;

/** A rule's handlers: by event kind, before or after the model has applied the event. */
export interface RuleHandlers {
  readonly before?: Readonly<Partial<Record<KindName, Handler | HandlerWhen>>>;
  readonly after?: Readonly<Partial<Record<KindName, Handler | HandlerWhen>>>;
  /**
   * The trace has ended. The event only carries the last position, and the time up to which every CPU has recorded:
   * what came later may be missing on one of them, and has not been seen by then.
   */
  readonly end?: Handler;
}

/**
 * How much later than the truth a record of one CPU may stand beside those of another, nanoseconds (specification §4.0,
 * M3). The trace clocks of arm64 all read the one system counter, so that only the reading itself takes time: no
 * recording shows an inversion, and with the 50 us of clocks that are kept apart a real double load, whose put often
 * follows within that time, would never be told.
 */
export const clockSkew = 5_000;

/** What would have ended a load, had it come earlier. */
export const endsOfLoad: readonly KindName[] = ['put', 'timer_put', 'save', 'sched_switch'];

/** Reasons that many rules share, in one spelling. */
export const because = {
  initial: 'the state is not known: the trace begins in the middle, or records were lost',
  unattributed: 'the event cannot be given to one vcpu',
  approximate: 'load and put are only placed by neighbouring records',
  endOfWait: 'the end of the wait is not recorded, which restores the timer',
  noReports: 'reports of the level are not recorded',
  unsaved: 'the save that the put implies is not recorded',
  noRegisters: 'no record shows the registers of the timer',
  emulated: 'the registers of an emulated context are in no record',
  entered: 'the guest ran in between and may have changed the registers',
  userspace: 'userspace may have written the registers in between, which leaves no record',
  ends: 'the trace ends before it shows',
  blind: 'the vcpu may have been loaded on a CPU that has recorded nothing so far',
  irqchip: 'no injection of this vcpu was seen: it may have a userspace irqchip',
  hidden: 'a record that would show it was not made: the trace leaves out a thread, a CPU or a context',
  paused: 'the vcpu may be paused or powered off: it slept since its exit, and such a wait ends without a record',
  preempted: 'the thread was preempted before the end of a trapped access',
  order: 'two CPUs recorded it closer in time than their clocks are certain',
} as const;
