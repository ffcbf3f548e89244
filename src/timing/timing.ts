import { Certainty, Context, Ctl, canFire, Timer, type TimerEvent } from '../events/event.js';
import { Kind, kindNames } from '../events/kinds.js';
import type { Machine } from '../machine/machine.js';
import { no, noEvent, type TimerContext, type VcpuState, yes } from '../machine/state.js';
import { Bounds } from './bounds.js';
import { ClockMap } from './clock.js';
import { FrequencySearch, Trial } from './frequency.js';
import { Answer, because, Evidence, Line, type Listener } from './line.js';

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
  /** Longest delay that is only late, nanoseconds. */
  readonly maxLatency: number;
}

/** What is known of the physical timer that KVM emulates, whose registers are in no record. */
enum Emulated {
  unknown,
  /** It cannot fire: nothing was armed for it. */
  silent,
  /** Its soft timer is armed. */
  armed,
  /** It has expired. */
  firing,
}

/** Read at one moment, recorded at another: nanoseconds by which a constraint is relaxed for it. */
const rounding = 1_000;
/** ISTATUS may lag the counter in an emulator (specification §4.8, point 7), nanoseconds. */
const lag = 10_000_000;
/** Longest time between a timer map and the arming that it belongs to, nanoseconds. */
const longestPut = 1_000_000_000;
/** Deadlines that are nearer to each other than this are one, nanoseconds. */
const same = 50_000;
/** How far apart the feasible lines may be for a deadline to have a time, nanoseconds. */
const widest = 100_000;

/** By kind: 1 for those that the timing looks at. */
const ofInterest = new Uint8Array(kindNames.length);
for (const kind of [
  Kind.timer_map,
  Kind.save,
  Kind.restore,
  Kind.update_irq,
  Kind.entry,
  Kind.put,
  Kind.emulate,
  Kind.soft_arm,
  Kind.soft_expire,
  Kind.bg_arm,
  Kind.bg_expire,
  Kind.load,
  Kind.wakeup,
  Kind.userspace_exit,
  Kind.lost,
])
  ofInterest[kind] = 1;

/** What the timing needs to remember of one vcpu beside the machine. */
class VcpuTiming {
  /** Time of the last timer map of its thread, NaN before. */
  mapTime = Number.NaN;
  emulated = Emulated.unknown;
  /** CLOCK_MONOTONIC at which the emulated timer's soft timer expires. */
  emulatedExpires = Number.NaN;
  /** CLOCK_MONOTONIC for which the background timer was armed last. */
  armedExpires = Number.NaN;
  /** A background callback that may still arm the timer again. */
  fired: TimerEvent | undefined;
  /** Levels that the load under way has reported, and the handler; by context. */
  readonly reported: (TimerEvent | undefined)[] = [undefined, undefined];
  readonly raised: (TimerEvent | undefined)[] = [undefined, undefined];
  /** Some of these are kept: seldom, so that the answer saves the search. */
  hasReports = false;
}

/**
 * Infers the counter from what a trace shows of deadlines and of what happened before or after them, without knowing
 * CNTVOFF (specification §6): a line per vcpu and kind of timer, since which vcpus make a VM is seldom certain. All
 * answers are those on which every feasible line agrees.
 */
export class Timing {
  /** Counts per nanosecond, 0 until known. */
  rate = 0;
  /** The event at hand. */
  current: TimerEvent = noEvent;
  readonly lines: (Line | undefined)[] = [];
  readonly #machine: Machine;
  readonly #setup: TimingSetup;
  readonly #clock: ClockMap;
  #search: FrequencySearch | undefined;
  readonly #vcpus: VcpuTiming[] = [];
  readonly #listeners: Listener[][] = [[], [], [], [], [], []];
  readonly #constraint = new Bounds();

  constructor(machine: Machine, setup: TimingSetup) {
    this.#machine = machine;
    this.#setup = setup;
    this.#clock = new ClockMap(setup.monotonic);
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
    const { offset, slack } = this.#clock;
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
    return this.deadlineError <= widest / 2 ? (earliest + latest) / 2 + this.#clock.offset : Number.NaN;
  }

  /** Times of the trace less this are those of the lines, nanoseconds. */
  get clockOffset(): number {
    return this.#clock.offset;
  }

