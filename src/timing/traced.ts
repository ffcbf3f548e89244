import { Context, Ctl, callbackSpan, canFire, Timer, type TimerEvent } from '../events/event.js';
import { Kind, kindSet } from '../events/kinds.js';
import type { Machine } from '../machine/machine.js';
import { no, type TimerContext, type VcpuState, yes } from '../machine/state.js';
import { Evidence } from './evidence.js';
import { type Constraints, type Gatherer, rounding, same } from './gatherer.js';

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

/** ISTATUS may lag the counter in an emulator (specification §4.8, point 7), nanoseconds. */
const lag = 10_000_000;
/**
 * Longest stay in the guest that the host's tick leaves uninterrupted, nanoseconds: every 10 ms one is due. Where none
 * comes, an emulator is starved of processor time: it raises no interrupt and sets no ISTATUS.
 */
const longestStay = 50_000_000;
/** How long after such a stay its timers are not trusted, nanoseconds. */
const recovery = 1_000_000_000;
/** Longest time between a timer map and the arming that it belongs to, nanoseconds. */
const longestPut = 1_000_000_000;

/** By kind: 1 for those that the timing looks at. */
const ofInterest = kindSet([
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
]);

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
 * What kernels of 5.1 and later show of deadlines: every save and restore records them, and a timer map shows when the
 * counter was read at the earliest.
 */
export class TracedEvidence implements Gatherer {
  readonly #machine: Machine;
  readonly #constraints: Constraints;
  readonly #emulatesAlways: boolean;
  readonly #vcpus: VcpuTiming[] = [];
  /** When a stay in the guest ended that was longer than a tick lets one be, NaN before. */
  #starved = Number.NaN;

  /** @param emulatesAlways see `TimingSetup` */
  constructor(machine: Machine, constraints: Constraints, emulatesAlways: boolean) {
    this.#machine = machine;
    this.#constraints = constraints;
    this.#emulatesAlways = emulatesAlways;
  }

