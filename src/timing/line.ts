import type { TimerEvent } from '../events/event.js';
import { Bounds } from './bounds.js';
import { Evidence, evidenceNames } from './evidence.js';
import type { Trial } from './frequency.js';
import { type Arming, Withheld } from './withheld.js';

/** How a constraint agrees with all others. */
export enum Answer {
  holds,
  violated,
  unknown,
}

export const because = {
  frequency: "the counter's frequency is not known yet",
  few: 'too few constraints on the offset for a verdict',
  wide: 'the offset is not known well enough',
  changed: 'the counter offset may have changed',
  armings: 'the armings of the background timer contradict what the hardware shows',
  ends: 'the trace ends before enough constraints confirm it',
} as const;

/** Who is told what became of a constraint. `by`: nanoseconds that it is late, negative where early. */
export type Listener = (
  event: TimerEvent,
  answer: Answer,
  by: number,
  basis: TimerEvent | undefined,
  reason: string,
) => void;

/** A constraint that contradicts the others, until it is known which is wrong. */
interface Suspect {
  readonly event: TimerEvent;
  readonly basis: TimerEvent | undefined;
  readonly evidence: Evidence;
  readonly by: number;
}

/** A line found or lost its place. */
export interface OffsetChange {
  /** Nanoseconds in the trace's clock: the first constraint that shows it. */
  readonly event: TimerEvent;
  /** Counts by which the line went up. */
  readonly counts: number;
}

/** Agreeing constraints on either side without which one that does not agree proves nothing (specification §6). */
export const confirming = 20;
/** Agreeing constraints after which a new offset is believed, where none spoke for the old one. */
const convincing = 20;
/** The same shortly after userspace has run, which may write the counter. */
const plausible = 3;
/**
 * Equalities (`armed`) that agree with a line, each to some microseconds: where so many do, before a contradiction or
 * after it, the counter was at that very place, whatever the number of all that agree.
 */
const placing = 3;
/** How many times as many must then speak for the line as against it. */
const clearly = 4;
/** How long after userspace has run a change may still show, nanoseconds. */
const shortly = 200_000_000;
/** To what two lines must be known, and agree, to be those of one VM, nanoseconds. */
const sibling = 1_000_000;
/** Most suspects kept. */
const mostSuspects = 64;
/** Changes of an offset that are kept; all are counted. */
const mostChanges = 64;

/** How many of a trace's lines are contested: mostly none, which saves asking each. */
export interface Contests {
  open: number;
}

/**
 * The counter of a vcpu's virtual, or physical, timer against CLOCK_MONOTONIC. Constraints narrow its bounds. One that
 * contradicts them begins a contest: either it is wrong, or the offset has changed and all that follow agree with it.
 */
export class Line {
  readonly vcpu: number;
  readonly isVirtual: boolean;
  /** The count that all others are relative to, as halves. */
  referenceHi = 0;
  referenceLo = 0;
  readonly bounds = new Bounds();
  /** Constraints that agreed, in all and by evidence. */
  readonly counts = new Float64Array(evidenceNames.length);
  /** Constraints that agreed since the offset last changed. */
  support = 0;
  changes = 0;
  /** Times that the line has left its place, for whatever reason, or may have. */
  moves = 0;
  readonly changed: OffsetChange[] = [];
  /** The line is given: it needs no support. */
  given = false;
  /** When userspace last ran: it may have written the counter, which leaves no record. */
  userspace = Number.NEGATIVE_INFINITY;
  trial: Trial | undefined;
  readonly #withheld = new Withheld();
  readonly #rival = new Bounds();
  #contested = false;
  #supportBefore = 0;
  #equalitiesBefore = 0;
  /** Equalities that agreed since the line began: one that none has confirmed was perhaps never right. */
  #equalities = 0;
  /** Constraints in a row that fit neither the line nor the rival. */
  #neither = 0;
  /** Discriminating constraints for the line, and for the rival. */
  #for = 0;
  #against = 0;
  /** Those for the line that are equalities. */
  #equalitiesFor = 0;
  #suspects: Suspect[] = [];
  readonly #listeners: readonly Listener[][];
  readonly #contests: Contests;

