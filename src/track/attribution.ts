import {
  Certainty,
  Context,
  callbackSpan,
  defaultPpi,
  isGicv5Ppi,
  isVirtual,
  Timer,
  type TimerEvent,
} from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { formatU64, U64Map } from '../events/u64.js';
import type { CpuTrack } from './cpu-track.js';
import { irqKinds, runKinds, taskKinds } from './kinds.js';
import { type Thread, Threads, type Vcpu } from './threads.js';

/** Tells to which vcpu an event belongs, and learns from it who is who (specification §3.5). */
export class Attribution {
  readonly threads = new Threads();
  /** hrtimer pointer to its vcpu. */
  readonly #bgTimers = new U64Map<Vcpu>();
  readonly #softTimers = new U64Map<{ vcpu: Vcpu; timer: number }>();
  /** Linux irq number to timer context. */
  readonly #timerIrqs = new Map<number, number>();
  /** Guest INTID to timer context, where userspace chose other PPIs than 27 and 30. */
  readonly #guestIrqs = new Map<number, number>();

  /** An event whose notation names its vcpu by VM and id. */
  named(thread: Thread, event: TimerEvent, inTask: boolean): Vcpu {
    const vcpu = this.threads.ofName(event.vm, event.vcpuId, event.pid);
    if (inTask && taskKinds[event.kind] === 1) {
      vcpu.pid = event.pid;
      thread.vcpu = vcpu;
    }
    this.attribute(event, vcpu, Certainty.recorded);
    if (event.kind === Kind.timer_map) learnMap(vcpu, event);
    if (event.timer === Timer.unknown) this.#timerOf(event, vcpu);
    this.#learnTimers(event, vcpu);
    return vcpu;
  }

  /** What the CPU was doing, when the flags column does not tell: from handler brackets and entry..exit. */
  context(cpu: CpuTrack, thread: Thread, event: TimerEvent): number {
    if (taskKinds[event.kind] === 1) return Context.task;
    if (irqKinds[event.kind] === 1) return Context.hardirq;
    if (cpu.irqDepth > 0 || cpu.timerIrq >= 0 || cpu.callbackOpen) return Context.hardirq;
    // Between entry and exit a vcpu thread runs nothing but interrupts (§0.5, point 1).
    return thread.vcpu?.inGuest === 1 ? Context.hardirq : Context.unknown;
  }

