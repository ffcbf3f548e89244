import { Register, Timer, type TimerEvent, writableCtl } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import type { Machine } from '../../machine/machine.js';
import { no, type TimerContext, type VcpuState, yes } from '../../machine/state.js';
import type { Assumptions } from './assumptions.js';
import type { StimulusQueue } from './queue.js';
import { GuestTimer } from './registers.js';
import { Act, Stimulus } from './stimulus.js';

/** ESR_ELx.EC of WFI and WFE. */
const wfxClass = 0x01;

/** How fast CLOCK_MONOTONIC may move against the trace's clock, beyond what adjtimex allows since clocks are emulated, too. */
const mostSlew = 1e-3;

/** What is remembered of a vcpu of the recording. */
class Vcpu {
  readonly timer: GuestTimer;
  loaded = false;
  inGuest = false;
  /** The exit was taken for this expiry, so that the stay wrote nothing after it. */
  expiredInStay = false;
  blocked = false;
  /** The scheduler has taken the thread off; whether it sleeps. */
  switchedOut = false;
  sleeping = false;
  /** Entered since the last flush or sync. */
  flushed = false;
  entered = false;
  exitClass = -1;
  exitTime = 0;
  loadTime = 0;
  putTime = 0;
  interruptTime = Number.NaN;
  /** When the background timer fired, until it is seen what its callback did. */
  firedAt = Number.NaN;
  /** The load of which it is not known yet whether it is KVM_RUN's. */
  load: Stimulus | undefined;
  /** Serial of the save that was looked at last. */
  seen = 0;
  wasLoaded = false;

  constructor(
    readonly index: number,
    assumptions: Assumptions,
  ) {
    this.timer = new GuestTimer(assumptions);
  }
}

/**
 * Takes from a recording what the guest, the scheduler and userspace did, without what the recorded kernel's timer code
 * made of it: what another design is to be shown. Memory does not grow with the recording.
 */
export class StimulusExtractor {
  readonly #vcpus: Vcpu[] = [];
  /** CLOCK_MONOTONIC less the trace's time, nanoseconds; NaN until an hrtimer has told. */
  #monotonic = Number.NaN;
  #monotonicAt = 0;
  /** The recorded kernel's level is that of the timer before every entry, or after every exit. */
  #levelAtEntry = false;
  #levelAtExit = false;
  /** Its handler reports a level only if it was low. */
  #silentHandler = false;
  /** It loads the vcpu for every ioctl, not for KVM_RUN alone. */
  #loadsForIoctls = true;

  constructor(
    readonly queue: StimulusQueue,
    readonly assumptions: Assumptions,
  ) {}

  /** @param recorded model of the kernel that recorded, undefined where it is not known */
  begin(recorded: string | undefined): void {
    this.#levelAtEntry = recorded === 'world-switch';
    this.#levelAtExit = recorded === 'rfc-load-put' || recorded === 'load-put-4.15';
    this.#silentHandler = recorded === 'load-put-4.15';
    this.#loadsForIoctls = recorded === undefined || this.#levelAtEntry || this.#levelAtExit;
  }

  event(event: TimerEvent, machine: Machine): void {
    const { kind } = event;
    if (kind === Kind.lost) return this.#lost();
    if (event.vcpu < 0 || event.cpu < 0) return;
    const state = machine.vcpu(event.vcpu);
    this.#vcpus[event.vcpu] ??= new Vcpu(event.vcpu, this.assumptions);
    const vcpu = this.#vcpus[event.vcpu] as Vcpu;
    this.#fired(event, vcpu);
    this.#act(event, state, vcpu);
    this.#evidence(event, state, vcpu);
    this.queue.release();
  }

  end(): void {
    for (const vcpu of this.#vcpus) vcpu?.timer.forget();
    this.queue.end();
  }

  // --- acts -------------------------------------------------------------------

  #act(event: TimerEvent, state: VcpuState, vcpu: Vcpu): void {
    switch (event.kind) {
      case Kind.load:
        return this.#load(event, vcpu);
      case Kind.put:
        return this.#put(event, vcpu);
      case Kind.sched_switch:
        // The thread that goes; the one that comes is told by its load.
        if (!vcpu.loaded || vcpu.switchedOut) return;
        vcpu.switchedOut = true;
        vcpu.sleeping = event.sleeping === 1;
        vcpu.putTime = event.time;
        return this.#ran(vcpu);
      case Kind.flush:
        if (vcpu.flushed && !vcpu.entered) this.#add(event, vcpu, Act.abort);
        this.#ran(vcpu);
        vcpu.flushed = true;
        vcpu.entered = false;
        return;
      case Kind.sync:
        if (!vcpu.entered && vcpu.loaded && vcpu.exitTime > 0) this.#add(event, vcpu, Act.abort);
        vcpu.flushed = false;
        vcpu.entered = false;
        return;
      case Kind.entry:
        return this.#entry(event, vcpu);
      case Kind.exit:
        return this.#exit(event, state, vcpu);
      case Kind.schedule:
        this.#ran(vcpu);
        if (!vcpu.blocked) this.#add(event, vcpu, Act.block);
        vcpu.blocked = true;
        return;
      case Kind.unschedule:
        if (vcpu.blocked) this.#add(event, vcpu, Act.unblock);
        vcpu.blocked = false;
        return;
      case Kind.user_write:
        return this.#userWrite(event, vcpu);
      case Kind.reset:
        // Before the first run there is nothing to reset.
        if (vcpu.exitTime > 0) this.#add(event, vcpu, Act.reset);
        vcpu.timer.userWrite(0, 0, 0, event.time);
        return;
      case Kind.trapped_access:
        if (event.timer === Timer.ptimer) this.assumptions.add('physical-timer');
        return;
      default:
    }
  }

