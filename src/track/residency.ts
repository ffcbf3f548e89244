import { Certainty, Context, Timer, TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import type { CpuTrack, CpuTracks } from './cpu-track.js';
import type { Feeds } from './feeds.js';
import { putKinds, taskKinds } from './kinds.js';
import type { Vcpu } from './threads.js';

/** Bits of the virtual and the physical timer: what every vcpu has. */
const bothTimers = (1 << Timer.vtimer) | (1 << Timer.ptimer);

/** Receives the attributed events. The event object is used again: who keeps it retains it. */
export interface AttributedSink {
  add(event: TimerEvent): void;
}

/**
 * On which CPU every vcpu is loaded, and the loads, puts and resets that no probe shows but that other records give
 * away (specification §3.5, §3.6). What is derived goes out directly before the record that shows it.
 */
export class Residency {
  readonly #feeds: Feeds;
  readonly #sink: AttributedSink;
  readonly #cpus: CpuTracks;

  constructor(feeds: Feeds, sink: AttributedSink, cpus: CpuTracks) {
    this.#feeds = feeds;
    this.#sink = sink;
    this.#cpus = cpus;
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
  reported(cpu: CpuTrack, vcpu: Vcpu, event: TimerEvent): void {
    if (vcpu.cpu === -1 && this.#derivesLoad()) this.deriveLoad(cpu, vcpu, event, Certainty.derived);
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
    this.derive(Kind.reset, cpu, vcpu, event, Certainty.derived);
  }

  /** No probe shows the put: bursts, switches and userspace exits do. */
  derivesPut(): boolean {
    return !this.#feeds.putProbe && !this.#feeds.timerPutProbe;
  }

  /** The vcpu is loaded on the CPU from `time` on (nanoseconds of the trace), and whoever was there is not. */
  loaded(cpu: CpuTrack, vcpu: Vcpu, time: number): void {
    if (vcpu.cpu >= 0 && vcpu.cpu !== cpu.index) {
      const other = this.#cpus.at(vcpu.cpu);
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

  /** A put of the vcpu begins at `time`; it lasts until {@link endPut}. */
  putting(cpu: CpuTrack, vcpu: Vcpu, time: number): void {
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
  left(cpu: CpuTrack, vcpu: Vcpu, event: TimerEvent): void {
    if (this.#feeds.saves || !this.#feeds.ringBuffers || !this.derivesPut()) return;
    for (const gone of [vcpu, cpu.running]) {
      if (gone === undefined || gone.cpu < 0 || gone.putCpu >= 0 || gone.inGuest === 1) continue;
      const where = this.#cpus.at(gone.cpu);
      this.derivePut(where, gone, event, Certainty.approximate);
      this.endPut(where, gone, event);
    }
  }

  /** Makes up a load before the record `event` that shows it. */
  deriveLoad(cpu: CpuTrack, vcpu: Vcpu, event: TimerEvent, certainty: number): void {
    this.left(cpu, vcpu, event);
    this.derive(Kind.load, cpu, vcpu, event, certainty);
    this.loaded(cpu, vcpu, event.time);
  }

  /** Makes up a put before the record `event` that shows it. */
  derivePut(cpu: CpuTrack, vcpu: Vcpu, event: TimerEvent, certainty: number): void {
    this.derive(Kind.put, cpu, vcpu, event, certainty);
    this.putting(cpu, vcpu, event.time);
  }

  /** A put is over with the first event of its thread, or of another thread on its CPU, that is no part of it. */
  closePut(cpu: CpuTrack, event: TimerEvent, inTask: boolean, own: Vcpu | undefined): void {
    const { putting } = cpu;
    const part = inTask && putKinds[event.kind] === 1;
    // A native trace is one story: whatever a thread does next on any CPU comes after the put.
    if (!this.#feeds.ringBuffers) {
      for (const other of inTask ? this.#cpus.all : []) {
        if (other.putting !== undefined && !(part && event.pid === other.putting.pid))
          this.endPut(other, other.putting, event);
      }
      return;
    }
    // With another thread current, even in an interrupt, the one that was put is gone.
    const over = putting !== undefined && (event.pid !== putting.pid || (taskKinds[event.kind] === 1 && !part));
    if (over) this.endPut(cpu, putting, event);
    if (inTask && own !== undefined && own.putCpu >= 0 && own.putCpu !== cpu.index && own.pid === event.pid)
      this.endPut(this.#cpus.at(own.putCpu), own, event);
  }

  /**
   * An interrupt inside a put comes before its save, with the vcpu still running and its timer loaded; after the
   * save (or where saves are not recorded) it is a late one.
   */
  interruptsPut(cpu: CpuTrack, event: TimerEvent): void {
    const { putting } = cpu;
    if (putting === undefined) return;
    const saved = putting.savedVirtual && (putting.savedPhysical || !putting.hasDirectPhysical);
    if (this.#feeds.saves && !saved) return;
    this.endPut(cpu, putting, event);
  }

  /** The put is over before the record `event`: the vcpu is loaded nowhere. */
  endPut(cpu: CpuTrack, vcpu: Vcpu, event: TimerEvent): void {
    cpu.putting = undefined;
    vcpu.reports = 0;
    vcpu.putCpu = -1;
    vcpu.cpu = -1;
    if (cpu.running === vcpu) cpu.running = undefined;
    cpu.known = true;
    this.derive(Kind.put_end, cpu, vcpu, event, Certainty.derived);
  }

  /** Makes up an event of the vcpu's thread, with time and place of the record that shows it. */
  derive(kind: number, cpu: CpuTrack, vcpu: Vcpu, from: TimerEvent, certainty: number): void {
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
}
