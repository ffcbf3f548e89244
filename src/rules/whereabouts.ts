import type { TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import type { Machine } from '../machine/machine.js';
import { unknown, yes } from '../machine/state.js';
import type { RuleContext } from './context.js';

/** Where the thread of a vcpu is, as far as the scheduler's records tell. */
export enum Place {
  unknown,
  /** On a CPU, in KVM_RUN or on its way there. */
  running,
  /** Switched out although it could run, or woken and not switched in yet. */
  runnable,
  /** Switched out to sleep in the wait of its vcpu. */
  waiting,
  /** Switched out to sleep elsewhere: powered off, paused, in a page fault. */
  elsewhere,
  /** Switched out to sleep, and not known where. */
  somewhere,
  /** Back in userspace. */
  userspace,
}

/** Exception classes of PSCI calls (HVC, SMC): CPU_OFF sleeps for good, and looks like CPU_SUSPEND. */
const psciClasses: readonly number[] = [0x12, 0x13, 0x16, 0x17];

/** Without `sched_waking` only a sleep of so many times the bound shows that nobody has woken a thread. */
const longSleep = 10;

/**
 * Follows the threads of the vcpus through the scheduler. A rule passes it the events that it names; one of another
 * kind says nothing of a thread's place.
 */
export class Whereabouts {
  readonly #context: RuleContext;
  readonly #machine: Machine;
  /** By vcpu. */
  readonly #places: Place[] = [];
  /** By vcpu: when it got there, nanoseconds. */
  readonly #since: number[] = [];
  /** By thread: the vcpu whose thread it is. */
  readonly #pids = new Map<number, number>();
  /** By vcpu: its thread. Before it has one of its own the VMM's first thread makes ioctls of it. */
  readonly #threads: number[] = [];
  /** By CPU: when it was last seen idle; infinity while it is. */
  readonly #idle: number[] = [];
  /** sched_waking has been recorded, which comes with every wakeup. */
  #wakings = false;
  /** A probe tells of calls that wake a vcpu. */
  #probed = false;

  constructor(context: RuleContext) {
    this.#context = context;
    this.#machine = context.machine;
  }

  of(vcpu: number): Place {
    return this.#places[vcpu] ?? Place.unknown;
  }

  /** When it got there, nanoseconds since the trace began. */
  since(vcpu: number): number {
    return this.#since[vcpu] ?? Number.NaN;
  }

  /** Whether its thread sleeps. */
  sleeps(vcpu: number): boolean {
    const place = this.of(vcpu);
    return place === Place.waiting || place === Place.elsewhere || place === Place.somewhere;
  }

  /** sched_switch. @returns the vcpu that is switched in, -1 none */
  switched(event: TimerEvent): number {
    const { vcpu, cpu, otherPid } = event;
    this.#idle[cpu] = otherPid === 0 ? Number.POSITIVE_INFINITY : event.pid === 0 ? event.time : (this.#idle[cpu] ?? 0);
    if (vcpu >= 0) {
      this.#belongs(event.pid, vcpu);
      this.#move(vcpu, this.#leaving(event), event.time);
    }
    const next = this.#pids.get(otherPid);
    if (next === undefined || otherPid <= 0) return -1;
    this.#move(next, Place.running, event.time);
    return next;
  }

  /** A vcpu has one thread at a time. */
  #belongs(pid: number, vcpu: number): void {
    const before = this.#threads[vcpu];
    if (before === pid) return;
    if (before !== undefined && this.#pids.get(before) === vcpu) this.#pids.delete(before);
    this.#threads[vcpu] = pid;
    this.#pids.set(pid, vcpu);
  }

  #leaving({ vcpu, sleeping }: TimerEvent): Place {
    if (sleeping < 0) return Place.unknown;
    if (sleeping === 0) return Place.runnable;
    const { blocked, exitClass } = this.#machine.vcpu(vcpu);
    if (blocked === unknown) return Place.somewhere;
    return blocked === yes && !psciClasses.includes(exitClass) ? Place.waiting : Place.elsewhere;
  }

  /** A record of the vcpu's own thread. */
  seen(event: TimerEvent): void {
    if (event.vcpu >= 0 && this.of(event.vcpu) !== Place.running) this.#move(event.vcpu, Place.running, event.time);
  }

  /** A put: the scheduler's comes after its sched_switch, any other ends KVM_RUN or an ioctl. */
  put(event: TimerEvent): void {
    if (event.vcpu >= 0 && this.of(event.vcpu) === Place.running) this.#move(event.vcpu, Place.userspace, event.time);
  }

  userspace(event: TimerEvent): void {
    if (event.vcpu >= 0) this.#move(event.vcpu, Place.userspace, event.time);
  }

  woken(event: TimerEvent): void {
    if (event.hasVcpuPointer) this.#probed = true;
    else this.#wakings = true;
    if (event.vcpu >= 0 && this.sleeps(event.vcpu)) this.#move(event.vcpu, Place.runnable, event.time);
  }

  /** Records were lost: a switch or a wakeup may be among them. */
  lost(): void {
    this.#places.fill(Place.unknown);
    this.#idle.fill(0);
  }

  /**
   * Whether it is certain that a thread which is not seen to run is not runnable either, waiting for a CPU since `from`:
   * wakeups are recorded, every CPU has been idle meanwhile, or no scheduler lets a thread wait so long.
   */
  isCertain(from: number, now: number): boolean {
    if (this.#context.records(Kind.wakeup) && (this.#wakings || !this.#probed)) return true;
    if (now - from > longSleep * this.#context.maxLatency) return true;
    for (const cpu of this.#machine.cpus) {
      if (cpu.lastTime < 0) continue;
      if (!((this.#idle[cpu.index] ?? 0) > from)) return false;
    }
    return true;
  }

  #move(vcpu: number, place: Place, time: number): void {
    this.#places[vcpu] = place;
    this.#since[vcpu] = time;
  }
}