  /** The vcpu of any other event; sets the event's vcpu, its certainty, and the timer where it can be told. */
  who(cpu: CpuTrack, thread: Thread, event: TimerEvent, inTask: boolean): Vcpu | undefined {
    switch (event.kind) {
      case Kind.entry:
      case Kind.exit:
      case Kind.save:
      case Kind.restore:
      case Kind.wfx:
      case Kind.halt_end:
      case Kind.emulate: {
        // Up to 4.16 any thread of the VMM loads a vcpu for an ioctl: a probe of the restore shows which.
        let vcpu = event.hasVcpuPointer ? this.threads.bind(thread, event) : this.threads.ofThread(thread);
        if (vcpu.id < 0) vcpu.id = event.vcpuId >= 0 ? event.vcpuId : thread.mapId;
        if (runKinds[event.kind] === 1 && vcpu.runner !== event.pid) vcpu = this.threads.run(thread, vcpu, event);
        if (event.kind === Kind.entry) vcpu.entrant = event.pid;
        if (event.kind === Kind.emulate) thread.emulated = event.timer;
        return this.attribute(event, vcpu, event.kind === Kind.entry ? Certainty.recorded : Certainty.derived);
      }
      case Kind.trapped_access:
        // In a hypervisor with E2H the names of EL0 mean its own timers (access_arch_timer), and no record shows E2H.
        if (isEl1Timer(event.timer) && thread.vcpu !== undefined && inHypervisor(thread.vcpu))
          event.timer = Timer.unknown;
        return this.attribute(event, thread.vcpu, Certainty.derived);
      case Kind.userspace_exit:
      case Kind.sched_switch:
        return this.attribute(event, thread.vcpu, Certainty.derived);
      case Kind.load:
      case Kind.put:
      case Kind.timer_load:
      case Kind.timer_put:
      case Kind.schedule:
      case Kind.unschedule:
      case Kind.flush:
      case Kind.sync:
      case Kind.enable:
      case Kind.vcpu_pointer:
        return this.#ownCall(thread, event);
      case Kind.reset:
      case Kind.user_write:
        return this.#foreignCall(thread, event);
      case Kind.timer_map:
        return this.#timerMap(cpu, thread, event, inTask);
      case Kind.update_irq:
        return this.#updateIrq(cpu, thread, event, inTask);
      case Kind.vgic_inject:
        return this.#vgicInject(cpu, thread, event, inTask);
      case Kind.bg_arm:
      case Kind.bg_cancel:
      case Kind.bg_expire:
      case Kind.expiry_work:
        return this.#background(thread, event, inTask);
      case Kind.soft_arm:
      case Kind.soft_cancel:
      case Kind.soft_expire:
      case Kind.timer_callback_end:
        return this.#soft(cpu, thread, event, inTask);
      case Kind.vtimer_irq:
      case Kind.vtimer_irq_end:
        return this.#timerIrq(cpu, thread, event);
      case Kind.wakeup:
        if (event.hasVcpuPointer)
          return this.attribute(
            event,
            this.threads.byPointer(event.vcpuPointerHi, event.vcpuPointerLo),
            Certainty.recorded,
          );
        return this.attribute(event, this.threads.find(event.otherPid)?.vcpu, Certainty.derived);
      case Kind.set_active:
      case Kind.mask_irq:
      case Kind.set_affinity:
        if (event.timer === Timer.unknown) event.timer = this.#timerIrqs.get(event.irq) ?? Timer.unknown;
        if (event.timer === Timer.unknown && inTask) {
          if (event.kind === Kind.set_affinity) this.#clearedInPut(thread, event);
          else if (event.kind === Kind.set_active) this.#setInLoad(cpu, thread, event);
        }
        event.timer = direct(event.timer, inTask ? thread.vcpu : cpu.running);
        return this.attribute(event, inTask ? thread.vcpu : cpu.running, Certainty.derived);
      case Kind.set_cntpoff:
      case Kind.set_traps:
        return this.attribute(event, inTask ? thread.vcpu : undefined, Certainty.derived);
      case Kind.set_cntvoff:
        if (inTask && thread.vcpu !== undefined && event.hasValue) this.#learnOffset(thread.vcpu, event);
        return this.attribute(event, inTask ? thread.vcpu : undefined, Certainty.derived);
      default:
        return undefined;
    }
  }

