import { Certainty, Timer, type TimerEvent } from '../events/event.js';
import type { Kind } from '../events/kinds.js';
import { differenceU64 } from '../events/u64.js';
import type { Machine } from '../machine/machine.js';
import { noEvent } from '../machine/state.js';
import { Bounds } from './bounds.js';
import { ClockMap } from './clock.js';
import { Deferred, type Waiting } from './deferred.js';
import { type Due, EarliestDeadlines } from './earliest.js';
import { Evidence, evidenceNames } from './evidence.js';
import { FrequencySearch, Trial } from './frequency.js';
import { type Constraints, type Gatherer, rounding, same } from './gatherer.js';
import { Answer, because, type Contests, Line, type Listener } from './line.js';
import { ProbedEvidence } from './probed.js';
import { TracedEvidence } from './traced.js';

/** What the user, or the trace itself, says of the counter. */
export interface TimingSetup {
  /** Hz, instead of the one that the trace shows. */
  readonly frequency?: number | undefined;
  /** CNTVOFF of all virtual machines: their virtual and physical counters then make one line. */
  readonly cntvoff?: bigint | undefined;
  /** Virtual count at time 0 of the trace; only with a frequency. */
  readonly count?: bigint | undefined;
  /** CLOCK_MONOTONIC at time 0 of the trace in nanoseconds, where the trace's clock is that one. */
  readonly monotonic?: number | undefined;
  /**
   * kvm_timer_emulate goes on after it has reported a level, and arms what can fire (b450dcce93bc, 6.14); before, it
   * returns, and nothing is known of an emulated timer whose level has just changed.
   */
  readonly emulatesAlways: boolean;
  /** Saves and restores are recorded with the registers (5.1 and later); before, only probes show any. */
  readonly recordsSaveRestore: boolean;
  /** Whether the trace records an event kind: of what it does not record silence tells nothing. */
  readonly records: (kind: Kind) => boolean;
  /** Longest delay that is only late, nanoseconds. */
  readonly maxLatency: number;
}

/** How far apart the feasible lines may be for a deadline to have a time, nanoseconds. */
const widest = 100_000;

/**
 * Infers the counter from what a trace shows of deadlines and of what happened before or after them, without knowing
 * CNTVOFF (specification §6): a line per vcpu and kind of timer, since which vcpus make a VM is seldom certain. All
 * answers are those on which every feasible line agrees.
 */
export class Timing implements Constraints {
  /** Counts per nanosecond, 0 until known. */
  rate = 0;
  /** The event at hand. */
  current: TimerEvent = noEvent;
  readonly lines: (Line | undefined)[] = [];
  readonly clock: ClockMap;
  readonly #setup: TimingSetup;
  readonly #gatherer: Gatherer;
  #search: FrequencySearch | undefined;
  readonly #deferred = new Deferred();
  readonly #listeners: Listener[][] = evidenceNames.map(() => []);
  readonly #constraint = new Bounds();
  readonly #contests: Contests = { open: 0 };
  readonly #earliest = new EarliestDeadlines((event, by, save) => this.#judgeArming(event, by, save));
  /** CNTVOFF of all virtual machines, counts, signed; undefined where each has its own. */
  readonly #cntvoff: number | undefined;
  readonly #maxLatency: number;

  constructor(machine: Machine, setup: TimingSetup) {
    this.#setup = setup;
    this.#cntvoff = setup.cntvoff === undefined ? undefined : Number(BigInt.asIntN(64, setup.cntvoff));
    this.#maxLatency = setup.maxLatency;
    this.clock = new ClockMap(setup.monotonic);
    this.#gatherer = setup.recordsSaveRestore
      ? new TracedEvidence(machine, this, setup.emulatesAlways)
      : new ProbedEvidence(machine, this, setup.records);
    if (setup.frequency !== undefined) this.rate = setup.frequency / 1e9;
    else this.#search = new FrequencySearch();
  }