  constructor(vcpu: number, isVirtual: boolean, listeners: readonly Listener[][], contests: Contests) {
    this.vcpu = vcpu;
    this.isVirtual = isVirtual;
    this.#listeners = listeners;
    this.#contests = contests;
  }

  /**
   * A constraint on the line of another vcpu of the same VM, which agrees with that one. CNTVOFF is the VM's
   * (kvm_arm_timer_set_reg, update_vtimer_cntvoff): where the other's has not moved, this one's has not either. That
   * one fits the rival says nothing: what goes wrong on one vcpu may go wrong on another alike. Nor is it asked where
   * something came early: that may be for another timer, of which no record tells.
   */
  second(constraint: Bounds, rate: number, event: TimerEvent): void {
    if (!this.#suspects.every(({ by }) => by > 0)) return;
    if (!this.bounds.admits(constraint, rate) || this.#rival.admits(constraint, rate)) return;
    this.#for++;
    this.#settle(rate, event);
  }

  /** Whether two lines were one before this contest, to a millisecond. @param shift what to add to the other's counts */
  isOneWith(other: Line, shift: number, time: number, rate: number): boolean {
    const [low, high] = [this.bounds.lowAt(time, rate), this.bounds.highAt(time, rate)];
    const [otherLow, otherHigh] = [other.bounds.lowAt(time, rate) + shift, other.bounds.highAt(time, rate) + shift];
    const width = sibling * rate;
    return high - low < width && otherHigh - otherLow < width && low <= otherHigh && otherLow <= high;
  }

  /** A contradiction has not been settled: nothing is concluded from the bounds meanwhile. */
  get contested(): boolean {
    return this.#contested;
  }

  /** Whether conclusions can be drawn. */
  get settled(): boolean {
    return this.given || (this.support >= confirming && !this.#contested && this.#withheld.isEmpty);
  }

  /**
   * The search for the frequency is over.
   *
   * @param isForgotten what it was given is not seen again: the line begins with what this candidate has found
   */
  adopt(candidate: number, isForgotten: boolean): void {
    const bounds = this.trial?.best(candidate);
    this.trial = undefined;
    if (isForgotten && bounds !== undefined) this.bounds.copy(bounds);
  }

  /** Times are CLOCK_MONOTONIC from now on, and not the trace's any more. */
  shift(offset: number): void {
    this.#forget();
    this.#resolve(Answer.unknown, because.wide);
    this.bounds.shift(offset);
    this.trial?.shift(offset);
  }

  /**
   * One more constraint.
   *
   * @param lenient nanoseconds that it may be late without being a contradiction
   * @param now when the event was recorded, in the line's clock
   * @param isHardware the hardware itself has said so
   * @returns whether it counts, at once
   */
  observe(
    constraint: Bounds,
    rate: number,
    evidence: Evidence,
    event: TimerEvent,
    basis: TimerEvent | undefined,
    lenient: number,
    now: number,
    isHardware: boolean,
  ): boolean {
    let isVoter = true;
    if (!this.given) {
      if (evidence === Evidence.armed) {
        isVoter = !this.#withheld.doubts(constraint, rate, now);
        // Where the line speaks against it as well, it needs no other judge.
        const isWithheld = !isVoter && this.bounds.admits(constraint, rate);
        if (isWithheld) this.#withheld.take(constraint, event, basis);
        if (!isVoter && this.#withheld.isFull) this.#overflow(rate);
        if (isWithheld) return false;
      } else if (isHardware) this.#show(constraint, rate);
      else if (!this.#withheld.shown.admits(constraint, rate)) this.#trust(rate);
    }
    this.#weigh(constraint, rate, evidence, event, basis, lenient, isVoter);
    return isVoter;
  }

  /**
   * The background timer's callback found its deadline still to come: no register was read, but the counter.
   *
   * @param again for when it has armed the timer again, which tells how early it was
   */
  show(constraint: Bounds, rate: number, again: number): void {
    if (!this.given) this.#show(constraint, rate, again);
  }

  #show(constraint: Bounds, rate: number, again = Number.NaN): void {
    const withheld = this.#withheld;
    if (!withheld.shown.admits(constraint, rate)) this.#trust(rate);
    withheld.show(constraint, rate, again);
    if (withheld.isEmpty) return;
    const convicted = withheld.takeConvicted();
    for (const { event, basis, by } of convicted) {
      this.#tell(Evidence.armed, event, Answer.violated, by, basis, '');
      event.release();
      basis?.release();
    }
    if (convicted.length > 0 && !this.bounds.admits(withheld.shown, rate)) this.#replace();
  }

  /** The line was that of armings which are wrong. */
  #replace(): void {
    this.moves++;
    this.bounds.copy(this.#withheld.shown);
    this.support = 0;
    this.#equalities = 0;
    this.#resolve(Answer.unknown, because.armings);
  }

  /** More armings than the hardware's word can be held against: it is wrong itself, or the offset has changed. */
  #overflow(rate: number): void {
    if (this.#withheld.convicted === 0) return this.#trust(rate);
    const oldest = this.#withheld.takeOldest();
    if (oldest !== undefined) this.#dismiss(oldest);
  }

  /** The armings that were withheld count like all else. */
  #trust(rate: number): void {
    for (const { event, basis, constraint } of this.#withheld.clear()) {
      this.#weigh(constraint, rate, Evidence.armed, event, basis, 0, true);
      event.release();
      basis?.release();
    }
  }

  /** Whatever the hardware has shown, it may be of another offset. */
  #forget(): void {
    for (const arming of this.#withheld.clear()) this.#dismiss(arming);
  }

  #dismiss({ event, basis }: Arming): void {
    this.#tell(Evidence.armed, event, Answer.unknown, 0, basis, because.armings);
    event.release();
    basis?.release();
  }

  #weigh(
    constraint: Bounds,
    rate: number,
    evidence: Evidence,
    event: TimerEvent,
    basis: TimerEvent | undefined,
    lenient: number,
    isVoter: boolean,
  ): void {
    const agrees = this.bounds.admits(constraint, rate);
    const by = agrees ? 0 : this.bounds.distance(constraint, rate);
    if (!agrees && by > 0 && by <= lenient) return this.#tell(evidence, event, Answer.unknown, by, basis, because.wide);
    if (!this.#contested) {
      if (agrees) return this.#agree(constraint, rate, evidence, event, basis);
      if (this.given) return this.#tell(evidence, event, Answer.violated, by, basis, '');
      this.#contest(true);
      this.#supportBefore = this.support;
      this.#equalitiesBefore = this.#equalities;
      this.#neither = 0;
      this.#rival.copy(constraint);
      this.#for = 0;
      this.#against = 0;
      this.#equalitiesFor = 0;
      this.#suspect(evidence, event, basis, by);
      return;
    }
    const rivalAgrees = this.#rival.admits(constraint, rate);
    if (rivalAgrees) this.#rival.narrow(constraint, rate);
    if (agrees) {
      this.#agree(constraint, rate, evidence, event, basis);
      if (rivalAgrees) return;
      this.#for++;
      if (isEquality(constraint)) this.#equalitiesFor++;
    } else if (rivalAgrees) {
      this.#neither = 0;
      if (isVoter) this.#against++;
      this.#suspect(evidence, event, basis, by);
    } else if (!isVoter) this.#suspect(evidence, event, basis, by);
    else {
      // A third place: the line may have gone there by way of the rival's.
      if (this.#for === 0 && this.#against >= this.#enough(event)) this.#yield(rate, event);
      if (this.#against < plausible || ++this.#neither >= plausible) {
        this.#rival.copy(constraint);
        this.#against = 0;
        this.#neither = 0;
      }
      this.#contest(true);
      this.#suspect(evidence, event, basis, by);
    }
    this.#settle(rate, event);
  }

  #contest(begins: boolean): void {
    if (begins !== this.#contested) this.#contests.open += begins ? 1 : -1;
    this.#contested = begins;
  }

  /** What contradicts the line was compared by another clock. */
  doubt(): void {
    this.moves++;
    this.#forget();
    this.#resolve(Answer.unknown, because.changed);
  }

  /** The trace has ended. */
  end(): void {
    this.#forget();
    this.#resolve(Answer.unknown, because.ends);
  }

  #agree(constraint: Bounds, rate: number, evidence: Evidence, event: TimerEvent, basis: TimerEvent | undefined): void {
    const { bounds } = this;
    // Known beforehand, or a matter of the two milliseconds to which the line is known.
    const certain =
      (constraint.low === Number.NEGATIVE_INFINITY ||
        bounds.lowAt(constraint.lowTime, rate) >= constraint.low - 2e6 * rate) &&
      (constraint.high === Number.POSITIVE_INFINITY ||
        bounds.highAt(constraint.highTime, rate) <= constraint.high + 2e6 * rate);
    bounds.narrow(constraint, rate);
    this.counts[evidence]!++;
    this.support++;
    if (isEquality(constraint)) this.#equalities++;
    if (certain) this.#tell(evidence, event, Answer.holds, 0, basis, '');
    else this.#tell(evidence, event, Answer.unknown, 0, basis, because.wide);
  }

  #suspect(evidence: Evidence, event: TimerEvent, basis: TimerEvent | undefined, by: number): void {
    if (this.#suspects.length >= mostSuspects)
      return this.#tell(evidence, event, Answer.unknown, by, basis, because.changed);
    this.#suspects.push({ event: event.retain(), basis: basis?.retain(), evidence, by });
  }

  /** Constraints against the line that end the contest where none speaks for it. */
  #enough(event: TimerEvent): number {
    return event.time - this.userspace < shortly ? plausible : convincing;
  }

