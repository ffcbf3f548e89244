import { Timer } from '../../../src/events/event.js';
import type { Design } from '../../../src/models/design.js';
import { exits, type Guest, type GuestView } from '../../../src/simulate/guest.js';
import { Simulation } from '../../../src/simulate/simulation.js';
import type { EffectSink, Recorder } from '../../../src/simulate/sink.js';
import { type SimCpu, type SimHost, type SimTimer, type SimVcpu, simTimers } from '../../../src/simulate/state.js';

/** Nanoseconds. */
export const us = 1000;
/** How long something may take that never comes, before somebody else goes on: nanoseconds, more than rules wait for. */
export const never = 300_000 * us;
/** A thread of the host that has nothing to do with timers. */
const daemon = 50;
/** Ticks a microsecond. */
export const ticks = 62.5;
export const { ptimer, vtimer, hvtimer, hptimer } = Timer;

/** A host with two CPUs, a VM with two vcpus and a VM with one. */
export class Stage {
  readonly simulation: Simulation;
  readonly a: SimVcpu;
  readonly b: SimVcpu;
  readonly other: SimVcpu;
  readonly c0: SimCpu;
  readonly c1: SimCpu;

  constructor(design: Design, host: SimHost, record: Recorder, sink?: EffectSink) {
    this.simulation = new Simulation(design, host, record, sink);
    const first = this.simulation.vm(10_000);
    this.a = this.simulation.vcpu(first, 0);
    this.b = this.simulation.vcpu(first, 1);
    this.other = this.simulation.vcpu(this.simulation.vm(25_000), 0);
    [this.c0, this.c1] = this.simulation.cpus as [SimCpu, SimCpu];
  }

  /** Up to 4.15 a load implies that the vcpu has a thread of its own; the first KVM_RUN enables it. */
  begin(vcpu: SimVcpu, cpu: SimCpu): void {
    const { simulation } = this;
    cpu.pid = vcpu.pid;
    const enable = () => {
      if (!vcpu.enabled) simulation.call('enable', cpu, vcpu);
    };
    if (!simulation.loadsForIoctls) enable();
    simulation.load(vcpu, cpu);
    if (simulation.loadsForIoctls) enable();
  }

  end(vcpu: SimVcpu, cpu: SimCpu): void {
    const { simulation } = this;
    if (simulation.loadsForIoctls) simulation.emit('userspace_exit', cpu, vcpu);
    simulation.put(vcpu, cpu);
    if (!simulation.loadsForIoctls) simulation.emit('userspace_exit', cpu, vcpu);
    cpu.pid = 0;
  }

  run(vcpu: SimVcpu, cpu: SimCpu, guest: Guest): void {
    this.simulation.run(vcpu, cpu, guest);
  }

  /** Enters until the guest has taken an interrupt of a timer, eight times at most. */
  untilInterrupt(vcpu: SimVcpu, cpu: SimCpu, next?: (guest: GuestView, timer: SimTimer) => void): void {
    let taken = false;
    for (let trip = 0; trip < 8 && !taken; trip++) {
      this.run(vcpu, cpu, (guest) => {
        for (const timer of guest.acknowledge()) {
          taken = true;
          if (next !== undefined) next(guest, timer);
          else guest.program(timer, 0, 0);
          guest.deactivate(timer);
        }
        guest.spend(taken ? 10 * us : trip < 6 ? 80 * us : never);
      });
    }
  }

  arm(vcpu: SimVcpu, cpu: SimCpu, delay: number, timer: SimTimer = vtimer, ctl = 1): void {
    this.run(vcpu, cpu, (guest) => {
      for (const pending of guest.acknowledge()) {
        guest.program(pending, 0, 0);
        guest.deactivate(pending);
      }
      guest.program(timer, ctl, this.simulation.count(cpu, timer) + Math.round(delay * ticks));
      guest.spend(2 * us);
      guest.exit(exits.sysreg);
    });
  }

  /** WFI: the hook before the sleep, and the sleep unless something is pending. @returns whether it sleeps */
  block(vcpu: SimVcpu, cpu: SimCpu, preempted = false): boolean {
    const { simulation } = this;
    this.run(vcpu, cpu, (guest) => guest.exit(exits.wfx));
    simulation.emit('wfx', cpu, vcpu, { level: false });
    if (simulation.has('schedule')) simulation.call('schedule', cpu, vcpu);
    else simulation.emit('schedule', cpu, vcpu);
    vcpu.waiting = true;
    if (this.runnable(vcpu)) {
      this.unblock(vcpu, cpu);
      return false;
    }
    simulation.scheduleOut(vcpu, cpu, !preempted);
    return true;
  }

  /** Back on a CPU: the hook after the sleep. */
  unblock(vcpu: SimVcpu, cpu: SimCpu): void {
    const { simulation } = this;
    vcpu.waiting = false;
    if (simulation.has('unschedule')) simulation.call('unschedule', cpu, vcpu);
    else simulation.emit('unschedule', cpu, vcpu);
    simulation.emit('halt_end', cpu, vcpu);
  }

  /** kvm_arch_vcpu_runnable and kvm_cpu_has_pending_timer. */
  runnable(vcpu: SimVcpu): boolean {
    return simTimers.some((timer) => {
      const { line, loaded } = vcpu.contexts[timer];
      return line || (!loaded && this.expiredTimer(vcpu, timer));
    });
  }

  /** Whether a timer of a vcpu that is not loaded has expired. */
  expired(vcpu: SimVcpu): boolean {
    return simTimers.some((timer) => this.expiredTimer(vcpu, timer));
  }

  private expiredTimer(vcpu: SimVcpu, timer: SimTimer): boolean {
    const context = vcpu.contexts[timer];
    return context.canFire && this.simulation.contextCount(vcpu, timer) >= context.cval;
  }

  /** Time passes for something that does not come, on CPUs that are seen to be alive. */
  wait(): void {
    const { simulation } = this;
    for (let slice = 0; slice < 10; slice++) {
      simulation.advance(never / 10);
      for (const cpu of simulation.cpus) {
        if (cpu.running !== undefined || cpu.pid !== 0) continue;
        simulation.emit('sched_switch', cpu, undefined, { otherPid: daemon, sleeping: false });
        cpu.pid = daemon;
        simulation.emit('sched_switch', cpu, undefined, { otherPid: 0, sleeping: true });
        cpu.pid = 0;
      }
    }
  }

  /** Sleeps until it is woken, and is back on a CPU, if it was woken. */
  sleep(vcpu: SimVcpu, cpu: SimCpu, microseconds: number): void {
    this.simulation.advance(microseconds * us);
    const { bg } = vcpu;
    const forgotten = vcpu.asleep && this.expired(vcpu);
    if (forgotten || (vcpu.asleep && bg.armed && bg.expires < this.simulation.now)) this.wait();
    if (vcpu.asleep) this.simulation.wake(vcpu, cpu);
    this.simulation.scheduleIn(vcpu, cpu);
    this.unblock(vcpu, cpu);
  }
}

/** From the creation of the VMs to the end. */
export type Episode = (stage: Stage) => void;

/** What a guest does with an interrupt of a periodic timer. */
export const periodic = (guest: GuestView, timer: SimTimer) =>
  guest.program(timer, 1, guest.simulation.count(guest.cpu, timer) + Math.round(30 * ticks));