  /** CLOCK_MONOTONIC at a time of the trace, at most; NaN where it is not known. */
  monotonic(time: number): number {
    return this.#clock.known ? time - this.#clock.offset + this.#clock.slack : Number.NaN;
  }

  /**
   * Whether an hrtimer's expiry (CLOCK_MONOTONIC) is the deadline of a save.
   *
   * @returns 1 or 0 where every feasible line agrees, to 50 us; -1 otherwise
   */
  expiresAt(vcpu: number, save: TimerEvent, expires: number): number {
    const line = this.lines[this.#key(vcpu, save.timer)];
    if (line === undefined || this.rate === 0 || !line.settled || !this.#clock.known || !save.hasCval) return -1;
    const count = this.#count(line, save.timer, save.cvalHi, save.cvalLo);
    const least = (line.bounds.lowAt(expires, this.rate) - count) / this.rate;
    const most = (line.bounds.highAt(expires, this.rate) - count) / this.rate;
    if (least > -same && most < same) return 1;
    return most < -same || least > same ? 0 : -1;
  }

  // --- the events ------------------------------------------------------------

  /** Every event, before the model applies it. */
  event(event: TimerEvent): void {
    this.current = event;
    if (ofInterest[event.kind] === 0) return;
    switch (event.kind) {
      case Kind.timer_map:
        if (event.vcpu >= 0 && event.context !== Context.hardirq) this.#vcpu(event.vcpu).mapTime = event.time;
        return;
      case Kind.save:
        if (event.vcpu >= 0) this.#saved(event);
        return;
      case Kind.restore:
        if (event.vcpu >= 0) this.#restored(event);
        return;
      case Kind.update_irq:
        if (event.vcpu >= 0) this.#reported(event);
        return;
      case Kind.entry:
      case Kind.put:
        if (event.vcpu >= 0) this.#drop(this.#vcpu(event.vcpu), event.kind === Kind.entry);
        return;
      case Kind.emulate:
        if (event.vcpu < 0) return;
        this.#vcpu(event.vcpu).emulated = event.level === 1 ? Emulated.firing : event.level === 0 ? Emulated.silent : 0;
        return;
      case Kind.soft_arm:
        if (event.context === Context.hardirq) return;
        // Somebody's, of whom it is not true that nothing was armed.
        if (event.vcpu < 0) {
          for (const any of this.#vcpus) any.emulated = Emulated.unknown;
          return;
        }
        this.#vcpu(event.vcpu).emulated = Emulated.armed;
        this.#vcpu(event.vcpu).emulatedExpires = event.expires;
        return;
      case Kind.soft_expire:
        if (event.expires > 0) this.#expiry(event);
        return;
      case Kind.bg_arm:
        if (event.vcpu >= 0) this.#armed(event);
        return;
      case Kind.bg_expire:
        if (event.expires > 0) this.#expiry(event);
        if (event.vcpu >= 0) {
          const vcpu = this.#vcpu(event.vcpu);
          vcpu.fired?.release();
          vcpu.fired = event.retain();
        }
        return;
      case Kind.load:
      case Kind.wakeup:
        if (event.vcpu >= 0) this.#notArmedAgain(event);
        return;
      case Kind.userspace_exit:
        // The counter is the whole VM's, and which vcpus are its own is not certain.
        for (let i = 0; i < this.lines.length; i++) {
          const line = this.lines[i];
          if (line !== undefined) line.userspace = event.time;
        }
        return;
      case Kind.lost:
        for (const vcpu of this.#vcpus) this.#forget(vcpu);
        // What waits for an answer may rest on registers that were written where records are lost.
        for (const line of this.lines) line?.doubt();
        return;
      default:
    }
  }

  /** The trace has ended. */
  end(last: TimerEvent): void {
    this.current = last;
    for (const line of this.lines) line?.end();
  }

  /** timer_save_state: what the hardware said of its own deadline. */
  #saved(event: TimerEvent): void {
    const { timer, ctl } = event;
    if (timer > Timer.vtimer || timer < 0 || ctl < 0 || !event.hasCval) return;
    const vcpu = this.#vcpu(event.vcpu);
    // A save follows the load that would have told what the callback was for: that leaves no record, or was lost.
    this.#dropFired(vcpu);
    const raised = vcpu.raised[timer];
    if (raised !== undefined) {
      vcpu.raised[timer] = undefined;
      // The guest has not run since the handler raised the level: the deadline is the handler's.
      if ((ctl & (Ctl.enable | Ctl.istatus)) === (Ctl.enable | Ctl.istatus))
        this.#notBefore(Evidence.raised, raised, event);
      raised.release();
    }
    if ((ctl & Ctl.enable) === 0) return;
    if ((ctl & Ctl.istatus) !== 0) this.#notBefore(Evidence.savedExpired, event, event);
    else this.#notAfter(Evidence.savedPending, event, event, event.time - lag);
  }

  /** timer_restore_state: the deadline for which the load has reported its level. */
  #restored(event: TimerEvent): void {
    const { timer } = event;
    if (timer > Timer.vtimer || timer < 0) return;
    const vcpu = this.#vcpu(event.vcpu);
    const report = vcpu.reported[timer];
    if (report === undefined) return;
    vcpu.reported[timer] = undefined;
    // Where the restore differs from the save, the report was about another value than this.
    const state = this.#machine.vcpu(event.vcpu).contexts[timer] as TimerContext;
    const isSaved =
      !state.saveValid || (state.cvalHi === event.cvalHi && state.cvalLo === event.cvalLo && canFire(state.ctl));
    if (event.hasCval && isSaved && canFire(event.ctl)) {
      if (report.level === 1) this.#notBefore(Evidence.raised, report, event);
      // The counter was read after the timer map and before the report (specification §4.8, point 6).
      else if (vcpu.mapTime <= report.time) this.#notAfter(Evidence.lowered, report, event, vcpu.mapTime);
    }
    report.release();
  }

  /** kvm_timer_update_irq. */
  #reported(event: TimerEvent): void {
    const { timer } = event;
    const state = this.#machine.vcpu(event.vcpu);
    if (timer === state.emulPtimer && timer >= 0 && !this.#setup.emulatesAlways)
      this.#vcpu(event.vcpu).emulated = Emulated.unknown;
    if (timer > Timer.vtimer || timer < 0 || !isDirect(state, timer)) return;
    const context = state.contexts[timer] as TimerContext;
    const vcpu = this.#vcpu(event.vcpu);
    if (context.loaded === yes) {
      if (event.level !== 1 || this.#machine.cpu(event.cpu).inTimerIrq !== yes) return;
      if (context.enteredSinceRestore === no && context.restoredCvalKnown)
        this.#notBefore(Evidence.raised, event, context.restore);
      else {
        keep(vcpu.raised, timer, event);
        vcpu.hasReports = true;
      }
    } else if (event.context !== Context.hardirq && this.#isLoading(state)) {
      keep(vcpu.reported, timer, event);
      vcpu.hasReports = true;
    }
  }

  /** The vcpu is loaded but its registers are not restored yet. */
  #isLoading(state: VcpuState): boolean {
    return state.last[Kind.load].serial > state.last[Kind.put].serial;
  }

  /** soft_timer_start of the background timer: now + delta, computed after the timer map and before the record. */
  #armed(event: TimerEvent): void {
    const vcpu = this.#vcpu(event.vcpu);
    this.#dropFired(vcpu);
    vcpu.armedExpires = event.expires;
    const state = this.#machine.vcpu(event.vcpu);
    const isPut = state.last[Kind.put].serial > state.last[Kind.load].serial && event.context !== Context.hardirq;
    if (!isPut || !(event.expires > 0) || !this.#clock.known) return;
    const now = event.time - this.#clock.offset;
    const stall = event.time - vcpu.mapTime;
    if (this.#isForSilent(state, event.expires)) return;
    const future = event.expires > now + this.#clock.slack + rounding && stall >= 0 && stall < longestPut;
    for (let timer = Timer.ptimer; timer <= Timer.vtimer; timer++) {
      const context = state.contexts[timer] as TimerContext;
      if (!isDirect(state, timer) || context.loaded !== no || !context.saveValid || !canFire(context.ctl)) continue;
      const alone = this.#isAlone(state, vcpu, timer, event.expires);
      if (!alone && !future) continue;
      this.#constrain(
        Evidence.armed,
        event,
        context.save,
        alone ? event.expires + rounding : Number.NaN,
        // A deadline that has passed is armed for at once; one to come never later than it is.
        future ? event.expires - stall - rounding : Number.NaN,
        0,
      );
    }
  }

  /** Armed for a timer that cannot fire: bg-armed-only-when-blocked tells of it, and no other deadline is meant. */
  #isForSilent(state: VcpuState, expires: number): boolean {
    for (let timer = Timer.ptimer; timer <= Timer.vtimer; timer++) {
      const { saveValid, save, ctl } = state.contexts[timer] as TimerContext;
      if (saveValid && !canFire(ctl) && this.expiresAt(state.index, save, expires) === 1) return true;
    }
    return false;
  }

  /** kvm_bg_timer_expire without another arming: an earliest deadline has passed. */
  #notArmedAgain(event: TimerEvent): void {
    const vcpu = this.#vcpu(event.vcpu);
    const { fired } = vcpu;
    if (fired === undefined) return;
    if (event.kind === Kind.wakeup && event.cpu !== fired.cpu) return;
    vcpu.fired = undefined;
    const state = this.#machine.vcpu(event.vcpu);
    // Elsewhere somebody may load the vcpu while the callback still runs.
    const isOver = event.cpu === fired.cpu || event.time - fired.time > same;
    for (let timer = Timer.ptimer; isOver && timer <= Timer.vtimer; timer++) {
      const context = state.contexts[timer] as TimerContext;
      if (!isDirect(state, timer) || context.loaded !== no || !context.saveValid || !canFire(context.ctl)) continue;
      // The callback reads the counter itself, later than the `now` of its record.
      if (this.#isAlone(state, vcpu, timer, vcpu.armedExpires)) this.#notBefore(Evidence.fired, fired, context.save);
    }
    fired.release();
  }

  /** Whether no other timer of the vcpu can be the one that a background timer at this time is for. */
  #isAlone(state: VcpuState, vcpu: VcpuTiming, timer: number, expires: number): boolean {
    const other = timer === Timer.vtimer ? Timer.ptimer : Timer.vtimer;
    if (isDirect(state, other)) {
      const context = state.contexts[other] as TimerContext;
      if (context.loaded !== no || !context.saveValid || canFire(context.ctl)) return false;
      // A kernel that forgets the mask would arm for this one.
      return (context.ctl & Ctl.enable) === 0 || this.expiresAt(state.index, context.save, expires) === 0;
    }
    if (state.emulPtimer !== other) return false;
    return (
      vcpu.emulated === Emulated.silent ||
      (vcpu.emulated === Emulated.armed && this.#clock.known && vcpu.emulatedExpires > expires + same)
    );
  }

  #expiry(event: TimerEvent): void {
    if (event.certainty !== Certainty.recorded) return;
    const isFirst = this.#clock.expiry(event.time, event.expires);
    if (this.#clock.jumped) for (const line of this.lines) line?.doubt();
    if (isFirst) for (const line of this.lines) line?.shift(this.#clock.offset);
  }

  // --- constraints -------------------------------------------------------------

  /** The deadline had passed when the event was recorded. */
  #notBefore(evidence: Evidence, event: TimerEvent, basis: TimerEvent): void {
    const { offset, slack } = this.#clock;
    this.#constrain(evidence, event, basis, event.time - offset + slack, Number.NaN, 0);
  }

  /** The deadline had not passed at a time of the trace. */
  #notAfter(evidence: Evidence, event: TimerEvent, basis: TimerEvent, time: number): void {
    const lenient = evidence === Evidence.savedPending ? this.#setup.maxLatency : 0;
    this.#constrain(evidence, event, basis, Number.NaN, time - this.#clock.offset - rounding, lenient);
  }