  #settle(rate: number, event: TimerEvent): void {
    const [own, other] = [this.#for, this.#against];
    const isPlaced = this.#equalitiesFor >= placing && own > clearly * other && this.#isOfOneKind();
    if (isPlaced || (own >= confirming && own > 1.5 * other)) {
      const proved = this.#supportBefore >= confirming || (this.#equalitiesBefore >= placing && this.#isOfOneKind());
      this.#resolve(proved ? Answer.violated : Answer.unknown, because.few);
    } else if (other >= (own === 0 ? this.#enough(event) : confirming) && other > 1.5 * own) {
      this.#yield(rate, event);
    } else if (own + other > 20 * confirming) this.#resolve(Answer.unknown, because.changed);
  }

  /** A fault shows in evidence of one kind, an offset that has changed in all. */
  #isOfOneKind(): boolean {
    const kind = this.#suspects[0]?.evidence;
    return this.#suspects.every(({ evidence }) => evidence === kind);
  }

  /** The rival is right: the offset has changed, or the line was wrong from the start. */
  #yield(rate: number, event: TimerEvent): void {
    const first = this.#suspects[0]?.event;
    const wasRight =
      this.#supportBefore >= this.#enough(event) &&
      (this.counts[Evidence.armed] === 0 || this.#equalities >= plausible);
    if (this.#for * 10 <= this.#against && first !== undefined && wasRight) {
      this.changes++;
      if (this.changed.length < mostChanges) {
        const at = this.#rival.low > Number.NEGATIVE_INFINITY ? this.#rival.lowTime : this.#rival.highTime;
        const count = this.#rival.low > Number.NEGATIVE_INFINITY ? this.#rival.low : this.#rival.high;
        const before =
          this.bounds.low > Number.NEGATIVE_INFINITY ? this.bounds.lowAt(at, rate) : this.bounds.highAt(at, rate);
        this.changed.push({ event: first.retain(), counts: Math.round(count - before) });
      }
    }
    this.#forget();
    this.moves++;
    this.bounds.copy(this.#rival);
    this.support = this.#against;
    this.#equalities = this.#against;
    this.#resolve(Answer.unknown, because.changed);
  }

  #resolve(answer: Answer, reason: string): void {
    const suspects = this.#suspects;
    this.#suspects = [];
    this.#contest(false);
    this.#for = 0;
    this.#against = 0;
    this.#equalitiesFor = 0;
    for (const { event, basis, evidence, by } of suspects) {
      this.#tell(evidence, event, answer, by, basis, reason);
      event.release();
      basis?.release();
    }
  }

  #tell(
    evidence: Evidence,
    event: TimerEvent,
    answer: Answer,
    by: number,
    basis: TimerEvent | undefined,
    reason: string,
  ): void {
    const listeners = this.#listeners[evidence] as Listener[];
    for (let i = 0; i < listeners.length; i++) (listeners[i] as Listener)(event, answer, by, basis, reason);
  }
}

/** An arming for a deadline to come: it bounds the counter from both sides. */
function isEquality({ low, high }: Bounds): boolean {
  return low > Number.NEGATIVE_INFINITY && high < Number.POSITIVE_INFINITY;
}
