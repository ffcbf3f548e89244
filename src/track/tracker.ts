import { Certainty, Context, isVirtual, TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { Attribution } from './attribution.js';
import { type CpuTrack, CpuTracks } from './cpu-track.js';
import type { Feeds } from './feeds.js';
import { notInHandler, provesThread, taskKinds, vcpuKinds } from './kinds.js';
import { type AttributedSink, Residency } from './residency.js';
import { nobody, type Thread, type Threads, type Vcpu } from './threads.js';

/** Exception classes after which a vcpu may wait: WFx, HVC64 and SMC64 (PSCI CPU_SUSPEND, CPU_OFF). */
const waitingClasses: readonly number[] = [0x01, 0x12, 0x13, 0x16, 0x17];

/**
 * Gives every event its vcpu, and derives load, put, schedule and unschedule where no probe recorded them
 * (specification §3.5, §3.6). Derived events go out directly before the record that gives them away, marked with
 * their certainty.
 */
export class Tracker {
  readonly #who = new Attribution();
  readonly #feeds: Feeds;
  readonly #sink: AttributedSink;
  readonly #cpus = new CpuTracks();
  readonly #residency: Residency;
  /** Timer events without a vcpu, by kind. */
  readonly unattributed = new Map<number, { count: number; position: number }>();

  constructor(feeds: Feeds, sink: AttributedSink) {
    this.#feeds = feeds;
    this.#sink = sink;
    this.#residency = new Residency(feeds, sink, this.#cpus);
  }

  /** All threads and vcpus seen so far. */
  get threads(): Threads {
    return this.#who.threads;
  }

  /** Takes one event, attributes it, and emits it after whatever can be derived from it. */
  event(event: TimerEvent): void {
    if (event.cpu < 0) return;
    const cpu = this.#cpus.at(event.cpu);
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
    this.#residency.closePut(cpu, event, inTask, vcpu ?? thread.vcpu);
    this.#dispatch(cpu, event, vcpu);
  }

  #threadOf(cpu: CpuTrack, event: TimerEvent, named: boolean): Thread {
    // Only what shows that a thread has to do with vcpus is worth remembering it.
    const proof = named || provesThread[event.kind] === 1;
    const thread = proof ? this.threads.get(event.pid) : this.threads.known(event.pid);
    if (thread !== nobody) cpu.thread = thread;
    return thread;
  }

  #dispatch(cpu: CpuTrack, event: TimerEvent, vcpu: Vcpu | undefined): void {
    const feeds = this.#feeds;
    switch (event.kind) {
      case Kind.load:
        feeds.loadProbe = true;
        if (vcpu !== undefined) this.#residency.left(cpu, vcpu, event);
        this.#send(event, vcpu);
        if (vcpu !== undefined) this.#residency.loaded(cpu, vcpu, event.time);
        return;
      case Kind.timer_load:
        feeds.timerLoadProbe = true;
        if (vcpu !== undefined && vcpu.cpu !== cpu.index && !feeds.loadProbe)
          this.#residency.deriveLoad(cpu, vcpu, event, Certainty.derived);
        break;
      case Kind.restore:
        if (vcpu !== undefined && vcpu.cpu !== cpu.index && !feeds.loadProbe && !feeds.timerLoadProbe)
          this.#residency.deriveLoad(cpu, vcpu, event, Certainty.derived);
        if (vcpu !== undefined) vcpu.lowered = -1;
        break;
      case Kind.reset:
        feeds.resetProbe = true;
        break;
      case Kind.update_irq:
        // Outside interrupts a vcpu thread reports its level in the load (5.2 and later), before the restore.
        if (vcpu !== undefined && event.pid === vcpu.pid && event.context !== Context.hardirq)
          this.#residency.reported(cpu, vcpu, event);
        break;
      case Kind.put:
        if (!feeds.putProbe) {
          feeds.putProbe = true;
          // Derived from the switch before it, while no probe was known of.
          if (vcpu !== undefined && vcpu.putCpu === cpu.index) return;
        }
        this.#send(event, vcpu);
        if (vcpu !== undefined) this.#residency.putting(cpu, vcpu, event.time);
        return;
      case Kind.timer_put:
        if (vcpu !== undefined && vcpu.cpu === cpu.index && vcpu.putCpu < 0 && !feeds.putProbe)
          this.#residency.derivePut(cpu, vcpu, event, Certainty.derived);
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
          this.#residency.derivesPut()
        )
          this.#residency.derivePut(cpu, vcpu, event, Certainty.derived);
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
        if (vcpu !== undefined && vcpu.cpu === cpu.index && vcpu.putCpu < 0 && this.#residency.derivesPut()) {
          this.#residency.derivePut(cpu, vcpu, event, feeds.saves ? Certainty.derived : Certainty.approximate);
          this.#residency.endPut(cpu, vcpu, event);
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
          if (vcpu.cpu === -2) this.#residency.loaded(cpu, vcpu, event.time);
        }
        return;
      case Kind.wfx:
        this.#send(event, vcpu);
        if (vcpu !== undefined && event.level !== 1) {
          vcpu.waiting = true;
          if (!feeds.scheduleProbe)
            this.#residency.derive(
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
          if (vcpu.waiting && !feeds.scheduleProbe)
            this.#residency.derive(Kind.unschedule, cpu, vcpu, event, Certainty.derived);
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
        this.#residency.interruptsPut(cpu, event);
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

  #entered(cpu: CpuTrack, vcpu: Vcpu, event: TimerEvent): void {
    const feeds = this.#feeds;
    const nothingShowsLoads = !feeds.restores && !feeds.loadProbe && !feeds.timerLoadProbe;
    if (vcpu.cpu === -1 && nothingShowsLoads) this.#residency.deriveLoad(cpu, vcpu, event, Certainty.approximate);
    this.#send(event, vcpu);
    // Without exits nobody knows how long it stays there.
    vcpu.inGuest = feeds.exits ? 1 : -1;
    vcpu.lowered = -1;
    vcpu.waiting = false;
    vcpu.exitClass = -1;
    // Entered means loaded, whatever the trace has shown of the load.
    if (vcpu.cpu !== cpu.index) this.#residency.loaded(cpu, vcpu, event.time);
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
      this.#residency.derive(Kind.schedule, cpu, vcpu, event, Certainty.approximate);
    }
    if (this.#residency.derivesPut())
      this.#residency.derivePut(cpu, vcpu, event, this.#feeds.saves ? Certainty.derived : Certainty.approximate);
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
    this.#gap(this.#cpus.at(vcpu.cpu >= 0 ? vcpu.cpu : event.cpu), event);
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
          const putting = this.#cpus.at(vcpu.putCpu);
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
}
