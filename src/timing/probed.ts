import { Context, Ctl, callbackSpan, canFire, Timer, type TimerEvent } from '../events/event.js';
import { Kind, kindSet } from '../events/kinds.js';
import type { Machine } from '../machine/machine.js';
import { no, type TimerContext } from '../machine/state.js';
import { Evidence } from './evidence.js';
import { type Constraints, type Gatherer, rounding, same } from './gatherer.js';

/** Longest time between the call of kvm_timer_schedule and the arming in it, nanoseconds. */
const longestBlock = 1_000_000_000;
/** ISTATUS may lag the counter in an emulator (specification §4.8, point 7), nanoseconds. */
const lag = 10_000_000;

/** What is known of the hrtimer of the physical timer, which is emulated from 4.11 on, and not there before. */
enum Emulated {
  unknown,
  /** An entry has shown that it cannot fire, or has expired: nothing was armed for it. */
  silent,
  armed,
}

/** By kind: 1 for those that tell something. */
const ofInterest = kindSet([
  Kind.schedule,
  Kind.unschedule,
  Kind.halt_end,
  Kind.entry,
  Kind.put,
  Kind.timer_load,
  Kind.timer_put,
  Kind.save,
  Kind.restore,
  Kind.bg_arm,
  Kind.bg_cancel,
  Kind.bg_expire,
  Kind.soft_arm,
  Kind.soft_cancel,
  Kind.soft_expire,
  Kind.load,
  Kind.wakeup,
  Kind.flush,
  Kind.sync,
  Kind.update_irq,
  Kind.user_write,
  Kind.reset,
  Kind.userspace_exit,
  Kind.lost,
]);

/** What is remembered of one vcpu beside the machine. */
class VcpuTiming {
  /** When kvm_timer_schedule began, which reads the counter; NaN outside of it. */
  blockingSince = Number.NaN;
  emulated = Emulated.unknown;
  /** CLOCK_MONOTONIC for which the physical timer's hrtimer, and the background timer, were armed last. */
  emulatedExpires = Number.NaN;
  armedExpires = Number.NaN;
  /** An arming, and a save, whose registers no record has shown yet. */
  armed: TimerEvent | undefined;
  saved: TimerEvent | undefined;
  /** The bounds of that arming, see `Constraints.constrain`. */
  from = Number.NaN;
  until = Number.NaN;
  /** The call of kvm_timer_update_state whose outcome has not shown yet. */
  evaluated: TimerEvent | undefined;
  /** A background callback that may still arm the timer again. */
  fired: TimerEvent | undefined;
}

/**
 * What kernels up to 5.0 show of deadlines where probes have read the timer in memory. The background timer is armed in
 * kvm_timer_schedule, by which time 4.14 and older have the registers in memory since the exit; those of later kernels
 * and of the RFC are read in the same call, and shown by the next probe of a function that finds the timer not loaded.
 */
export class ProbedEvidence implements Gatherer {
  readonly #machine: Machine;
  readonly #constraints: Constraints;
  readonly #records: (kind: Kind) => boolean;
  readonly #vcpus: VcpuTiming[] = [];

  constructor(machine: Machine, constraints: Constraints, records: (kind: Kind) => boolean) {
    this.#machine = machine;
    this.#constraints = constraints;
    this.#records = records;
  }