  /** A function that runs in the vcpu's own thread; a probe's pointer binds the two. */
  #ownCall(thread: Thread, event: TimerEvent): Vcpu | undefined {
    let vcpu: Vcpu;
    if (event.hasVcpuPointer) vcpu = this.threads.bind(thread, event);
    else if (event.kind === Kind.schedule || event.kind === Kind.unschedule || event.kind === Kind.sync) {
      if (thread.vcpu === undefined) return undefined;
      vcpu = thread.vcpu;
    } else vcpu = this.threads.ofThread(thread);
    if (runKinds[event.kind] === 1 && vcpu.runner !== event.pid) vcpu = this.threads.run(thread, vcpu, event);
    if (vcpu.id < 0) vcpu.id = event.vcpuId >= 0 ? event.vcpuId : thread.mapId;
    if (event.hasValue) this.#learnOffset(vcpu, event);
    return this.attribute(event, vcpu, event.hasVcpuPointer ? Certainty.recorded : Certainty.derived);
  }

  /** A function that any thread may call for a vcpu: only a pointer tells which, else it is taken for the thread's own. */
  #foreignCall(thread: Thread, event: TimerEvent): Vcpu | undefined {
    if (!event.hasVcpuPointer) return this.attribute(event, thread.vcpu, Certainty.approximate);
    const vcpu = this.threads.ofPointer(event);
    if (vcpu.id < 0) vcpu.id = event.vcpuId;
    return this.attribute(event, vcpu, Certainty.recorded);
  }

  #timerMap(cpu: CpuTrack, thread: Thread, event: TimerEvent, inTask: boolean): Vcpu | undefined {
    this.threads.ioctlsLoad = false;
    if (!inTask) return this.attribute(event, this.#byId(cpu, event.vcpuId), Certainty.derived);
    thread.mapId = event.vcpuId;
    const vcpu = thread.vcpu;
    if (vcpu === undefined) return this.attribute(event, undefined, Certainty.unknown);
    // A main thread prints maps of vcpus that it does not run; a vcpu thread prints its own.
    if (vcpu.id < 0) vcpu.id = event.vcpuId;
    if (vcpu.id !== event.vcpuId) return this.attribute(event, undefined, Certainty.unknown);
    learnMap(vcpu, event);
    return this.attribute(event, vcpu, Certainty.derived);
  }

  #updateIrq(cpu: CpuTrack, thread: Thread, event: TimerEvent, inTask: boolean): Vcpu | undefined {
    let vcpu: Vcpu | undefined;
    if (!inTask) vcpu = cpu.callbackOpen ? cpu.callback : this.#byId(cpu, event.vcpuId);
    else if (thread.vcpu !== undefined) {
      // Without a flags column: what the vcpu's thread reports of the virtual timer is of the vcpu that it runs, even in
      // an interrupt; the soft timer of another vcpu's physical timer may fire there.
      const own = event.context === Context.task || event.irq === defaultPpi.vtimer;
      if (thread.vcpu.id < 0 && own) thread.vcpu.id = event.vcpuId;
      if (thread.vcpu.id === event.vcpuId) vcpu = thread.vcpu;
    }
    if (vcpu !== undefined && vcpu.id >= 0 && vcpu.id !== event.vcpuId) vcpu = undefined;
    const ppi = ppiOf(event.irq);
    if (isVirtual(cpu.timerIrq) && ppi !== defaultPpi.vtimer && ppi !== defaultPpi.ptimer)
      this.#guestIrqs.set(event.irq, vcpu?.directVtimer ?? Timer.vtimer);
    this.#timerOf(event, vcpu);
    if (inTask && vcpu !== undefined) {
      // A load reports its direct timers in a fixed order, whatever interrupts userspace has chosen for them.
      if (event.timer === Timer.unknown && vcpu.reports === 0) event.timer = vcpu.directVtimer;
      else if (event.timer === Timer.unknown && vcpu.reports === 1 && vcpu.hasDirectPhysical)
        event.timer = vcpu.directPtimer;
      vcpu.reports++;
    }
    cpu.updated = vcpu;
    cpu.updatedIrq = event.irq;
    return this.attribute(event, vcpu, Certainty.derived);
  }

  #vgicInject(cpu: CpuTrack, thread: Thread, event: TimerEvent, inTask: boolean): Vcpu | undefined {
    const updated = cpu.updatedIrq === event.irq ? cpu.updated : undefined;
    const vcpu = updated ?? (inTask ? thread.vcpu : this.#byId(cpu, event.vcpuId));
    this.#timerOf(event, vcpu);
    if (updated !== undefined) return this.attribute(event, updated, Certainty.derived);
    return this.attribute(event, vcpu?.id === event.vcpuId ? vcpu : undefined, Certainty.derived);
  }

  #background(thread: Thread, event: TimerEvent, inTask: boolean): Vcpu | undefined {
    const { hasTimerPointer, timerPointerHi: hi, timerPointerLo: lo } = event;
    const known = hasTimerPointer ? this.#bgTimerOf(hi, lo) : undefined;
    const own = thread.vcpu;
    if (event.kind === Kind.bg_expire && known !== undefined) {
      known.firedCpu = event.cpu;
      known.firedAt = event.time;
    }
    if (event.kind === Kind.bg_arm && inTask && own !== undefined && !isRearmed(known, event)) {
      // Only a thread that puts or blocks its vcpu arms that vcpu's timer; a callback that re-arms borrows its pid.
      const arming = own.putCpu >= 0 || own.waiting;
      if (arming || (known === undefined && own.cpu !== -1)) {
        if (hasTimerPointer && known !== own) this.#bgTimers.set(hi, lo, own);
        return this.attribute(event, own, Certainty.derived);
      }
    }
    if (event.kind === Kind.bg_arm && known !== undefined) known.firedCpu = -1;
    return this.attribute(event, known, Certainty.derived);
  }

  /** The vcpu of a background timer; those of a vcpu that has gone lie where its successor has its own. */
  #bgTimerOf(hi: number, lo: number): Vcpu | undefined {
    const vcpu = this.#bgTimers.get(hi, lo);
    return vcpu?.isGone === true ? undefined : vcpu;
  }

  #soft(cpu: CpuTrack, thread: Thread, event: TimerEvent, inTask: boolean): Vcpu | undefined {
    if (!event.hasTimerPointer) {
      // kvm_timer_hrtimer_expire: inside the callback, and the only sign of it where hrtimers are not recorded.
      const vcpu = cpu.callbackOpen ? cpu.callback : undefined;
      return this.attribute(event, vcpu, Certainty.derived);
    }
    const { timerPointerHi: hi, timerPointerLo: lo } = event;
    if (event.kind === Kind.timer_callback_end) return this.attribute(event, cpu.callback, Certainty.derived);
    let known = this.#softTimers.get(hi, lo);
    if (known?.vcpu.isGone) known = undefined;
    const own = thread.vcpu;
    if (event.kind === Kind.soft_arm && inTask && own !== undefined && own.cpu === event.cpu && known?.vcpu !== own) {
      known = { vcpu: own, timer: thread.emulated };
      this.#softTimers.set(hi, lo, known);
    }
    if (known !== undefined && event.timer === Timer.unknown) event.timer = known.timer;
    return this.attribute(event, known?.vcpu, Certainty.derived);
  }

  #timerIrq(cpu: CpuTrack, thread: Thread, event: TimerEvent): Vcpu | undefined {
    if (event.irq >= 0 && event.timer >= 0) this.#timerIrqs.set(event.irq, event.timer);
    else if (event.timer === Timer.unknown) {
      // A handler probe shows the irq number only; the first guest timer to fire is the virtual one.
      const known = this.#timerIrqs.get(event.irq);
      if (known === undefined && this.#timerIrqs.size === 0 && event.irq >= 0)
        this.#timerIrqs.set(event.irq, Timer.vtimer);
      event.timer = this.#timerIrqs.get(event.irq) ?? Timer.vtimer;
    }
    const vcpu = cpu.known ? cpu.running : thread.vcpu?.inGuest === 1 ? thread.vcpu : undefined;
    event.timer = direct(event.timer, vcpu);
    if (cpu.known || vcpu !== undefined) return this.attribute(event, vcpu, Certainty.derived);
    return this.attribute(event, undefined, Certainty.unknown);
  }

  /** Only the RFC takes an interrupt from the vcpu in its put, and only the virtual timer's. */
  #clearedInPut(thread: Thread, event: TimerEvent): void {
    if (event.level !== 0 || event.irq < 0 || thread.vcpu === undefined || thread.vcpu.putCpu !== event.cpu) return;
    if (this.#timerIrqs.size > 0) return;
    this.#timerIrqs.set(event.irq, Timer.vtimer);
    event.timer = Timer.vtimer;
  }

  /** From 5.1 on a load reports the level of a timer and sets the active state of its interrupt, before the restore. */
  #setInLoad(cpu: CpuTrack, { vcpu }: Thread, event: TimerEvent): void {
    if (event.irq < 0 || vcpu === undefined || vcpu.reports === 0 || vcpu.lowered < 0 || cpu.updated !== vcpu) return;
    const ppi = ppiOf(cpu.updatedIrq);
    if (ppi !== defaultPpi.vtimer && ppi !== defaultPpi.ptimer) return;
    const timer = ppi === defaultPpi.vtimer ? Timer.vtimer : Timer.ptimer;
    for (const known of this.#timerIrqs.values()) if (known === timer) return;
    event.timer = timer;
    this.#timerIrqs.set(event.irq, timer);
  }

  /** In interrupt context an id means the vcpu that is loaded on the CPU, if it has that id. */
  #byId(cpu: CpuTrack, id: number): Vcpu | undefined {
    const vcpu = cpu.running;
    if (vcpu === undefined) return undefined;
    if (vcpu.id < 0) vcpu.id = id;
    return vcpu.id === id ? vcpu : undefined;
  }

  #timerOf(event: TimerEvent, vcpu: Vcpu | undefined): void {
    if (event.timer !== Timer.unknown && event.timer !== Timer.none) return;
    if (event.irq < 0 && (event.kind === Kind.vtimer_irq || event.kind === Kind.vtimer_irq_end))
      event.timer = Timer.vtimer;
    else {
      const ppi = ppiOf(event.irq);
      if (ppi === defaultPpi.vtimer) event.timer = Timer.vtimer;
      else if (ppi === defaultPpi.ptimer) event.timer = Timer.ptimer;
      else if (vcpu?.isNested && ppi === defaultPpi.hvtimer) event.timer = Timer.hvtimer;
      else if (vcpu?.isNested && ppi === defaultPpi.hptimer) event.timer = Timer.hptimer;
      else event.timer = this.#guestIrqs.get(event.irq) ?? Timer.unknown;
    }
  }

  #learnTimers(event: TimerEvent, vcpu: Vcpu): void {
    if (!event.hasTimerPointer) return;
    const { timerPointerHi: hi, timerPointerLo: lo } = event;
    if (event.kind === Kind.bg_arm) this.#bgTimers.set(hi, lo, vcpu);
    else if (event.kind === Kind.soft_arm) this.#softTimers.set(hi, lo, { vcpu, timer: event.timer });
  }

  #learnOffset(vcpu: Vcpu, event: TimerEvent): void {
    if (event.valueHi !== 0 || event.valueLo !== 0) vcpu.offset = formatU64(event.valueHi, event.valueLo);
  }

  /** Gives the event a vcpu, or none. */
  attribute(event: TimerEvent, vcpu: Vcpu | undefined, certainty: number): Vcpu | undefined {
    if (vcpu === undefined) {
      event.vcpu = -1;
      event.attribution = Certainty.unknown;
      return undefined;
    }
    event.vcpu = vcpu.index;
    event.attribution = certainty;
    return vcpu;
  }
}