  /**
   * The count was at least the deadline of `basis` at one time, at most that at another.
   *
   * @param from, until CLOCK_MONOTONIC where that is known, the trace's time elsewhere; NaN for no such bound
   */
  #constrain(
    evidence: Evidence,
    event: TimerEvent,
    basis: TimerEvent,
    from: number,
    until: number,
    lenient: number,
  ): void {
    const line = this.#line(event.vcpu, basis.timer, basis);
    const count = this.#count(line, basis.timer, basis.cvalHi, basis.cvalLo);
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
    if (this.rate > 0) return line.observe(constraint, this.rate, evidence, event, basis, lenient);
    this.#tried(line, constraint, evidence, event, basis);
  }

  #tried(line: Line, constraint: Bounds, evidence: Evidence, event: TimerEvent, basis: TimerEvent): void {
    const search = this.#search as FrequencySearch;
    line.trial ??= new Trial();
    line.counts[evidence]!++;
    const winner = search.observe(line.trial, constraint);
    for (const listener of this.#listeners[evidence] as Listener[])
      listener(event, Answer.unknown, 0, basis, because.frequency);
    if (winner < 0) return;
    this.rate = search.rate(winner);
    this.#search = undefined;
    for (const each of this.lines) each?.adopt(winner);
  }

  #line(vcpu: number, timer: number, basis: TimerEvent): Line {
    const key = this.#key(vcpu, timer);
    while (this.lines.length <= key) this.lines.push(undefined);
    return this.lines[key] ?? this.#addLine(key, vcpu, timer, basis);
  }

  #addLine(key: number, vcpu: number, timer: number, basis: TimerEvent): Line {
    const { count, frequency, cntvoff } = this.#setup;
    const isVirtual = timer === Timer.vtimer && cntvoff === undefined;
    const line = new Line(cntvoff === undefined ? vcpu : -1, isVirtual, this.#listeners);
    line.referenceHi = basis.cvalHi;
    line.referenceLo = basis.cvalLo;
    if (count !== undefined && frequency !== undefined && isVirtual) {
      const start = Number(count - ((BigInt(basis.cvalHi >>> 0) << 32n) | BigInt(basis.cvalLo >>> 0)));
      line.bounds.low = start;
      line.bounds.high = start;
      line.bounds.shift(this.#clock.offset);
      line.given = true;
    }
    this.lines[key] = line;
    return line;
  }

  /** One line for all where CNTVOFF is given. */
  #key(vcpu: number, timer: number): number {
    return this.#setup.cntvoff === undefined ? vcpu * 2 + timer : 0;
  }

  /** A count relative to the line's: exact up to 2^53. */
  #count(line: Line, timer: number, hi: number, lo: number): number {
    const count = ((hi >>> 0) - (line.referenceHi >>> 0)) * 0x100000000 + ((lo >>> 0) - (line.referenceLo >>> 0));
    const { cntvoff } = this.#setup;
    return cntvoff === undefined || timer !== Timer.vtimer ? count : count + Number(BigInt.asIntN(64, cntvoff));
  }

  // --- what is remembered ------------------------------------------------------

  #vcpu(index: number): VcpuTiming {
    while (this.#vcpus.length <= index) this.#vcpus.push(new VcpuTiming());
    return this.#vcpus[index] as VcpuTiming;
  }

  /** What the handler, or a load, reported has no deadline any more that a record will show. */
  #drop(vcpu: VcpuTiming, isEntry: boolean): void {
    if (!vcpu.hasReports) return;
    if (isEntry) vcpu.hasReports = false;
    for (let timer = 0; timer < 2; timer++) {
      vcpu.reported[timer]?.release();
      vcpu.reported[timer] = undefined;
      if (!isEntry) continue;
      vcpu.raised[timer]?.release();
      vcpu.raised[timer] = undefined;
    }
  }

  #dropFired(vcpu: VcpuTiming): void {
    vcpu.fired?.release();
    vcpu.fired = undefined;
  }

  #forget(vcpu: VcpuTiming): void {
    this.#drop(vcpu, true);
    this.#dropFired(vcpu);
    vcpu.mapTime = Number.NaN;
    vcpu.armedExpires = Number.NaN;
    vcpu.emulated = Emulated.unknown;
  }
}

/** Whether a context has the hardware to itself while its vcpu is loaded; no nested hypervisor's is looked at. */
function isDirect(state: VcpuState, timer: number): boolean {
  if (timer === Timer.ptimer) return state.directPtimer === timer;
  const isKnown = state.directVtimer !== Timer.unknown;
  return isKnown ? state.directVtimer === timer : (state.contexts[timer] as TimerContext).save.serial > 0;
}

function keep(slots: (TimerEvent | undefined)[], at: number, event: TimerEvent): void {
  slots[at]?.release();
  slots[at] = event.retain();
}