  event(event: TimerEvent): void {
    if (ofInterest[event.kind] === 0) return;
    switch (event.kind) {
      case Kind.lost:
        for (const vcpu of this.#vcpus) forget(vcpu);
        this.#constraints.doubt();
        return;
      case Kind.userspace_exit:
        this.#constraints.userspaceRan(event.time);
        return;
      case Kind.soft_arm:
        // Somebody's, of whom it is not true that nothing was armed.
        if (event.vcpu < 0 && event.context !== Context.hardirq)
          for (const vcpu of this.#vcpus) armEmulated(vcpu, event.expires);
        break;
      case Kind.update_irq:
        // Somebody's, of whom it is not true that the level stays.
        if (event.vcpu < 0) for (const vcpu of this.#vcpus) dropEvaluated(vcpu);
        break;
      case Kind.soft_expire:
      case Kind.bg_expire:
        if (event.expires > 0) this.#constraints.expiry(event);
        break;
      default:
    }
    if (event.vcpu >= 0) this.#ofVcpu(event, this.#vcpu(event.vcpu));
  }

  #ofVcpu(event: TimerEvent, vcpu: VcpuTiming): void {
    if (vcpu.evaluated !== undefined) this.#evaluated(vcpu.evaluated, event, vcpu);
    switch (event.kind) {
      case Kind.flush:
      case Kind.sync:
        this.#evaluates(event, vcpu);
        return;
      case Kind.schedule:
        vcpu.blockingSince = event.time;
        return;
      case Kind.unschedule:
      case Kind.halt_end:
        vcpu.blockingSince = Number.NaN;
        this.#notArmedAgain(event, vcpu);
        return;
      case Kind.put:
        vcpu.blockingSince = Number.NaN;
        return;
      case Kind.entry:
        vcpu.blockingSince = Number.NaN;
        dropFired(vcpu);
        // Load, or up to 4.14 flush, has armed its hrtimer if it can fire.
        if (vcpu.emulated !== Emulated.armed) vcpu.emulated = Emulated.silent;
        forgetHidden(vcpu);
        return;
      case Kind.soft_arm:
        if (event.context !== Context.hardirq) armEmulated(vcpu, event.expires);
        return;
      case Kind.bg_cancel:
      case Kind.soft_cancel:
      case Kind.soft_expire:
        if (vcpu.emulated === Emulated.armed) vcpu.emulated = Emulated.unknown;
        return;
      case Kind.bg_arm:
        this.#armed(event, vcpu);
        return;
      case Kind.bg_expire:
        vcpu.fired?.release();
        vcpu.fired = event.retain();
        return;
      case Kind.load:
      case Kind.wakeup:
        this.#notArmedAgain(event, vcpu);
        return;
      case Kind.save:
        if (event.timer !== Timer.vtimer || event.hasCval) return;
        vcpu.saved?.release();
        vcpu.saved = event.retain();
        return;
      case Kind.restore:
        if (event.timer === Timer.vtimer) this.#shown(event, vcpu);
        return;
      case Kind.timer_load:
      case Kind.timer_put:
        if (event.loaded === 0) this.#shown(event, vcpu);
        return;
      case Kind.user_write:
      case Kind.reset:
        forgetHidden(vcpu);
        return;
      default:
    }
  }

  /**
   * kvm_timer_schedule: timer_arm, or soft_timer_start, at now + delta. The counter is read for the delta after the
   * call has begun, and the clock for the sum before the record.
   */
  #armed(event: TimerEvent, vcpu: VcpuTiming): void {
    const { fired } = vcpu;
    const isRearmed = fired !== undefined && fired.cpu === event.cpu && event.time - fired.time < callbackSpan;
    dropFired(vcpu);
    if (isRearmed || event.context === Context.hardirq) {
      vcpu.armedExpires = event.expires;
      return;
    }
    const stall = event.time - vcpu.blockingSince;
    // Outside of the call flush of 4.11 to 4.14 uses the same hrtimer for the physical timer.
    if (!(stall >= 0)) return armEmulated(vcpu, event.expires);
    vcpu.armedExpires = event.expires;
    const { clock } = this.#constraints;
    if (!(event.expires > 0) || !clock.known) return;
    const now = event.time - clock.offset;
    const isFuture = event.expires > now + clock.slack + rounding && stall < longestBlock;
    const isAlone = this.#isAlone(vcpu, event.expires);
    if (!isAlone && !isFuture) return;
    const from = isAlone ? event.expires + rounding : Number.NaN;
    const until = isFuture ? event.expires - stall - rounding : Number.NaN;
    const context = this.#context(event.vcpu);
    if (context.loaded === no && context.saveValid) {
      if (canFire(context.ctl))
        this.#constraints.constrain(Evidence.armed, event, Timer.vtimer, context.save, from, until);
      return;
    }
    vcpu.armed?.release();
    vcpu.armed = event.retain();
    vcpu.from = from;
    vcpu.until = until;
  }

  /**
   * kvm_timer_flush_hwstate and kvm_timer_sync_hwstate of 4.14 and older, which call kvm_timer_update_state; with those
   * of later kernels the timer is loaded. That the level stays shows only where kvm_timer_update_irq is recorded.
   */
  #evaluates(event: TimerEvent, vcpu: VcpuTiming): void {
    if (!this.#records(Kind.update_irq)) return;
    const isCurrent = event.hasCval && event.level >= 0 && this.#context(event.vcpu).loaded === no;
    if (isCurrent && canFire(event.ctl)) vcpu.evaluated = event.retain();
  }

  /** The vcpu's next event tells whether it has found the level to change. */
  #evaluated(call: TimerEvent, event: TimerEvent, vcpu: VcpuTiming): void {
    vcpu.evaluated = undefined;
    const isReport = event.kind === Kind.update_irq && event.timer === Timer.vtimer;
    // Between the call and its outcome only an interrupt can be recorded, which tells nothing.
    if (event.context !== Context.hardirq && event.pid === call.pid) {
      const level = isReport ? event.level : call.level;
      if (level === 1) this.#constraints.notBefore(Evidence.foundExpired, event, Timer.vtimer, call);
      else this.#constraints.notAfter(Evidence.foundPending, call, Timer.vtimer, call, call.time);
    }
    call.release();
  }

