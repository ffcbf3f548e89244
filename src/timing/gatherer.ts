import type { TimerEvent } from '../events/event.js';
import type { ClockMap } from './clock.js';
import type { Evidence } from './evidence.js';

/** Read at one moment, recorded at another: nanoseconds by which a constraint is relaxed for it. */
export const rounding = 1_000;
/** Deadlines that are nearer to each other than this are one, nanoseconds. */
export const same = 50_000;

/** Finds in the events of a generation of kernels what they tell of deadlines. */
export interface Gatherer {
  /** Every event, before the model applies it. */
  event(event: TimerEvent): void;
}

/** Where what is found becomes constraints on the lines. `basis` is the event that shows the deadline. */
export interface Constraints {
  readonly clock: ClockMap;
  /**
   * The count was at least the deadline at one time, at most that at another.
   *
   * @param from, until CLOCK_MONOTONIC where that is known, the trace's time elsewhere; NaN for no such bound
   */
  constrain(
    evidence: Evidence,
    event: TimerEvent,
    timer: number,
    basis: TimerEvent,
    from: number,
    until: number,
    lenient?: number,
  ): void;
  /** The deadline had passed when the event was recorded. @param isHardware the timer itself has said so */
  notBefore(evidence: Evidence, event: TimerEvent, timer: number, basis: TimerEvent, isHardware?: boolean): void;
  /**
   * A callback, `fired`, found the deadline still to come, and armed the background timer again for it.
   */
  rearmed(fired: TimerEvent, again: TimerEvent, timer: number, basis: TimerEvent): void;
  /** The deadline had not passed at a time of the trace. */
  notAfter(evidence: Evidence, event: TimerEvent, timer: number, basis: TimerEvent, time: number): void;
  /** The background timer was armed for the earlier of two deadlines. */
  earliest(armed: TimerEvent, ptimer: TimerEvent, vtimer: TimerEvent): void;
  /** See `Timing`. */
  expiresAt(vcpu: number, timer: number, shown: TimerEvent, expires: number): number;
  /** An hrtimer has expired: so the two clocks are compared. */
  expiry(event: TimerEvent): void;
  /** Userspace ran: it may have written the counter, which leaves no record. */
  userspaceRan(time: number): void;
  /** Records were lost. */
  doubt(): void;
}