  /** Every event, before the model applies it. */
  event(event: TimerEvent): void {
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
        if (event.vcpu < 0) return;
        this.#stayed(event.vcpu);
        this.#drop(this.#vcpu(event.vcpu), true);
        return;
      case Kind.put:
        if (event.vcpu >= 0) this.#drop(this.#vcpu(event.vcpu), false);
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
        if (event.expires > 0) this.#constraints.expiry(event);
        return;
      case Kind.bg_arm:
        if (event.vcpu >= 0) this.#armed(event);
        return;
      case Kind.bg_expire:
        if (event.expires > 0) this.#constraints.expiry(event);
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
        this.#constraints.userspaceRan(event.time);
        return;
      case Kind.lost:
        for (const vcpu of this.#vcpus) this.#forget(vcpu);
        this.#constraints.doubt();
        return;
      default:
    }
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
        this.#constraints.notBefore(Evidence.raised, raised, timer, event, true);
      raised.release();
    }
    if ((ctl & Ctl.enable) === 0) return;
    this.#stayed(event.vcpu);
    if ((ctl & Ctl.istatus) !== 0) this.#constraints.notBefore(Evidence.savedExpired, event, timer, event, true);
    else if (!(event.time - this.#starved < recovery))
      this.#constraints.notAfter(Evidence.savedPending, event, timer, event, event.time - lag);
  }

  /** Looks at the last stay in the guest, before an entry or at a save. */
  #stayed(vcpu: number): void {
    const { last } = this.#machine.vcpu(vcpu);
    const [entry, exit] = [last[Kind.entry], last[Kind.exit]];
    if (exit.time - entry.time > longestStay && exit.serial > entry.serial) this.#starved = exit.time;
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
      if (report.level === 1) this.#constraints.notBefore(Evidence.raised, report, timer, event);
      // The counter was read after the timer map and before the report (specification §4.8, point 6).
      else if (vcpu.mapTime <= report.time)
        this.#constraints.notAfter(Evidence.lowered, report, timer, event, vcpu.mapTime);
    }
    report.release();
  }

  /** kvm_timer_update_irq. */
  #reported(event: TimerEvent): void {
    const { timer } = event;
    const state = this.#machine.vcpu(event.vcpu);
    if (timer === state.emulPtimer && timer >= 0 && !this.#emulatesAlways)
      this.#vcpu(event.vcpu).emulated = Emulated.unknown;
    if (timer > Timer.vtimer || timer < 0 || !isDirect(state, timer)) return;
    const context = state.contexts[timer] as TimerContext;
    const vcpu = this.#vcpu(event.vcpu);
    if (context.loaded === yes) {
      if (event.level !== 1 || this.#machine.cpu(event.cpu).inTimerIrq !== yes) return;
      if (context.enteredSinceRestore === no && context.restoredCvalKnown)
        this.#constraints.notBefore(Evidence.raised, event, timer, context.restore, true);
      else {
        keep(vcpu.raised, timer, event);
        vcpu.hasReports = true;
      }
    } else if (event.context !== Context.hardirq && this.#isLoading(state)) {
      const before = vcpu.reported[timer];
      // A load reports each timer once: of two reports one is another timer's (timer-identity-consistent).
      if (before !== undefined && before.time >= vcpu.mapTime) {
        before.release();
        vcpu.reported[timer] = undefined;
        return;
      }
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
    const state = this.#machine.vcpu(event.vcpu);
    const isAgain = vcpu.fired !== undefined && this.#rearmed(vcpu.fired, event, state, vcpu);
    vcpu.armedExpires = event.expires;
    if (isAgain) return;
    const isPut = state.last[Kind.put].serial > state.last[Kind.load].serial && event.context !== Context.hardirq;
    if (!isPut || !(event.expires > 0) || !this.#constraints.clock.known) return;
    const now = event.time - this.#constraints.clock.offset;
    const stall = event.time - vcpu.mapTime;
    if (this.#isForSilent(state, event.expires)) return;
    this.#forEarliest(event, state);
    const future = event.expires > now + this.#constraints.clock.slack + rounding && stall >= 0 && stall < longestPut;
    for (let timer = Timer.ptimer; timer <= Timer.vtimer; timer++) {
      const context = state.contexts[timer] as TimerContext;
      if (!isDirect(state, timer) || !canBeDue(context)) continue;
      const alone = this.#isAlone(state, vcpu, timer, event.expires);
      // What the hardware said had expired is armed for at once, however far the clock seems to be off.
      const isAhead = future && (context.save.ctl & Ctl.istatus) === 0;
      if (!alone && !isAhead) continue;
      this.#constraints.constrain(
        Evidence.armed,
        event,
        timer,
        context.save,
        alone ? event.expires + rounding : Number.NaN,
        // A deadline that has passed is armed for at once; one to come never later than it is.
        isAhead ? event.expires - stall - rounding : Number.NaN,
      );
    }
  }

  /** Two timers can fire, and no emulated one, of which kvm_timer_earliest_exp thinks as well. */
  #forEarliest(event: TimerEvent, state: VcpuState): void {
    const [ptimer, vtimer] = state.contexts as [TimerContext, TimerContext];
    if (state.emulPtimer >= 0 || state.emulVtimer >= 0) return;
    if (!isDirect(state, Timer.ptimer) || !isDirect(state, Timer.vtimer)) return;
    if (canBeDue(ptimer) && canBeDue(vtimer)) this.#constraints.earliest(event, ptimer.save, vtimer.save);
  }

  /**
   * kvm_bg_timer_expire with another arming: the earliest deadline is still to come (kvm_timer_earliest_exp), and the
   * timer goes off that much later than it would have, or than the callback has read the clock (hrtimer_forward_now).
   *
   * @returns whether it is the callback that arms
   */
  #rearmed(fired: TimerEvent, event: TimerEvent, state: VcpuState, vcpu: VcpuTiming): boolean {
    const isCallback = event.cpu === fired.cpu && event.time - fired.time < callbackSpan;
    const { clock } = this.#constraints;
    const late = event.time - clock.offset + clock.slack - vcpu.armedExpires;
    const isTimed = clock.known && event.expires > vcpu.armedExpires && late >= 0;
    for (let timer = Timer.ptimer; isCallback && timer <= Timer.vtimer; timer++) {
      const context = state.contexts[timer] as TimerContext;
      if (!isDirect(state, timer) || !canBeDue(context)) continue;
      this.#constraints.rearmed(fired, event, timer, context.save);
      if (!isTimed || !this.#isAlone(state, vcpu, timer, event.expires)) continue;
      const until = event.expires - (event.time - fired.time) - rounding;
      this.#constraints.constrain(Evidence.armed, event, timer, context.save, event.expires + late + rounding, until);
    }
    this.#dropFired(vcpu);
    return isCallback;
  }

  /** Armed for a timer that cannot fire: bg-armed-only-when-blocked tells of it, and no other deadline is meant. */
  #isForSilent(state: VcpuState, expires: number): boolean {
    for (let timer = Timer.ptimer; timer <= Timer.vtimer; timer++) {
      const { saveValid, save, ctl } = state.contexts[timer] as TimerContext;
      if (saveValid && !canFire(ctl) && this.#constraints.expiresAt(state.index, timer, save, expires) === 1)
        return true;
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
      if (!isDirect(state, timer) || !canBeDue(context)) continue;
      // The callback reads the counter itself, later than the `now` of its record.
      if (this.#isAlone(state, vcpu, timer, vcpu.armedExpires))
        this.#constraints.notBefore(Evidence.fired, fired, timer, context.save);
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
      return (
        (context.ctl & Ctl.enable) === 0 || this.#constraints.expiresAt(state.index, other, context.save, expires) === 0
      );
    }
    if (state.emulPtimer !== other) return false;
    return (
      vcpu.emulated === Emulated.silent ||
      (vcpu.emulated === Emulated.armed && this.#constraints.clock.known && vcpu.emulatedExpires > expires + same)
    );
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

/** Whether the background timer may be for a context: it is in memory, and can fire (kvm_timer_irq_can_fire). */
function canBeDue({ loaded, saveValid, ctl }: TimerContext): boolean {
  return loaded === no && saveValid && canFire(ctl);
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