  #of(event: TimerEvent, vcpu: Vcpu, act: Act): Stimulus {
    const stimulus = new Stimulus(act, event.time, event.cpu);
    stimulus.vcpu = vcpu.index;
    return stimulus;
  }

  /** @param open what it was is not known yet: it waits */
  #add(event: TimerEvent, vcpu: Vcpu, act: Act, open = false): Stimulus {
    const stimulus = this.#of(event, vcpu, act);
    stimulus.open = open;
    this.queue.add(stimulus);
    return stimulus;
  }

  #load(event: TimerEvent, vcpu: Vcpu): void {
    if (vcpu.loaded && vcpu.load !== undefined) this.#ran(vcpu);
    vcpu.loaded = true;
    vcpu.loadTime = event.time;
    const stimulus = this.#add(event, vcpu, Act.load, true);
    stimulus.scheduled = vcpu.switchedOut;
    // What follows tells whether it was KVM_RUN, and a restore what userspace has written before.
    vcpu.load = stimulus;
    vcpu.switchedOut = false;
  }

  /** The vcpu does what only KVM_RUN does: its load was that one's. */
  #ran(vcpu: Vcpu): void {
    if (vcpu.load === undefined) return;
    vcpu.load.open = false;
    vcpu.load = undefined;
  }

  #put(event: TimerEvent, vcpu: Vcpu): void {
    if (!vcpu.switchedOut) vcpu.putTime = event.time;
    if (vcpu.load !== undefined) {
      vcpu.load.runs = !this.#loadsForIoctls;
      this.#ran(vcpu);
    }
    if (vcpu.switchedOut && vcpu.sleeping && !vcpu.blocked && vcpu.exitClass === wfxClass) {
      this.assumptions.add('hook-implied');
      this.#add(event, vcpu, Act.block);
      vcpu.blocked = true;
    }
    vcpu.loaded = false;
    const stimulus = this.#of(event, vcpu, Act.put);
    stimulus.scheduled = vcpu.switchedOut;
    stimulus.sleeping = vcpu.switchedOut && vcpu.sleeping;
    this.queue.add(stimulus);
  }

  #entry(event: TimerEvent, vcpu: Vcpu): void {
    this.#ran(vcpu);
    if (vcpu.blocked) {
      this.assumptions.add('hook-implied');
      this.#add(event, vcpu, Act.unblock);
      vcpu.blocked = false;
    }
    this.#add(event, vcpu, Act.entry);
    vcpu.loaded = true;
    vcpu.entered = true;
    vcpu.inGuest = true;
    vcpu.expiredInStay = false;
  }

  #exit(event: TimerEvent, state: VcpuState, vcpu: Vcpu): void {
    const known = vcpu.inGuest;
    vcpu.inGuest = false;
    vcpu.exitClass = event.exceptionClass;
    vcpu.exitTime = event.time;
    // A recording that begins in the guest.
    if (!known) return;
    const stimulus = this.#of(event, vcpu, Act.exit);
    stimulus.code = event.exitCode;
    stimulus.exceptionClass = event.exitCode === 0 ? -1 : event.exceptionClass;
    // The timer still fires: the stay has left it alone.
    const alone = this.#levelAtExit && !vcpu.expiredInStay && state.contexts[Timer.vtimer]?.level === yes;
    if (alone) vcpu.timer.stayed();
    else vcpu.timer.stay(stimulus, vcpu.expiredInStay);
    this.queue.add(stimulus);
  }

  #userWrite(event: TimerEvent, vcpu: Vcpu): void {
    if (event.timer !== Timer.vtimer) return;
    if (event.register === Register.cnt) {
      this.#add(event, vcpu, Act.writeCounter);
      return;
    }
    if (!event.hasValue || (event.register !== Register.ctl && event.register !== Register.cval)) return;
    const ctl = event.register === Register.ctl ? event.valueLo & writableCtl : undefined;
    const written = vcpu.timer.userWrite(ctl, event.valueHi, event.valueLo, event.time);
    const stimulus = this.#add(event, vcpu, Act.write, true);
    stimulus.only = ctl === undefined ? 'cval' : 'ctl';
    stimulus.program(written.ctl, written.deadline);
  }

  #lost(): void {
    this.assumptions.add('records-lost');
    for (const vcpu of this.#vcpus) {
      if (vcpu === undefined) continue;
      vcpu.timer.forget();
      this.#ran(vcpu);
    }
    this.queue.release();
  }

  // --- evidence ---------------------------------------------------------------

  #evidence(event: TimerEvent, state: VcpuState, vcpu: Vcpu): void {
    const { kind, time } = event;
    if (kind === Kind.restore && event.timer === Timer.vtimer && event.hasCval) return this.#restored(event, vcpu);
    if (kind === Kind.bg_expire) {
      if (event.expires > 0) this.#clock(event.expires, time);
      if (vcpu.blocked) vcpu.firedAt = time;
    } else if (kind === Kind.bg_arm) {
      if (vcpu.blocked && event.expires > 0 && !Number.isNaN(this.#monotonic))
        vcpu.timer.armed(Math.max(time, event.expires - this.#monotonic));
    } else if (kind === Kind.vtimer_irq && event.timer !== Timer.ptimer) vcpu.interruptTime = time;
    else if (kind === Kind.entry) {
      const { level } = state.contexts[Timer.vtimer] as TimerContext;
      if (this.#levelAtEntry && level === yes) vcpu.timer.stillHigh(vcpu.exitTime > 0 ? vcpu.exitTime : vcpu.loadTime);
    } else if (kind === Kind.vtimer_irq_end) this.#taken(state, vcpu);
    else if (kind === Kind.update_irq && event.timer === Timer.vtimer && event.level === 1)
      this.#raised(event, state, vcpu);
    this.#saved(event, state, vcpu);
  }

  /** An expiry is recorded after its `now` was read, sooner or later: the soonest tells the clocks' distance best. */
  #clock(now: number, time: number): void {
    const slewed = this.#monotonic - (time - this.#monotonicAt) * mostSlew;
    this.#monotonic = Number.isNaN(slewed) ? now - time : Math.max(now - time, slewed);
    this.#monotonicAt = time;
  }

  /** The background timer has fired: unless its callback has armed it again, being early, the deadline has passed. */
  #fired({ kind }: TimerEvent, vcpu: Vcpu): void {
    if (Number.isNaN(vcpu.firedAt) || kind === Kind.bg_cancel || kind === Kind.timer_callback_end) return;
    if (kind !== Kind.bg_arm) vcpu.timer.expired(vcpu.firedAt, false);
    vcpu.firedAt = Number.NaN;
  }

  /** The level went up, or is still up: the timer has expired. */
  #raised(event: TimerEvent, state: VcpuState, vcpu: Vcpu): void {
    const { interruptTime } = vcpu;
    let { time } = event;
    if (!Number.isNaN(interruptTime)) {
      time = interruptTime;
      if (vcpu.inGuest) vcpu.expiredInStay = true;
    } else if (state.last[Kind.sync].serial > state.last[Kind.flush].serial && vcpu.exitTime > vcpu.loadTime)
      time = Math.min(time, vcpu.exitTime);
    // In a load, from memory.
    else if (event.pid === state.last[Kind.load].pid && vcpu.loadTime > vcpu.exitTime) time = vcpu.loadTime;
    vcpu.timer.expired(time, vcpu.inGuest);
  }

  /**
   * The handler of 4.15 reports no level that is high already. That the interrupt came again tells that the guest had ended
   * the one before, and what it then armed has expired in the same stay.
   */
  #taken(state: VcpuState, vcpu: Vcpu): void {
    const { interruptTime } = vcpu;
    vcpu.interruptTime = Number.NaN;
    if (!this.#silentHandler || !vcpu.inGuest || vcpu.expiredInStay || Number.isNaN(interruptTime)) return;
    if (state.contexts[Timer.vtimer]?.level !== yes) return;
    vcpu.expiredInStay = true;
    vcpu.timer.expired(interruptTime, true);
  }

  /** What a load writes back, if userspace has not written it: the last save. */
  #restored(event: TimerEvent, vcpu: Vcpu): void {
    const { timer, load } = vcpu;
    const written = timer.shown(event.ctl, event.cvalHi, event.cvalLo, vcpu.loadTime, event.time);
    if (written === undefined || load === undefined) return;
    this.assumptions.add('userspace-write');
    load.ctl = event.ctl & writableCtl;
    load.deadline = written === 'off' ? undefined : written;
  }

  /** The memory copy of a timer that is not loaded, where a record has shown it anew. */
  #saved(event: TimerEvent, state: VcpuState, vcpu: Vcpu): void {
    const context = state.contexts[Timer.vtimer];
    if (context === undefined || context.loaded !== no || !context.saveValid) return;
    if (context.save.serial === vcpu.seen) return;
    vcpu.seen = context.save.serial;
    const { kind, time } = event;
    // It was read at the exit; or in the put, with interrupts off: nobody took the interrupt before.
    const since = kind === Kind.sync ? vcpu.exitTime : time;
    const written = vcpu.timer.shown(context.ctl, context.cvalHi, context.cvalLo, since, time);
    if (written === undefined || state.inGuest === yes) return;
    this.assumptions.add('userspace-write');
    const stimulus = this.#add(event, vcpu, Act.write, true);
    stimulus.program(context.ctl & writableCtl, written === 'off' ? undefined : written);
  }
}