  /** A probe has read the memory copy, which is what the last save has read from the hardware. */
  #shown(event: TimerEvent, vcpu: VcpuTiming): void {
    // On a CPU without records it may have been loaded, and saved anew.
    if (event.hasCval && event.ctl >= 0 && !this.#machine.vcpu(event.vcpu).unseen) {
      const { armed, saved } = vcpu;
      if (saved !== undefined && (event.ctl & Ctl.enable) !== 0) this.#saved(saved, event);
      if (armed !== undefined && canFire(event.ctl))
        this.#constraints.constrain(Evidence.armed, armed, Timer.vtimer, event, vcpu.from, vcpu.until);
    }
    forgetHidden(vcpu);
  }

  /** What the hardware said of its own deadline. */
  #saved(saved: TimerEvent, shown: TimerEvent): void {
    if ((shown.ctl & Ctl.istatus) !== 0)
      this.#constraints.notBefore(Evidence.savedExpired, saved, Timer.vtimer, shown, true);
    else this.#constraints.notAfter(Evidence.savedPending, saved, Timer.vtimer, shown, saved.time - lag);
  }

  /** The callback without another arming: an earliest deadline has passed. */
  #notArmedAgain(event: TimerEvent, vcpu: VcpuTiming): void {
    const { fired } = vcpu;
    if (fired === undefined) return;
    if (event.kind === Kind.wakeup && event.cpu !== fired.cpu) return;
    vcpu.fired = undefined;
    // Elsewhere somebody may load the vcpu while the callback still runs.
    const isOver = event.cpu === fired.cpu || event.time - fired.time > same;
    const { loaded, saveValid, ctl, save } = this.#context(event.vcpu);
    if (isOver && loaded === no && saveValid && canFire(ctl) && this.#isAlone(vcpu, vcpu.armedExpires))
      this.#constraints.notBefore(Evidence.fired, fired, Timer.vtimer, save);
    fired.release();
  }

  /** Whether the physical timer cannot be the one that a background timer at this time is for. */
  #isAlone(vcpu: VcpuTiming, expires: number): boolean {
    if (vcpu.emulated === Emulated.silent) return true;
    return vcpu.emulated === Emulated.armed && vcpu.emulatedExpires > expires + same;
  }

  #context(vcpu: number): TimerContext {
    return this.#machine.vcpu(vcpu).contexts[Timer.vtimer] as TimerContext;
  }

  #vcpu(index: number): VcpuTiming {
    while (this.#vcpus.length <= index) this.#vcpus.push(new VcpuTiming());
    return this.#vcpus[index] as VcpuTiming;
  }
}

function armEmulated(vcpu: VcpuTiming, expires: number): void {
  vcpu.emulated = Emulated.armed;
  vcpu.emulatedExpires = expires;
}

function dropFired(vcpu: VcpuTiming): void {
  vcpu.fired?.release();
  vcpu.fired = undefined;
}

/** No record will show the registers any more that were of interest. */
function forgetHidden(vcpu: VcpuTiming): void {
  vcpu.armed?.release();
  vcpu.saved?.release();
  vcpu.armed = undefined;
  vcpu.saved = undefined;
}

function dropEvaluated(vcpu: VcpuTiming): void {
  vcpu.evaluated?.release();
  vcpu.evaluated = undefined;
}

function forget(vcpu: VcpuTiming): void {
  dropFired(vcpu);
  forgetHidden(vcpu);
  dropEvaluated(vcpu);
  vcpu.blockingSince = Number.NaN;
  vcpu.armedExpires = Number.NaN;
  vcpu.emulated = Emulated.unknown;
}
