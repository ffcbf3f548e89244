import { Certainty, Context, isVirtual, Timer, TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { emptyList } from '../events/list.js';
import { Attribution } from './attribution.js';
import { CpuTrack } from './cpu-track.js';
import { notInHandler, provesThread, putKinds, taskKinds, vcpuKinds } from './kinds.js';
import { nobody, type Thread, type Threads, type Vcpu } from './threads.js';

/** Exception classes after which a vcpu may wait: WFx, HVC64 and SMC64 (PSCI CPU_SUSPEND, CPU_OFF). */
const waitingClasses: readonly number[] = [0x01, 0x12, 0x13, 0x16, 0x17];

/** Bits of the virtual and the physical timer: what every vcpu has. */
const bothTimers = (1 << Timer.vtimer) | (1 << Timer.ptimer);

/** Receives the attributed events. The event object is used again: who keeps it retains it. */
export interface AttributedSink {
  add(event: TimerEvent): void;
}

/**
 * What a trace records, as far as derivation depends on it: absent probes are made up for, present ones are not. What
 * appears late, because its filter lets little through or the VM starts long after the recorder, counts from then on.
 */
export interface Feeds {
  /** kvm_arch_vcpu_load and kvm_arch_vcpu_put are probed. */
  loadProbe: boolean;
  putProbe: boolean;
  /** kvm_timer_vcpu_load and kvm_timer_vcpu_put are probed. */
  timerLoadProbe: boolean;
  timerPutProbe: boolean;
  /** Each CPU recorded into a buffer of its own, whose beginning may be missing; a native trace is one story. */
  ringBuffers: boolean;
  /** Exits are recorded. */
  exits: boolean;
  /** Saves are recorded, and one of the virtual timer is part of a put. */
  saves: boolean;
  /** Restores are recorded, each in a load. */
  restores: boolean;
  /** The blocking hooks are probed. */
  scheduleProbe: boolean;
  /** kvm_timer_vcpu_reset is probed, or a native trace would name it. */
  resetProbe: boolean;
  /** hrtimer_expire_entry is recorded, so that a callback probe and kvm_timer_hrtimer_expire repeat it. */
  hrtimerExpiry: boolean;
  /** irq_handler_exit is recorded of the interrupts of guest timers, and of others: else nobody knows when one ends. */
  timerIrqEnds: boolean;
  irqEnds: boolean;
}

/**
 * Gives every event its vcpu, and derives load, put, schedule and unschedule where no probe recorded them
 * (specification §3.5, §3.6). Derived events go out directly before the record that gives them away, marked with
 * their certainty.
 */
export class Tracker {
  readonly #who = new Attribution();
  readonly #feeds: Feeds;
  readonly #sink: AttributedSink;
  readonly #cpus: CpuTrack[] = emptyList();
  /** Timer events without a vcpu, by kind. */
  readonly unattributed = new Map<number, { count: number; position: number }>();

  constructor(feeds: Feeds, sink: AttributedSink) {
    this.#feeds = feeds;
    this.#sink = sink;
  }

  /** All threads and vcpus seen so far. */
  get threads(): Threads {
    return this.#who.threads;
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
      if (this.#feeds.ringBuffers && this.threads.vcpus.length > 0) this.#gap(cpu, event);
    }
    const named = event.vm >= 0 && event.vcpuId >= 0;
    const thread = event.pid === cpu.thread.pid ? cpu.thread : this.#threadOf(cpu, event, named);
    if (taskKinds[event.kind] === 1 || event.context === Context.task || this.#showsIrqEnd(cpu, event))
      this.#closeBrackets(cpu, event);
    if (event.context === Context.unknown) event.context = this.#who.context(cpu, thread, event);
    const inTask = event.context !== Context.hardirq && event.context !== Context.softirq;

    const vcpu = named ? this.#who.named(thread, event, inTask) : this.#who.who(cpu, thread, event, inTask);
    if (thread.vcpu !== undefined && event.tgid >= 0) thread.vcpu.tgid = event.tgid;

    if (this.threads.doubted !== undefined) this.#doubted(this.threads.doubted, event);
    this.#closePut(cpu, event, inTask, vcpu ?? thread.vcpu);
    this.#dispatch(cpu, event, vcpu);
  }

  #threadOf(cpu: CpuTrack, event: TimerEvent, named: boolean): Thread {
    // Only what shows that a thread has to do with vcpus is worth remembering it.
    const proof = named || provesThread[event.kind] === 1;
    const thread = proof ? this.threads.get(event.pid) : this.threads.known(event.pid);
    if (thread !== nobody) cpu.thread = thread;
    return thread;
  }

  // --- derivation ---------------------------------------------------------

  #dispatch(cpu: CpuTrack, event: TimerEvent, vcpu: Vcpu | undefined): void {
    const feeds = this.#feeds;
    switch (event.kind) {
      case Kind.load:
        feeds.loadProbe = true;
        if (vcpu !== undefined) this.#left(cpu, vcpu, event);
        this.#send(event, vcpu);
        if (vcpu !== undefined) this.#loaded(cpu, vcpu, event.time);
        return;
      case Kind.timer_load:
        feeds.timerLoadProbe = true;
        if (vcpu !== undefined && vcpu.cpu !== cpu.index && !feeds.loadProbe)
          this.#deriveLoad(cpu, vcpu, event, Certainty.derived);
        break;
      case Kind.restore:
        if (vcpu !== undefined && vcpu.cpu !== cpu.index && !feeds.loadProbe && !feeds.timerLoadProbe)
          this.#deriveLoad(cpu, vcpu, event, Certainty.derived);
        if (vcpu !== undefined) vcpu.lowered = -1;
        break;
      case Kind.reset:
        feeds.resetProbe = true;
        break;
      case Kind.update_irq:
        // Outside interrupts a vcpu thread reports its level in the load (5.2 and later), before the restore.
        if (vcpu !== undefined && event.pid === vcpu.pid && event.context !== Context.hardirq)
          this.#reported(cpu, vcpu, event);
        break;
      case Kind.put:
        if (!feeds.putProbe) {
          feeds.putProbe = true;
          // Derived from the switch before it, while no probe was known of.
          if (vcpu !== undefined && vcpu.putCpu === cpu.index) return;
        }
        this.#send(event, vcpu);
        if (vcpu !== undefined) this.#putting(cpu, vcpu, event.time);
        return;
      case Kind.timer_put:
        if (vcpu !== undefined && vcpu.cpu === cpu.index && vcpu.putCpu < 0 && !feeds.putProbe)
          this.#derivePut(cpu, vcpu, event, Certainty.derived);
        feeds.timerPutProbe = true;
        break;
      case Kind.save:
        // A save of the physical timer alone is a trapped access of 6.3 and later, not a put.
        if (
          vcpu !== undefined &&
          vcpu.cpu === cpu.index &&
          vcpu.putCpu < 0 &&
          isVirtual(event.timer) &&
          feeds.saves &&
          this.#derivesPut()
        )
          this.#derivePut(cpu, vcpu, event, Certainty.derived);
        if (vcpu !== undefined) {
          vcpu.reports = 0;
          if (isVirtual(event.timer)) vcpu.savedVirtual = true;
          else vcpu.savedPhysical = true;
        }
        break;
      case Kind.sched_switch:
        this.#send(event, vcpu);
        this.#switched(cpu, vcpu, event);
        return;
      case Kind.userspace_exit:
        // The put of KVM_RUN's end precedes this record from 4.16 on.
        if (vcpu !== undefined && vcpu.cpu === cpu.index && vcpu.putCpu < 0 && this.#derivesPut()) {
          this.#derivePut(cpu, vcpu, event, feeds.saves ? Certainty.derived : Certainty.approximate);
          this.#emitPutEnd(cpu, vcpu, event);
        }
        if (vcpu !== undefined) vcpu.waiting = false;
        break;
      case Kind.entry:
        if (vcpu !== undefined) this.#entered(cpu, vcpu, event);
        return;
      case Kind.exit:
        feeds.exits = true;
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
        if (!feeds.scheduleProbe) {
          feeds.scheduleProbe = true;
          // Derived from the exit before it, while no probe was known of.
          if (vcpu?.waiting === true) return;
        }
        if (vcpu !== undefined) vcpu.waiting = true;
        break;
      case Kind.unschedule:
        if (vcpu !== undefined) vcpu.waiting = false;
        break;
      case Kind.vtimer_irq:
        // A probe on the handler repeats what irq_handler_entry has said, where its filter lets that through.
        if (event.certainty !== Certainty.recorded && cpu.timerIrq >= 0 && cpu.irqEntered === event.irq) return;
        cpu.irqEntered = event.certainty === Certainty.recorded ? event.irq : -1;
        this.#interruptsPut(cpu, event);
        cpu.timerIrq = event.timer;
        cpu.callbackOpen = false;
        break;
      case Kind.vtimer_irq_end:
        feeds.timerIrqEnds = true;
        this.#send(event, vcpu);
        cpu.timerIrq = -1;
        return;
      case Kind.irq_begin:
        if (feeds.irqEnds) cpu.irqDepth++;
        return;
      case Kind.irq_end:
        feeds.irqEnds = true;
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

  /** No probe shows the load: bursts do. */
  #derivesLoad(): boolean {
    return this.#feeds.restores && !this.#feeds.loadProbe && !this.#feeds.timerLoadProbe;
  }

  /**
   * A reset (kvm_timer_vcpu_reset) reports level 0 of both timers outside of a load. Where no probe shows loads, these
   * reports are taken for those of one, until the same timer is reported again with no restore in between, which no
   * load does.
   */
  #reported(cpu: CpuTrack, vcpu: Vcpu, event: TimerEvent): void {
    if (vcpu.cpu === -1 && this.#derivesLoad()) this.#deriveLoad(cpu, vcpu, event, Certainty.derived);
    if (vcpu.lowered < 0 || event.timer < 0 || this.#feeds.resetProbe || !this.#feeds.restores) return;
    const before = vcpu.lowered;
    const timer = event.level === 0 ? 1 << event.timer : 0;
    vcpu.lowered |= timer;
    if (vcpu.cpu === -1) {
      if (vcpu.lowered !== bothTimers || before === bothTimers) return;
    } else {
      // Where nothing tells, a raised level may be an interrupt's.
      if (before !== bothTimers || vcpu.cpu !== cpu.index || (timer === 0 && event.context !== Context.task)) return;
      vcpu.lowered = timer;
    }
    this.#derive(Kind.reset, cpu, vcpu, event, Certainty.derived);
  }

  /** No probe shows the put: bursts, switches and userspace exits do. */
  #derivesPut(): boolean {
    return !this.#feeds.putProbe && !this.#feeds.timerPutProbe;
  }

  #entered(cpu: CpuTrack, vcpu: Vcpu, event: TimerEvent): void {
    const feeds = this.#feeds;
    const nothingShowsLoads = !feeds.restores && !feeds.loadProbe && !feeds.timerLoadProbe;
    if (vcpu.cpu === -1 && nothingShowsLoads) this.#deriveLoad(cpu, vcpu, event, Certainty.approximate);
    this.#send(event, vcpu);
    // Without exits nobody knows how long it stays there.
    vcpu.inGuest = feeds.exits ? 1 : -1;
    vcpu.lowered = -1;
    vcpu.waiting = false;
    vcpu.exitClass = -1;
    // Entered means loaded, whatever the trace has shown of the load.
    if (vcpu.cpu !== cpu.index) this.#loaded(cpu, vcpu, event.time);
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
      this.#derivePut(cpu, vcpu, event, this.#feeds.saves ? Certainty.derived : Certainty.approximate);
  }

  #loaded(cpu: CpuTrack, vcpu: Vcpu, time: number): void {
    if (vcpu.cpu >= 0 && vcpu.cpu !== cpu.index) {
      const other = this.#cpu(vcpu.cpu);
      if (other.running === vcpu) {
        other.running = undefined;
        other.known = false;
      }
    }
    if (cpu.running !== undefined && cpu.running !== vcpu) cpu.running.cpu = -2;
    cpu.running = vcpu;
    cpu.known = true;
    vcpu.cpu = cpu.index;
    vcpu.putCpu = -1;
    vcpu.lowered = 0;
    if (vcpu.knownSince < 0) vcpu.knownSince = time;
  }

  #putting(cpu: CpuTrack, vcpu: Vcpu, time: number): void {
    vcpu.savedVirtual = false;
    vcpu.savedPhysical = false;
    vcpu.lowered = 0;
    vcpu.putCpu = cpu.index;
    cpu.putting = vcpu;
    if (vcpu.knownSince < 0) vcpu.knownSince = time;
  }

  /**
   * Where no record shows the puts of ioctls, which up to 4.16 load the vcpu as well, a load is all that tells of them:
   * the vcpu has left wherever it was, and so has whoever was loaded here.
   */
  #left(cpu: CpuTrack, vcpu: Vcpu, event: TimerEvent): void {
    if (this.#feeds.saves || !this.#feeds.ringBuffers || !this.#derivesPut()) return;
    for (const gone of [vcpu, cpu.running]) {
      if (gone === undefined || gone.cpu < 0 || gone.putCpu >= 0 || gone.inGuest === 1) continue;
      const where = this.#cpu(gone.cpu);
      this.#derivePut(where, gone, event, Certainty.approximate);
      this.#emitPutEnd(where, gone, event);
    }
  }

  #deriveLoad(cpu: CpuTrack, vcpu: Vcpu, event: TimerEvent, certainty: number): void {
    this.#left(cpu, vcpu, event);
    this.#derive(Kind.load, cpu, vcpu, event, certainty);
    this.#loaded(cpu, vcpu, event.time);
  }

  #derivePut(cpu: CpuTrack, vcpu: Vcpu, event: TimerEvent, certainty: number): void {
    this.#derive(Kind.put, cpu, vcpu, event, certainty);
    this.#putting(cpu, vcpu, event.time);
  }

  /** A put is over with the first event of its thread, or of another thread on its CPU, that is no part of it. */
  #closePut(cpu: CpuTrack, event: TimerEvent, inTask: boolean, own: Vcpu | undefined): void {
    const { putting } = cpu;
    const part = inTask && putKinds[event.kind] === 1;
    // A native trace is one story: whatever a thread does next on any CPU comes after the put.
    if (!this.#feeds.ringBuffers) {
      for (const other of inTask ? this.#cpus : []) {
        if (other.putting !== undefined && !(part && event.pid === other.putting.pid))
          this.#emitPutEnd(other, other.putting, event);
      }
      return;
    }
    // With another thread current, even in an interrupt, the one that was put is gone.
    const over = putting !== undefined && (event.pid !== putting.pid || (taskKinds[event.kind] === 1 && !part));
    if (over) this.#emitPutEnd(cpu, putting, event);
    if (inTask && own !== undefined && own.putCpu >= 0 && own.putCpu !== cpu.index && own.pid === event.pid)
      this.#emitPutEnd(this.#cpu(own.putCpu), own, event);
  }

  /**
   * An interrupt inside a put comes before its save, with the vcpu still running and its timer loaded; after the
   * save (or where saves are not recorded) it is a late one.
   */
  #interruptsPut(cpu: CpuTrack, event: TimerEvent): void {
    const { putting } = cpu;
    if (putting === undefined) return;
    const saved = putting.savedVirtual && (putting.savedPhysical || !putting.hasDirectPhysical);
    if (this.#feeds.saves && !saved) return;
    this.#emitPutEnd(cpu, putting, event);
  }

  #emitPutEnd(cpu: CpuTrack, vcpu: Vcpu, event: TimerEvent): void {
    cpu.putting = undefined;
    vcpu.reports = 0;
    vcpu.putCpu = -1;
    vcpu.cpu = -1;
    if (cpu.running === vcpu) cpu.running = undefined;
    cpu.known = true;
    this.#derive(Kind.put_end, cpu, vcpu, event, Certainty.derived);
  }

  /** Where ends are not recorded: what the handler of a guest timer does not do, nor anything that interrupts it. */
  #showsIrqEnd(cpu: CpuTrack, event: TimerEvent): boolean {
    return cpu.timerIrq >= 0 && !this.#feeds.timerIrqEnds && notInHandler[event.kind] === 1;
  }

  /** A record of a thread on a CPU ends whatever interrupt is open there: its own end was not recorded. */
  #closeBrackets(cpu: CpuTrack, event: TimerEvent): void {
    if (cpu.timerIrq >= 0) {
      const end = TimerEvent.take();
      end.kind = Kind.vtimer_irq_end;
      end.time = event.time;
      end.cpu = cpu.index;
      end.pid = event.pid;
      end.context = Context.hardirq;
      end.certainty = Certainty.derived;
      end.position = event.position;
      end.timer = cpu.timerIrq;
      if (cpu.running !== undefined) this.#who.attribute(end, cpu.running, Certainty.derived);
      this.#sink.add(end);
      end.release();
    }
    cpu.irqDepth = 0;
    cpu.timerIrq = -1;
    cpu.callbackOpen = false;
  }

  #derive(kind: number, cpu: CpuTrack, vcpu: Vcpu, from: TimerEvent, certainty: number): void {
    const event = TimerEvent.take();
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
    this.#sink.add(event);
    event.release();
  }

  #send(event: TimerEvent, vcpu: Vcpu | undefined): void {
    if (vcpu !== undefined) vcpu.events++;
    else if (vcpuKinds[event.kind] === 1) {
      const known = this.unattributed.get(event.kind);
      if (known === undefined) this.unattributed.set(event.kind, { count: 1, position: event.position });
      else known.count++;
    }
    this.#sink.add(event);
  }

  // --- gaps ---------------------------------------------------------------

  #lost(cpu: CpuTrack, event: TimerEvent): void {
    cpu.started = true;
    // A put that was under way may have been completed by a record that is lost: nothing is said of its end.
    this.#forget(cpu);
    this.#sink.add(event);
  }

  /** What the vcpu waits for may come in the name of another, or what it was known to be may have been another. */
  #doubted(vcpu: Vcpu, event: TimerEvent): void {
    this.threads.doubted = undefined;
    this.#gap(this.#cpu(vcpu.cpu >= 0 ? vcpu.cpu : event.cpu), event);
  }

  /** Nothing is known any more of what the CPU, or a vcpu that is not loaded on another, has done before the event. */
  #gap(cpu: CpuTrack, event: TimerEvent): void {
    const gap = TimerEvent.take();
    gap.kind = Kind.lost;
    gap.hasDetails = true;
    gap.time = event.time;
    gap.cpu = cpu.index;
    gap.position = event.position;
    gap.certainty = Certainty.derived;
    gap.lostCount = 0;
    this.#forget(cpu);
    this.#sink.add(gap);
    gap.release();
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
    return this.#cpus[index] ?? this.#addCpus(index);
  }

  #addCpus(index: number): CpuTrack {
    for (let i = this.#cpus.length; i <= index; i++) this.#cpus.push(new CpuTrack(i));
    return this.#cpus[index] as CpuTrack;
  }
}
