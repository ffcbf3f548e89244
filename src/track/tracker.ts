import { Certainty, Context, defaultPpi, Timer, TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { formatU64, keyU64 } from '../events/u64.js';
import { type Thread, Threads, type Vcpu } from './threads.js';

/** Exception classes after which a vcpu may wait: WFx, HVC64 and SMC64 (PSCI CPU_SUSPEND, CPU_OFF). */
const waitingClasses: readonly number[] = [0x01, 0x12, 0x13, 0x16, 0x17];

/** What a trace records, as far as derivation depends on it: absent probes are made up for, present ones are not. */
export interface Feeds {
  /** kvm_arch_vcpu_load and kvm_arch_vcpu_put are probed. */
  loadProbe: boolean;
  putProbe: boolean;
  /** kvm_timer_vcpu_load and kvm_timer_vcpu_put are probed. */
  timerLoadProbe: boolean;
  timerPutProbe: boolean;
  /** Saves and restores are recorded. */
  saveRestore: boolean;
  /** The blocking hooks are probed. */
  scheduleProbe: boolean;
  /** hrtimer_expire_entry is recorded, so that a callback probe and kvm_timer_hrtimer_expire repeat it. */
  hrtimerExpiry: boolean;
  /** irq_handler_entry is recorded, so that a handler probe repeats it. */
  irqEntry: boolean;
}

/** What a CPU is doing, from the brackets that records make. */
class CpuTrack {
  readonly index: number;
  /** Depth of interrupt handlers known to be running. */
  irqDepth = 0;
  /** The guest timer whose PPI is being handled, -1 none. */
  timerIrq = -1;
  /** The vcpu loaded here, or none; `known` tells none from not known. */
  running: Vcpu | undefined;
  known = false;
  /** A put of this vcpu is under way. */
  putting: Vcpu | undefined;
  /** Vcpu and timer of the hrtimer callback that runs here. */
  callback: Vcpu | undefined;
  callbackOpen = false;
  /** Vcpu and interrupt of the last update_irq, for the vgic record that follows. */
  updated: Vcpu | undefined;
  updatedIrq = -1;
  started = false;

  constructor(index: number) {
    this.index = index;
  }
}

/**
 * Gives every event its vcpu, and derives load, put, schedule and unschedule where no probe recorded them
 * (specification §3.5, §3.6). Derived events go out directly before the record that gives them away, marked with
 * their certainty.
 */
export class Tracker {
  readonly threads = new Threads();
  readonly #feeds: Feeds;
  readonly #emit: (event: TimerEvent) => void;
  readonly #cpus: CpuTrack[] = [];
  readonly #derived = new TimerEvent();
  /** hrtimer pointer to its vcpu. */
  readonly #bgTimers = new Map<number | string, Vcpu>();
  readonly #softTimers = new Map<number | string, { vcpu: Vcpu; timer: number }>();
  /** Linux irq number to timer context. */
  readonly #timerIrqs = new Map<number, number>();
  /** Guest INTID to timer context, where userspace chose other PPIs than 27 and 30. */
  readonly #guestIrqs = new Map<number, number>();
  /** Timer events without a vcpu, by kind. */
  readonly unattributed = new Map<number, number>();

  constructor(feeds: Feeds, emit: (event: TimerEvent) => void) {
    this.#feeds = feeds;
    this.#emit = emit;
  }

  /** Takes one event, attributes it, and emits it after whatever can be derived from it. */
  event(event: TimerEvent): void {
    if (event.cpu < 0) return;
    const cpu = this.#cpu(event.cpu);
    if (event.kind === Kind.lost) {
      this.#lost(cpu, event);
      return;
    }
    if (!cpu.started) {
      // Before the first record of a CPU anything may have happened there (specification §4.0, M2).
      cpu.started = true;
      if (this.threads.vcpus.length > 0) this.#bufferStart(cpu, event);
    }
    const named = event.vm >= 0 && event.vcpuId >= 0;
    const thread = this.threads.get(event.pid);
    if (taskKinds.has(event.kind) || event.context === Context.task) this.#closeBrackets(cpu, event);
    if (event.context === Context.unknown) event.context = this.#context(cpu, thread, event);
    const inTask = event.context !== Context.hardirq && event.context !== Context.softirq;

    let vcpu: Vcpu | undefined;
    if (named) {
      vcpu = this.threads.ofName(event.vm, event.vcpuId, event.pid);
      if (inTask && taskKinds.has(event.kind)) {
        vcpu.pid = event.pid;
        thread.vcpu = vcpu;
      }
      this.#attribute(event, vcpu, Certainty.recorded);
      if (event.timer === Timer.unknown) this.#timerOf(event);
      this.#learnTimers(event, vcpu);
    } else vcpu = this.#who(cpu, thread, event, inTask);
    if (thread.vcpu !== undefined && event.tgid >= 0) thread.vcpu.tgid = event.tgid;

    if (inTask) this.#closePut(cpu, event, vcpu ?? thread.vcpu);
    this.#dispatch(cpu, event, vcpu);
  }

  // --- attribution --------------------------------------------------------

  /** What the CPU was doing, when the flags column does not tell: from handler brackets and entry..exit. */
  #context(cpu: CpuTrack, thread: Thread, event: TimerEvent): number {
    if (taskKinds.has(event.kind)) return Context.task;
    if (irqKinds.has(event.kind)) return Context.hardirq;
    if (cpu.irqDepth > 0 || cpu.timerIrq >= 0 || cpu.callbackOpen) return Context.hardirq;
    // Between entry and exit a vcpu thread runs nothing but interrupts (§0.5, point 1).
    return thread.vcpu?.inGuest === 1 ? Context.hardirq : Context.unknown;
  }

  #who(cpu: CpuTrack, thread: Thread, event: TimerEvent, inTask: boolean): Vcpu | undefined {
    switch (event.kind) {
      case Kind.entry:
      case Kind.exit:
      case Kind.save:
      case Kind.restore:
      case Kind.wfx:
      case Kind.halt_end:
      case Kind.emulate: {
        const vcpu = this.threads.ofThread(thread);
        if (vcpu.id < 0) vcpu.id = thread.mapId;
        if (event.kind === Kind.emulate) thread.emulated = event.timer;
        return this.#attribute(event, vcpu, event.kind === Kind.entry ? Certainty.recorded : Certainty.derived);
      }
      case Kind.userspace_exit:
      case Kind.trapped_access:
      case Kind.sched_switch:
        return this.#attribute(event, thread.vcpu, Certainty.derived);
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
        return this.#attribute(event, this.threads.find(event.otherPid)?.vcpu, Certainty.derived);
      case Kind.set_active:
      case Kind.mask_irq:
      case Kind.set_affinity:
        if (event.timer === Timer.unknown) event.timer = this.#timerIrqs.get(event.irq) ?? Timer.unknown;
        return this.#attribute(event, inTask ? thread.vcpu : cpu.running, Certainty.derived);
      case Kind.set_cntvoff:
        if (inTask && thread.vcpu !== undefined && event.hasValue) this.#learnOffset(thread.vcpu, event);
        return this.#attribute(event, inTask ? thread.vcpu : undefined, Certainty.derived);
      default:
        return undefined;
    }
  }

  /** A function that runs in the vcpu's own thread; a probe's pointer binds the two. */
  #ownCall(thread: Thread, event: TimerEvent): Vcpu | undefined {
    let vcpu: Vcpu;
    if (event.hasVcpuPointer) vcpu = this.threads.bind(thread, event.vcpuPointerHi, event.vcpuPointerLo);
    else if (event.kind === Kind.schedule || event.kind === Kind.unschedule || event.kind === Kind.sync) {
      if (thread.vcpu === undefined) return undefined;
      vcpu = thread.vcpu;
    } else vcpu = this.threads.ofThread(thread);
    if (vcpu.id < 0) vcpu.id = event.vcpuId >= 0 ? event.vcpuId : thread.mapId;
    if (event.hasValue) this.#learnOffset(vcpu, event);
    return this.#attribute(event, vcpu, event.hasVcpuPointer ? Certainty.recorded : Certainty.derived);
  }

  /** A function that any thread may call for a vcpu: only a pointer tells which, else it is taken for the thread's own. */
  #foreignCall(thread: Thread, event: TimerEvent): Vcpu | undefined {
    if (!event.hasVcpuPointer) return this.#attribute(event, thread.vcpu, Certainty.approximate);
    const vcpu = this.threads.ofPointer(event.vcpuPointerHi, event.vcpuPointerLo);
    if (vcpu.id < 0) vcpu.id = event.vcpuId;
    return this.#attribute(event, vcpu, Certainty.recorded);
  }

  #timerMap(cpu: CpuTrack, thread: Thread, event: TimerEvent, inTask: boolean): Vcpu | undefined {
    if (!inTask) return this.#attribute(event, this.#byId(cpu, event.vcpuId), Certainty.derived);
    thread.mapId = event.vcpuId;
    const vcpu = thread.vcpu;
    if (vcpu === undefined) return this.#attribute(event, undefined, Certainty.unknown);
    // A main thread prints maps of vcpus that it does not run; a vcpu thread prints its own.
    if (vcpu.id < 0) vcpu.id = event.vcpuId;
    return this.#attribute(event, vcpu.id === event.vcpuId ? vcpu : undefined, Certainty.derived);
  }

  #updateIrq(cpu: CpuTrack, thread: Thread, event: TimerEvent, inTask: boolean): Vcpu | undefined {
    let vcpu: Vcpu | undefined;
    if (!inTask) vcpu = cpu.callbackOpen ? cpu.callback : this.#byId(cpu, event.vcpuId);
    else if (thread.vcpu !== undefined) {
      if (thread.vcpu.id < 0 && event.context === Context.task) thread.vcpu.id = event.vcpuId;
      if (thread.vcpu.id === event.vcpuId) vcpu = thread.vcpu;
    }
    if (vcpu !== undefined && vcpu.id >= 0 && vcpu.id !== event.vcpuId) vcpu = undefined;
    if (cpu.timerIrq === Timer.vtimer && event.irq !== defaultPpi.vtimer && event.irq !== defaultPpi.ptimer)
      this.#guestIrqs.set(event.irq, Timer.vtimer);
    this.#timerOf(event);
    cpu.updated = vcpu;
    cpu.updatedIrq = event.irq;
    return this.#attribute(event, vcpu, Certainty.derived);
  }

  #vgicInject(cpu: CpuTrack, thread: Thread, event: TimerEvent, inTask: boolean): Vcpu | undefined {
    this.#timerOf(event);
    if (cpu.updatedIrq === event.irq && cpu.updated !== undefined)
      return this.#attribute(event, cpu.updated, Certainty.derived);
    const vcpu = inTask ? thread.vcpu : this.#byId(cpu, event.vcpuId);
    return this.#attribute(event, vcpu?.id === event.vcpuId ? vcpu : undefined, Certainty.derived);
  }

  #background(thread: Thread, event: TimerEvent, inTask: boolean): Vcpu | undefined {
    const key = event.hasTimerPointer ? keyU64(event.timerPointerHi, event.timerPointerLo) : undefined;
    const known = key === undefined ? undefined : this.#bgTimers.get(key);
    const own = thread.vcpu;
    if (event.kind === Kind.bg_arm && inTask && own !== undefined) {
      // Only a thread that puts or blocks its vcpu arms that vcpu's timer; a callback that re-arms borrows its pid.
      const arming = own.putCpu >= 0 || own.waiting;
      if (arming || (known === undefined && own.cpu !== -1)) {
        if (key !== undefined && known !== own) this.#bgTimers.set(key, own);
        return this.#attribute(event, own, Certainty.derived);
      }
    }
    return this.#attribute(event, known, Certainty.derived);
  }

  #soft(cpu: CpuTrack, thread: Thread, event: TimerEvent, inTask: boolean): Vcpu | undefined {
    if (!event.hasTimerPointer) {
      // kvm_timer_hrtimer_expire: inside the callback, and the only sign of it where hrtimers are not recorded.
      const vcpu = cpu.callbackOpen ? cpu.callback : undefined;
      return this.#attribute(event, vcpu, Certainty.derived);
    }
    const key = keyU64(event.timerPointerHi, event.timerPointerLo);
    if (event.kind === Kind.timer_callback_end) return this.#attribute(event, cpu.callback, Certainty.derived);
    let known = this.#softTimers.get(key);
    const own = thread.vcpu;
    if (event.kind === Kind.soft_arm && inTask && own !== undefined && own.cpu === event.cpu && known?.vcpu !== own) {
      known = { vcpu: own, timer: thread.emulated };
      this.#softTimers.set(key, known);
    }
    if (known !== undefined && event.timer === Timer.unknown) event.timer = known.timer;
    return this.#attribute(event, known?.vcpu, Certainty.derived);
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
    if (cpu.known) return this.#attribute(event, cpu.running, Certainty.derived);
    if (thread.vcpu?.inGuest === 1) return this.#attribute(event, thread.vcpu, Certainty.derived);
    return this.#attribute(event, undefined, Certainty.unknown);
  }

  /** In interrupt context an id means the vcpu that is loaded on the CPU, if it has that id. */
  #byId(cpu: CpuTrack, id: number): Vcpu | undefined {
    const vcpu = cpu.running;
    if (vcpu === undefined) return undefined;
    if (vcpu.id < 0) vcpu.id = id;
    return vcpu.id === id ? vcpu : undefined;
  }

  #timerOf(event: TimerEvent): void {
    if (event.timer !== Timer.unknown && event.timer !== Timer.none) return;
    if (event.irq < 0 && (event.kind === Kind.vtimer_irq || event.kind === Kind.vtimer_irq_end))
      event.timer = Timer.vtimer;
    else if (event.irq === defaultPpi.vtimer) event.timer = Timer.vtimer;
    else if (event.irq === defaultPpi.ptimer) event.timer = Timer.ptimer;
    else event.timer = this.#guestIrqs.get(event.irq) ?? Timer.unknown;
  }

  #learnTimers(event: TimerEvent, vcpu: Vcpu): void {
    if (!event.hasTimerPointer) return;
    const key = keyU64(event.timerPointerHi, event.timerPointerLo);
    if (event.kind === Kind.bg_arm) this.#bgTimers.set(key, vcpu);
    else if (event.kind === Kind.soft_arm) this.#softTimers.set(key, { vcpu, timer: event.timer });
  }

  #learnOffset(vcpu: Vcpu, event: TimerEvent): void {
    if (event.valueHi !== 0 || event.valueLo !== 0) vcpu.offset = formatU64(event.valueHi, event.valueLo);
  }

  #attribute(event: TimerEvent, vcpu: Vcpu | undefined, certainty: number): Vcpu | undefined {
    if (vcpu === undefined) {
      event.vcpu = -1;
      event.attribution = Certainty.unknown;
      return undefined;
    }
    event.vcpu = vcpu.index;
    event.attribution = certainty;
    return vcpu;
  }

  // --- derivation ---------------------------------------------------------

  #dispatch(cpu: CpuTrack, event: TimerEvent, vcpu: Vcpu | undefined): void {
    const feeds = this.#feeds;
    switch (event.kind) {
      case Kind.load:
        this.#send(event, vcpu);
        if (vcpu !== undefined) this.#loaded(cpu, vcpu, event.time);
        return;
      case Kind.timer_load:
        if (vcpu !== undefined && vcpu.cpu !== cpu.index && !feeds.loadProbe)
          this.#deriveLoad(cpu, vcpu, event, Certainty.derived);
        break;
      case Kind.restore:
        if (vcpu !== undefined && vcpu.cpu !== cpu.index && !feeds.loadProbe && !feeds.timerLoadProbe)
          this.#deriveLoad(cpu, vcpu, event, Certainty.derived);
        break;
      case Kind.put:
        this.#send(event, vcpu);
        if (vcpu !== undefined) this.#putting(cpu, vcpu, event.time);
        return;
      case Kind.timer_put:
        if (vcpu !== undefined && vcpu.cpu === cpu.index && vcpu.putCpu < 0 && !feeds.putProbe)
          this.#derivePut(cpu, vcpu, event, Certainty.derived);
        break;
      case Kind.save:
        // A save of the physical timer alone is a trapped access of 6.3 and later, not a put.
        if (
          vcpu !== undefined &&
          vcpu.cpu === cpu.index &&
          vcpu.putCpu < 0 &&
          isVirtual(event.timer) &&
          this.#derivesPut()
        )
          this.#derivePut(cpu, vcpu, event, Certainty.derived);
        break;
      case Kind.sched_switch:
        this.#send(event, vcpu);
        this.#switched(cpu, vcpu, event);
        return;
      case Kind.userspace_exit:
        // The put of KVM_RUN's end precedes this record from 4.16 on.
        if (vcpu !== undefined && vcpu.cpu === cpu.index && vcpu.putCpu < 0 && this.#derivesPut()) {
          this.#derivePut(cpu, vcpu, event, feeds.saveRestore ? Certainty.derived : Certainty.approximate);
          this.#emitPutEnd(cpu, vcpu, event);
        }
        if (vcpu !== undefined) vcpu.waiting = false;
        break;
      case Kind.entry:
        if (vcpu !== undefined) this.#entered(cpu, vcpu, event);
        return;
      case Kind.exit:
        this.#send(event, vcpu);
        if (vcpu !== undefined) {
          vcpu.inGuest = 0;
          vcpu.exitClass = event.exceptionClass;
          if (vcpu.cpu === -2) this.#loaded(cpu, vcpu, event.time);
        }
        return;
      case Kind.wfx:
        this.#send(event, vcpu);
        if (vcpu !== undefined && event.level !== 1) {
          vcpu.waiting = true;
          if (!feeds.scheduleProbe)
            this.#derive(
              Kind.schedule,
              cpu,
              vcpu,
              event,
              event.level === 0 ? Certainty.derived : Certainty.approximate,
            );
        }
        return;
      case Kind.halt_end:
        if (vcpu !== undefined) {
          if (vcpu.waiting && !feeds.scheduleProbe) this.#derive(Kind.unschedule, cpu, vcpu, event, Certainty.derived);
          vcpu.waiting = false;
        }
        break;
      case Kind.schedule:
        if (vcpu !== undefined) vcpu.waiting = true;
        break;
      case Kind.unschedule:
        if (vcpu !== undefined) vcpu.waiting = false;
        break;
      case Kind.vtimer_irq:
        // A probe on the handler repeats what irq_handler_entry has said, and shows no end.
        if (event.certainty !== Certainty.recorded && feeds.irqEntry) return;
        cpu.timerIrq = event.timer;
        cpu.callbackOpen = false;
        break;
      case Kind.vtimer_irq_end:
        this.#send(event, vcpu);
        cpu.timerIrq = -1;
        return;
      case Kind.irq_begin:
        cpu.irqDepth++;
        return;
      case Kind.irq_end:
        cpu.irqDepth = Math.max(0, cpu.irqDepth - 1);
        cpu.callbackOpen = false;
        return;
      case Kind.bg_expire:
        // A probe on the callback repeats what hrtimer_expire_entry has said.
        if (event.certainty !== Certainty.recorded && feeds.hrtimerExpiry) return;
        break;
      case Kind.soft_expire:
        if ((event.certainty !== Certainty.recorded || !event.hasTimerPointer) && feeds.hrtimerExpiry) return;
        cpu.callbackOpen = true;
        cpu.callback = vcpu;
        break;
      case Kind.timer_callback_end:
        cpu.callbackOpen = false;
        break;
      case Kind.vcpu_pointer:
        return;
      default:
    }
    this.#send(event, vcpu);
  }

  /** No probe shows the put: bursts, switches and userspace exits do. */
  #derivesPut(): boolean {
    return !this.#feeds.putProbe && !this.#feeds.timerPutProbe;
  }

  #entered(cpu: CpuTrack, vcpu: Vcpu, event: TimerEvent): void {
    const feeds = this.#feeds;
    const nothingShowsLoads = !feeds.saveRestore && !feeds.loadProbe && !feeds.timerLoadProbe;
    if (vcpu.cpu === -1 && nothingShowsLoads) this.#deriveLoad(cpu, vcpu, event, Certainty.approximate);
    this.#send(event, vcpu);
    vcpu.inGuest = 1;
    vcpu.waiting = false;
    vcpu.exitClass = -1;
    if (vcpu.cpu === -2) this.#loaded(cpu, vcpu, event.time);
  }

  /** sched_switch precedes the put that it causes, always (§0.5, point 3). */
  #switched(cpu: CpuTrack, vcpu: Vcpu | undefined, event: TimerEvent): void {
    if (vcpu === undefined || vcpu.cpu !== cpu.index || vcpu.putCpu >= 0) return;
    if (
      !vcpu.waiting &&
      event.sleeping === 1 &&
      waitingClasses.includes(vcpu.exitClass) &&
      !this.#feeds.scheduleProbe
    ) {
      vcpu.waiting = true;
      this.#derive(Kind.schedule, cpu, vcpu, event, Certainty.approximate);
    }
    if (this.#derivesPut())
      this.#derivePut(cpu, vcpu, event, this.#feeds.saveRestore ? Certainty.derived : Certainty.approximate);
  }

  #loaded(cpu: CpuTrack, vcpu: Vcpu, time: number): void {
    if (vcpu.cpu >= 0 && vcpu.cpu !== cpu.index) {
      const other = this.#cpu(vcpu.cpu);
      if (other.running === vcpu) other.running = undefined;
    }
    if (cpu.running !== undefined && cpu.running !== vcpu) cpu.running.cpu = -2;
    cpu.running = vcpu;
    cpu.known = true;
    vcpu.cpu = cpu.index;
    vcpu.putCpu = -1;
    if (vcpu.knownSince < 0) vcpu.knownSince = time;
  }

  #putting(cpu: CpuTrack, vcpu: Vcpu, time: number): void {
    vcpu.putCpu = cpu.index;
    cpu.putting = vcpu;
    if (vcpu.knownSince < 0) vcpu.knownSince = time;
  }

  #deriveLoad(cpu: CpuTrack, vcpu: Vcpu, event: TimerEvent, certainty: number): void {
    this.#derive(Kind.load, cpu, vcpu, event, certainty);
    this.#loaded(cpu, vcpu, event.time);
  }

  #derivePut(cpu: CpuTrack, vcpu: Vcpu, event: TimerEvent, certainty: number): void {
    this.#derive(Kind.put, cpu, vcpu, event, certainty);
    this.#putting(cpu, vcpu, event.time);
  }

  /** A put is over with the first event of its thread, or of another thread on its CPU, that is no part of it. */
  #closePut(cpu: CpuTrack, event: TimerEvent, own: Vcpu | undefined): void {
    const part = putKinds.has(event.kind);
    if (!part && !taskKinds.has(event.kind)) return;
    const putting = cpu.putting;
    if (putting !== undefined && !(part && event.pid === putting.pid)) this.#emitPutEnd(cpu, putting, event);
    if (own !== undefined && own.putCpu >= 0 && own.putCpu !== cpu.index && own.pid === event.pid)
      this.#emitPutEnd(this.#cpu(own.putCpu), own, event);
  }

  #emitPutEnd(cpu: CpuTrack, vcpu: Vcpu, event: TimerEvent): void {
    cpu.putting = undefined;
    vcpu.putCpu = -1;
    vcpu.cpu = -1;
    if (cpu.running === vcpu) cpu.running = undefined;
    cpu.known = true;
    this.#derive(Kind.put_end, cpu, vcpu, event, Certainty.derived);
  }

  /** A record of a thread on a CPU ends whatever interrupt is open there: its own end was not recorded. */
  #closeBrackets(cpu: CpuTrack, event: TimerEvent): void {
    if (cpu.timerIrq >= 0) {
      const end = this.#derived.clear();
      end.kind = Kind.vtimer_irq_end;
      end.time = event.time;
      end.cpu = cpu.index;
      end.pid = event.pid;
      end.context = Context.hardirq;
      end.certainty = Certainty.derived;
      end.position = event.position;
      end.timer = cpu.timerIrq;
      if (cpu.running !== undefined) this.#attribute(end, cpu.running, Certainty.derived);
      this.#emit(end);
    }
    cpu.irqDepth = 0;
    cpu.timerIrq = -1;
    cpu.callbackOpen = false;
  }

  #derive(kind: number, cpu: CpuTrack, vcpu: Vcpu, from: TimerEvent, certainty: number): void {
    const event = this.#derived.clear();
    event.kind = kind;
    event.time = from.time;
    event.cpu = cpu.index;
    event.pid = vcpu.pid;
    event.tgid = from.tgid;
    event.context = Context.task;
    event.certainty = certainty;
    event.position = from.position;
    event.vcpu = vcpu.index;
    event.vcpuId = vcpu.id;
    event.attribution = Certainty.derived;
    this.#emit(event);
  }

  #send(event: TimerEvent, vcpu: Vcpu | undefined): void {
    if (vcpu !== undefined) vcpu.events++;
    else if (vcpuKinds.has(event.kind)) this.unattributed.set(event.kind, (this.unattributed.get(event.kind) ?? 0) + 1);
    this.#emit(event);
  }

  // --- gaps ---------------------------------------------------------------

  #lost(cpu: CpuTrack, event: TimerEvent): void {
    cpu.started = true;
    // A put that was under way may have been completed by a record that is lost: nothing is said of its end.
    this.#forget(cpu);
    this.#emit(event);
  }

  #bufferStart(cpu: CpuTrack, event: TimerEvent): void {
    const gap = this.#derived.clear();
    gap.kind = Kind.lost;
    gap.time = event.time;
    gap.cpu = cpu.index;
    gap.position = event.position;
    gap.certainty = Certainty.derived;
    gap.lostCount = 0;
    this.#forget(cpu);
    this.#emit(gap);
  }

  #forget(cpu: CpuTrack): void {
    for (const vcpu of this.threads.vcpus) {
      if (vcpu.cpu === cpu.index || vcpu.cpu < 0 || vcpu.putCpu >= 0) {
        if (vcpu.putCpu >= 0) {
          const putting = this.#cpu(vcpu.putCpu);
          putting.putting = undefined;
          putting.running = undefined;
          putting.known = false;
        }
        vcpu.cpu = -2;
        vcpu.inGuest = -1;
        vcpu.putCpu = -1;
        vcpu.waiting = false;
        vcpu.exitClass = -1;
      }
    }
    cpu.running = undefined;
    cpu.known = false;
    cpu.putting = undefined;
    cpu.irqDepth = 0;
    cpu.timerIrq = -1;
    cpu.callbackOpen = false;
    cpu.updatedIrq = -1;
  }

  #cpu(index: number): CpuTrack {
    for (let i = this.#cpus.length; i <= index; i++) this.#cpus.push(new CpuTrack(i));
    return this.#cpus[index] as CpuTrack;
  }
}