  /** Tells a rule what becomes of every constraint of a kind. */
  listen(evidence: Evidence, listener: Listener): void {
    (this.#listeners[evidence] as Listener[]).push(listener);
  }

  /** Hz, 0 until known. */
  get frequency(): number {
    return Math.round(this.rate * 1e9);
  }

  /** Whether the frequency is given and not inferred. */
  get frequencyGiven(): boolean {
    return this.#setup.frequency !== undefined;
  }

  /**
   * Whether a deadline of a vcpu's timer has passed at a time of the trace.
   *
   * @returns 1 or 0 where every feasible line agrees, -1 otherwise
   */
  passed(vcpu: number, timer: number, hi: number, lo: number, time: number): number {
    const line = this.lines[this.#key(vcpu, timer)];
    if (line === undefined || this.rate === 0 || !line.settled) return -1;
    const count = this.#count(line, timer, hi, lo);
    const { bounds } = line;
    const { offset, slack } = this.clock;
    if (bounds.lowAt(time - offset, this.rate) >= count) return 1;
    return bounds.highAt(time - offset + slack, this.rate) < count ? 0 : -1;
  }

  /** Nanoseconds by which the time that `deadline` has told last may be wrong. */
  deadlineError = 0;

  /**
   * When a deadline of a vcpu's timer is, in the trace's time: between the earliest and the latest feasible line.
   *
   * @returns NaN where no line is known, or they are more than 100 us apart
   */
  deadline(vcpu: number, timer: number, hi: number, lo: number): number {
    const line = this.lines[this.#key(vcpu, timer)];
    if (line === undefined || this.rate === 0 || !line.settled) return Number.NaN;
    const count = this.#count(line, timer, hi, lo);
    const earliest = line.bounds.earliestAt(count, this.rate);
    const latest = line.bounds.latestAt(count, this.rate);
    this.deadlineError = Math.max(0, latest - earliest) / 2;
    return this.deadlineError <= widest / 2 ? (earliest + latest) / 2 + this.clock.offset : Number.NaN;
  }

  /** Times of the trace less this are those of the lines, nanoseconds. */
  get clockOffset(): number {
    return this.clock.offset;
  }

  /** CLOCK_MONOTONIC at a time of the trace, at most; NaN where it is not known. */
  monotonic(time: number): number {
    return this.clock.known ? time - this.clock.offset + this.clock.slack : Number.NaN;
  }

  /**
   * Whether an hrtimer's expiry (CLOCK_MONOTONIC) is the deadline that an event shows of a timer.
   *
   * @returns 1 or 0 where every feasible line agrees, to 50 us; -1 otherwise
   */
  expiresAt(vcpu: number, timer: number, shown: TimerEvent, expires: number): number {
    const line = this.lines[this.#key(vcpu, timer)];
    if (line === undefined || this.rate === 0 || !line.settled || !this.clock.known || !shown.hasCval) return -1;
    const count = this.#count(line, timer, shown.cvalHi, shown.cvalLo);
    const least = (line.bounds.lowAt(expires, this.rate) - count) / this.rate;
    const most = (line.bounds.highAt(expires, this.rate) - count) / this.rate;
    if (least > -same && most < same) return 1;
    return most < -same || least > same ? 0 : -1;
  }

  // --- the events ------------------------------------------------------------

  /** Every event, before the model applies it. */
  event(event: TimerEvent): void {
    this.current = event;
    this.#gatherer.event(event);
  }

  /** The trace has ended. */
  end(last: TimerEvent): void {
    this.current = last;
    this.#dismiss();
    this.#earliest.end(this.rate);
    for (const line of this.lines) line?.end();
  }

  // --- what the gatherer finds ---------------------------------------------------

  expiry(event: TimerEvent): void {
    if (event.certainty !== Certainty.recorded) return;
    const isFirst = this.clock.expiry(event.time, event.expires, event.monotonic);
    if (this.clock.jumped) this.doubt();
    if (!isFirst) return;
    this.#deferred.shift(this.clock.offset);
    for (const line of this.lines) line?.shift(this.clock.offset);
  }

  userspaceRan(time: number): void {
    // The counter is the whole VM's, and which vcpus are its own is not certain.
    for (let i = 0; i < this.lines.length; i++) {
      const line = this.lines[i];
      if (line !== undefined) line.userspace = time;
    }
  }

  doubt(): void {
    // What waits for an answer may rest on registers that were written where records are lost.
    this.#dismiss();
    for (const line of this.lines) line?.doubt();
  }

  notBefore(evidence: Evidence, event: TimerEvent, timer: number, basis: TimerEvent, isHardware = false): void {
    const { offset, slack } = this.clock;
    this.constrain(evidence, event, timer, basis, event.time - offset + slack, Number.NaN, 0, isHardware);
  }

  notAfter(evidence: Evidence, event: TimerEvent, timer: number, basis: TimerEvent, time: number): void {
    const lenient = evidence === Evidence.savedPending ? this.#maxLatency : 0;
    this.constrain(evidence, event, timer, basis, Number.NaN, time - this.clock.offset - rounding, lenient);
  }

  constrain(
    evidence: Evidence,
    event: TimerEvent,
    timer: number,
    basis: TimerEvent,
    from: number,
    until: number,
    lenient = 0,
    isHardware = false,
  ): void {
    const line = this.#line(event.vcpu, timer, basis);
    const constraint = this.#bounds(line, timer, basis, from, until);
    const now = event.time - this.clock.offset;
    if (this.rate === 0) return this.#tried({ line, constraint, evidence, event, basis, lenient, now, isHardware });
    if (!this.#earliest.isEmpty) this.#earliest.settle(this.rate);
    const counts = line.observe(constraint, this.rate, evidence, event, basis, lenient, now, isHardware);
    if (counts && this.#contests.open > 0 && line.isVirtual && line.settled) this.#second(line, constraint, event);
  }

  rearmed(fired: TimerEvent, again: TimerEvent, timer: number, basis: TimerEvent): void {
    if (this.rate === 0) return;
    const line = this.#line(again.vcpu, timer, basis);
    const from = fired.time - this.clock.offset - rounding;
    const constraint = this.#bounds(line, timer, basis, Number.NaN, from);
    // As with any arming the clock is read after the counter (specification §4.8, point 5).
    const until = again.expires - (again.time - fired.time) - rounding;
    line.show(constraint, this.rate, this.clock.known ? until : from);
  }

  earliest(armed: TimerEvent, ptimer: TimerEvent, vtimer: TimerEvent): void {
    if (this.rate === 0) return;
    const [first, second] = [this.#due(armed, Timer.ptimer, ptimer), this.#due(armed, Timer.vtimer, vtimer)];
    this.#earliest.armed(armed, armed.expires + rounding, first, second, this.rate);
  }

  #due(armed: TimerEvent, timer: number, save: TimerEvent): Due {
    const line = this.#line(armed.vcpu, timer, save);
    return { line, count: this.#count(line, timer, save.cvalHi, save.cvalLo), save };
  }

  /** @param by NaN where it cannot be told whether it is early */
  #judgeArming(event: TimerEvent, by: number, save: TimerEvent): void {
    const answer = by < 0 ? Answer.violated : Answer.unknown;
    for (const listener of this.#listeners[Evidence.armed] as Listener[])
      listener(event, answer, by, save, because.changed);
  }

  #bounds(line: Line, timer: number, basis: TimerEvent, from: number, until: number): Bounds {
    const count = this.#count(line, timer, basis.cvalHi, basis.cvalLo);
    const constraint = this.#constraint;
    constraint.clear();
    if (!Number.isNaN(from)) {
      constraint.lowTime = from;
      constraint.low = count;
    }
    if (!Number.isNaN(until)) {
      constraint.highTime = until;
      constraint.high = count;
    }
    return constraint;
  }

  /** What one vcpu shows of the VM's offset counts for the others, where that is in doubt. */
  #second(line: Line, constraint: Bounds, event: TimerEvent): void {
    const time = event.time - this.clock.offset;
    for (const other of this.lines) {
      if (other === undefined || !other.contested || !other.isVirtual || other === line) continue;
      const shift = difference(line, other);
      if (!other.isOneWith(line, shift, time, this.rate)) continue;
      constraint.low += shift;
      constraint.high += shift;
      other.second(constraint, this.rate, event);
      constraint.low -= shift;
      constraint.high -= shift;
    }
  }

  /** The frequency is not known: one more constraint may show it. */
  #tried(waiting: Waiting): void {
    const search = this.#search as FrequencySearch;
    const { line, constraint, evidence } = waiting;
    line.trial ??= new Trial();
    line.counts[evidence]!++;
    // Who asks whether a level was expected needs the answer at once.
    const isAsked = evidence === Evidence.foundExpired || evidence === Evidence.foundPending;
    if (isAsked || !this.#deferred.take(waiting)) this.#unknown(waiting);
    if (this.#deferred.isFull) this.#dismiss();
    const winner = search.observe(line.trial, constraint);
    if (winner < 0) return;
    this.rate = search.rate(winner);
    this.#search = undefined;
    for (const each of this.lines) each?.adopt(winner, this.#deferred.isOver);
    this.#makeUp();
  }

  /** The frequency has become known: what was seen before is judged. */
  #makeUp(): void {
    for (const {
      line,
      constraint,
      evidence,
      event,
      basis,
      lenient,
      now,
      isHardware,
      userspace,
    } of this.#deferred.close()) {
      const since = line.userspace;
      line.userspace = userspace;
      line.counts[evidence]!--;
      line.observe(constraint, this.rate, evidence, event, basis, lenient, now, isHardware);
      line.userspace = since;
      event.release();
      basis.release();
    }
  }

  /** What waits for the frequency will not be judged. */
  #dismiss(): void {
    for (const waiting of this.#deferred.close()) {
      this.#unknown(waiting);
      waiting.event.release();
      waiting.basis.release();
    }
  }

  #unknown({ evidence, event, basis }: Waiting): void {
    for (const listener of this.#listeners[evidence] as Listener[])
      listener(event, Answer.unknown, 0, basis, because.frequency);
  }

  #line(vcpu: number, timer: number, basis: TimerEvent): Line {
    const key = this.#key(vcpu, timer);
    while (this.lines.length <= key) this.lines.push(undefined);
    return this.lines[key] ?? this.#addLine(key, vcpu, timer, basis);
  }

  #addLine(key: number, vcpu: number, timer: number, basis: TimerEvent): Line {
    const { count, frequency, cntvoff } = this.#setup;
    const isVirtual = timer === Timer.vtimer && cntvoff === undefined;
    const line = new Line(cntvoff === undefined ? vcpu : -1, isVirtual, this.#listeners, this.#contests);
    line.referenceHi = basis.cvalHi;
    line.referenceLo = basis.cvalLo;
    if (count !== undefined && frequency !== undefined && isVirtual) {
      const start = Number(count - ((BigInt(basis.cvalHi >>> 0) << 32n) | BigInt(basis.cvalLo >>> 0)));
      line.bounds.low = start;
      line.bounds.high = start;
      line.bounds.shift(this.clock.offset);
      line.given = true;
    }
    this.lines[key] = line;
    return line;
  }

  /** One line for all where CNTVOFF is given. */
  #key(vcpu: number, timer: number): number {
    return this.#cntvoff === undefined ? vcpu * 2 + timer : 0;
  }

  /** A count relative to the line's: exact up to 2^53. */
  #count(line: Line, timer: number, hi: number, lo: number): number {
    const count = differenceU64(hi, lo, line.referenceHi, line.referenceLo);
    return this.#cntvoff === undefined || timer !== Timer.vtimer ? count : count + this.#cntvoff;
  }
}

/** Counts by which those of a line are more in terms of another's reference. */
function difference(line: Line, other: Line): number {
  return differenceU64(line.referenceHi, line.referenceLo, other.referenceHi, other.referenceLo);
}