/** Armed again by its own callback, which interrupts whatever thread there is: the flags column may not be recorded. */
function isRearmed(owner: Vcpu | undefined, event: TimerEvent): boolean {
  return owner !== undefined && owner.firedCpu === event.cpu && event.time - owner.firedAt < callbackSpan;
}

/** What a timer map says of a vcpu. */
function learnMap(vcpu: Vcpu, event: TimerEvent): void {
  vcpu.hasDirectPhysical = event.directPtimer >= 0;
  if (event.directVtimer >= 0) vcpu.directVtimer = event.directVtimer;
  if (event.directPtimer >= 0) vcpu.directPtimer = event.directPtimer;
  vcpu.isNested = event.emulVtimer >= 0;
}

/** The context that holds the registers of a hardware timer: for a hypervisor in the guest that of its own timer. */
function direct(timer: number, vcpu: Vcpu | undefined): number {
  if (vcpu?.isNested !== true || timer < 0) return timer;
  return isVirtual(timer) ? vcpu.directVtimer : vcpu.directPtimer;
}

/** Whether a timer is one of EL1, which every guest has. */
function isEl1Timer(timer: number): boolean {
  return timer === Timer.vtimer || timer === Timer.ptimer;
}

/** Whether the vcpu runs a hypervisor of its own (is_hyp_ctxt), as its last map tells. */
function inHypervisor({ directVtimer }: Vcpu): boolean {
  return directVtimer === Timer.hvtimer;
}

/** The number of a per-CPU interrupt, without the type that a GICv5 guest's has. */
function ppiOf(irq: number): number {
  return isGicv5Ppi(irq) ? irq & 0x1fffffff : irq;
}