/** Kinds that only a thread writes, never an interrupt handler. */
const taskKinds = new Set<number>([
  Kind.load,
  Kind.put,
  Kind.timer_load,
  Kind.timer_put,
  Kind.entry,
  Kind.exit,
  Kind.save,
  Kind.restore,
  Kind.emulate,
  Kind.schedule,
  Kind.unschedule,
  Kind.flush,
  Kind.sync,
  Kind.enable,
  Kind.wfx,
  Kind.halt_end,
  Kind.userspace_exit,
  Kind.sched_switch,
  Kind.vcpu_pointer,
]);

/** Kinds that only an interrupt handler writes. */
const irqKinds = new Set<number>([
  Kind.vtimer_irq,
  Kind.vtimer_irq_end,
  Kind.irq_begin,
  Kind.irq_end,
  Kind.bg_expire,
  Kind.soft_expire,
]);

/** Kinds that a put consists of (kvm_arch_vcpu_put and all it calls). */
const putKinds = new Set<number>([
  Kind.put,
  Kind.timer_put,
  Kind.timer_map,
  Kind.save,
  Kind.bg_arm,
  Kind.bg_cancel,
  Kind.soft_cancel,
  Kind.set_cntvoff,
  Kind.set_affinity,
  Kind.set_active,
  Kind.mask_irq,
  Kind.set_traps,
]);

/** Kinds of which every event belongs to a vcpu: one without is worth counting. */
const vcpuKinds = new Set<number>([
  ...taskKinds,
  Kind.timer_map,
  Kind.update_irq,
  Kind.bg_arm,
  Kind.bg_cancel,
  Kind.bg_expire,
  Kind.soft_arm,
  Kind.soft_cancel,
  Kind.soft_expire,
  Kind.reset,
  Kind.user_write,
]);
for (const kind of [Kind.sched_switch, Kind.userspace_exit, Kind.vcpu_pointer]) vcpuKinds.delete(kind);

/** The virtual timers: a put saves one of them, whatever else it saves. */
function isVirtual(timer: number): boolean {
  return timer === Timer.vtimer || timer === Timer.hvtimer;
}
