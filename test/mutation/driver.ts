import { Register, Timer } from '../../src/events/event.js';
import type { Design } from '../../src/models/design.js';
import {
  type EffectSink,
  exits,
  type Guest,
  type GuestView,
  type Recorder,
  Simulation,
} from '../../src/simulate/simulation.js';
import { type SimCpu, type SimHost, type SimTimer, type SimVcpu, simTimers } from '../../src/simulate/state.js';

// What guests, scheduler and userspace do to a host, so that every function of a design is called on each of its ways.

const us = 1000;
/** How long something may take that never comes, before somebody else goes on: nanoseconds, more than rules wait for. */
const never = 300_000 * us;
/** A thread of the host that has nothing to do with timers. */
const daemon = 50;
/** Ticks a microsecond. */
const ticks = 62.5;
const { ptimer, vtimer } = Timer;

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

export type Episode = (stage: Stage) => void;

const periodic = (guest: GuestView, timer: SimTimer) =>
  guest.program(timer, 1, guest.simulation.count(guest.cpu, timer) + Math.round(30 * ticks));

/** A trapped write of the emulated physical timer, or a direct one. */
function physical(stage: Stage, vcpu: SimVcpu, cpu: SimCpu, ctl: number, delay: number): void {
  const { simulation } = stage;
  const cval = simulation.counter + Math.round(delay * ticks);
  if (simulation.isDirect(ptimer)) {
    stage.run(vcpu, cpu, (guest) => {
      guest.program(ptimer, ctl, cval);
      guest.spend(2 * us);
      guest.exit(exits.sysreg);
    });
    return;
  }
  for (const [register, value] of [
    [Register.cval, cval],
    [Register.ctl, ctl],
  ] as const) {
    stage.run(vcpu, cpu, (guest) => guest.exit(exits.sysreg));
    simulation.trappedAccess(vcpu, cpu, ptimer, register, value);
  }
}

/** The guest takes an interrupt of the emulated physical timer, and then turns the timer off. */
function takePhysical(stage: Stage, vcpu: SimVcpu, cpu: SimCpu): void {
  if (stage.simulation.isDirect(ptimer)) return stage.untilInterrupt(vcpu, cpu);
  for (let trip = 0; trip < 6; trip++) {
    let taken = false;
    stage.run(vcpu, cpu, (guest) => {
      for (const timer of guest.acknowledge()) {
        taken = true;
        guest.deactivate(timer);
      }
      guest.spend(taken ? us : trip < 4 ? 60 * us : never);
      guest.exit(exits.sysreg);
    });
    stage.simulation.advance(us);
    if (!taken) continue;
    stage.simulation.trappedAccess(vcpu, cpu, ptimer, Register.ctl, 0);
    return;
  }
}

/** Each from the creation of the VMs to the end. */
export const episodes: Readonly<Record<string, Episode>> = {
  /** A periodic tick, taken in the guest. */
  tick(stage) {
    const { a, c0 } = stage;
    stage.begin(a, c0);
    stage.arm(a, c0, 30);
    for (let i = 0; i < 3; i++) stage.untilInterrupt(a, c0, periodic);
    stage.end(a, c0);
    stage.simulation.advance(100 * us);
    stage.begin(a, c0);
    stage.untilInterrupt(a, c0);
    stage.end(a, c0);
  },

  /** Two vcpus on one CPU, and one that moves: deadlines ahead and passed. */
  preempt(stage) {
    const { a, other, c0, c1, simulation } = stage;
    stage.begin(a, c0);
    stage.arm(a, c0, 400);
    simulation.scheduleOut(a, c0, false, other.pid);
    stage.begin(other, c0);
    stage.arm(other, c0, 20);
    stage.untilInterrupt(other, c0, periodic);
    simulation.scheduleOut(other, c0, false, a.pid);
    simulation.load(a, c0);
    stage.run(a, c0, (guest) => guest.spend(10 * us));
    simulation.scheduleOut(a, c0, false);
    simulation.scheduleIn(a, c1);
    stage.run(a, c1, (guest) => guest.spend(10 * us));
    simulation.scheduleOut(a, c1, false);
    simulation.advance(600 * us);
    simulation.scheduleIn(a, c0);
    stage.untilInterrupt(a, c0, periodic);
    stage.untilInterrupt(a, c0);
    stage.end(a, c0);
    simulation.scheduleIn(other, c1);
    stage.untilInterrupt(other, c1);
    stage.end(other, c1);
  },

  /** Sleeps until its timer wakes it. */
  block(stage) {
    const { a, c0, c1 } = stage;
    stage.begin(a, c0);
    stage.arm(a, c0, 300);
    if (stage.block(a, c0)) stage.sleep(a, c1, 500);
    stage.untilInterrupt(a, c1, periodic);
    if (stage.block(a, c1)) stage.sleep(a, c0, 200);
    stage.untilInterrupt(a, c0);
    stage.end(a, c0);
  },

  /** Sleeps, and is woken by something else before its deadline; sleeps again. */
  woken(stage) {
    const { a, b, c0, c1 } = stage;
    stage.begin(a, c0);
    stage.arm(a, c0, 900);
    if (stage.block(a, c0)) stage.sleep(a, c0, 100);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    stage.begin(b, c1);
    stage.run(b, c1, (guest) => guest.spend(5 * us));
    if (stage.block(a, c0)) stage.sleep(a, c0, 100);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    stage.end(b, c1);
    if (stage.block(a, c0)) {
      // Woken, back, nothing pending: asleep again, until the timer.
      stage.simulation.wake(a, c1);
      stage.simulation.scheduleIn(a, c1);
      stage.simulation.scheduleOut(a, c1, true);
      stage.sleep(a, c1, 900);
    }
    stage.untilInterrupt(a, c1);
    stage.end(a, c1);
  },

  /** Nothing to wake it, a deadline that has passed, a clock that is slewed. */
  blockEdges(stage) {
    const { a, c0, simulation } = stage;
    stage.begin(a, c0);
    stage.arm(a, c0, 200, vtimer, 3);
    if (stage.block(a, c0)) stage.sleep(a, c0, 300);
    stage.arm(a, c0, 1, vtimer, 0);
    if (stage.block(a, c0)) stage.sleep(a, c0, 50);
    stage.arm(a, c0, 4);
    simulation.advance(10 * us);
    if (stage.block(a, c0)) stage.sleep(a, c0, 50);
    stage.untilInterrupt(a, c0);
    stage.arm(a, c0, 200);
    simulation.slew = 20 * us;
    if (stage.block(a, c0)) stage.sleep(a, c0, 400);
    simulation.slew = 0;
    stage.untilInterrupt(a, c0);
    // Switched out on its way to sleep, and back at once.
    stage.arm(a, c0, 300);
    if (stage.block(a, c0, true)) stage.sleep(a, c0, 50);
    stage.untilInterrupt(a, c0);
    stage.end(a, c0);
  },

  /** The guest masks an expired timer without taking its interrupt, and later wants it. */
  mask(stage) {
    const { a, c0, simulation } = stage;
    stage.begin(a, c0);
    stage.arm(a, c0, 20);
    stage.run(a, c0, (guest) => guest.spend(60 * us));
    stage.run(a, c0, (guest) => {
      guest.program(vtimer, 3, 0);
      guest.spend(5 * us);
      guest.exit(exits.sysreg);
    });
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    stage.run(a, c0, (guest) => {
      guest.program(vtimer, 1, 0);
      guest.spend(20 * us);
    });
    stage.untilInterrupt(a, c0);
    // The same with an interrupt that stays active over a put.
    stage.arm(a, c0, 20);
    stage.run(a, c0, (guest) => guest.spend(60 * us));
    stage.run(a, c0, (guest) => {
      guest.acknowledge();
      guest.program(vtimer, 1, guest.count + Math.round(40 * ticks));
      guest.exit(exits.sysreg);
    });
    simulation.scheduleOut(a, c0, false);
    simulation.advance(100 * us);
    simulation.scheduleIn(a, c0);
    stage.run(a, c0, (guest) => {
      guest.deactivate(vtimer);
      guest.spend(30 * us);
    });
    stage.untilInterrupt(a, c0);
    stage.end(a, c0);
  },

  /** Userspace writes registers before the first run and between runs, and moves the counter. */
  user(stage) {
    const { a, b, c0, simulation } = stage;
    const soon = () => simulation.counter - a.vm.offset + Math.round(150 * ticks);
    simulation.userWrite(a, c0, vtimer, Register.cval, soon());
    simulation.userWrite(a, c0, vtimer, Register.ctl, 1);
    stage.begin(a, c0);
    stage.untilInterrupt(a, c0, periodic);
    stage.end(a, c0);
    simulation.userWrite(a, c0, vtimer, Register.cval, soon());
    simulation.userWrite(a, c0, vtimer, Register.ctl, 1);
    stage.begin(a, c0);
    stage.untilInterrupt(a, c0);
    stage.end(a, c0);
    simulation.userWrite(a, c0, vtimer, Register.cnt, 50_000);
    simulation.userWrite(b, c0, vtimer, Register.cval, 49_000);
    simulation.userWrite(b, c0, vtimer, Register.ctl, 1);
    stage.begin(b, c0);
    stage.untilInterrupt(b, c0);
    stage.arm(b, c0, 30);
    stage.untilInterrupt(b, c0);
    stage.end(b, c0);
    simulation.advance(50 * us);
    stage.begin(b, c0);
    stage.run(b, c0, (guest) => guest.spend(5 * us));
    stage.end(b, c0);
  },

  /** Reset between runs with a timer that runs, and with one whose interrupt is pending. */
  reset(stage) {
    const { a, c0, simulation } = stage;
    const reset = () => {
      if (simulation.loadsForIoctls) simulation.load(a, c0);
      simulation.call('reset', c0, a);
      if (simulation.loadsForIoctls) simulation.put(a, c0);
    };
    stage.begin(a, c0);
    stage.arm(a, c0, 100);
    stage.end(a, c0);
    c0.pid = a.pid;
    reset();
    stage.begin(a, c0);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    stage.arm(a, c0, 5);
    stage.run(a, c0, (guest) => guest.spend(30 * us));
    stage.end(a, c0);
    c0.pid = a.pid;
    reset();
    stage.begin(a, c0);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    stage.arm(a, c0, 20);
    // PSCI resets it in its own thread, while it is loaded.
    if (!simulation.loadsForIoctls) simulation.call('reset', c0, a);
    stage.run(a, c0, (guest) => guest.spend(40 * us));
    stage.end(a, c0);
  },

  /** The physical timer: emulated or direct, over puts, loads and sleeps. */
  ptimer(stage) {
    const { a, c0, c1, simulation } = stage;
    if (!simulation.host.hasPtimer || !simulation.has('trapped_access')) return;
    stage.begin(a, c0);
    physical(stage, a, c0, 1, 40);
    takePhysical(stage, a, c0);
    physical(stage, a, c0, 1, 300);
    simulation.scheduleOut(a, c0, false);
    simulation.advance(50 * us);
    simulation.scheduleIn(a, c1);
    stage.run(a, c1, (guest) => guest.spend(5 * us));
    simulation.scheduleOut(a, c1, false);
    simulation.advance(500 * us);
    simulation.scheduleIn(a, c0);
    takePhysical(stage, a, c0);
    physical(stage, a, c0, 1, 200);
    if (stage.block(a, c0)) stage.sleep(a, c0, 400);
    takePhysical(stage, a, c0);
    physical(stage, a, c0, 1, 100);
    physical(stage, a, c0, 3, 100);
    stage.run(a, c0, (guest) => guest.spend(5 * us));
    simulation.scheduleOut(a, c0, false);
    simulation.scheduleIn(a, c0);
    physical(stage, a, c0, 1, 60);
    simulation.slew = 20 * us;
    simulation.advance(100 * us);
    simulation.slew = 0;
    takePhysical(stage, a, c0);
    stage.end(a, c0);
  },

  /** Loaded and put again before it is entered, with a timer that runs. */
  passing(stage) {
    const { a, c0, c1, simulation } = stage;
    stage.begin(a, c0);
    stage.arm(a, c0, 900);
    for (const cpu of [c1, c0, c1]) {
      simulation.scheduleOut(a, cpu === c1 ? c0 : c1, false);
      simulation.advance(20 * us);
      simulation.scheduleIn(a, cpu);
    }
    stage.untilInterrupt(a, c1);
    stage.end(a, c1);
  },

  /** Deadlines that pass inside a put, a load, or before an entry that is given up. */
  late(stage) {
    const { a, other, c0, simulation } = stage;
    stage.begin(a, c0);
    for (let i = 0; i < 6; i++) {
      stage.arm(a, c0, 8 + i);
      simulation.put(a, c0);
      c0.pid = 0;
      simulation.advance(30 * us);
      stage.begin(other, c0);
      stage.run(other, c0, (guest) => guest.spend(3 * us));
      stage.end(other, c0);
      simulation.load(a, c0);
      if (i % 2 === 0 && simulation.has('flush')) simulation.call('flush', c0, a);
      if (
        i % 2 === 0 &&
        simulation.has('sync') &&
        simulation.design.id !== 'rfc-load-put' &&
        simulation.loadsForIoctls
      ) {
        simulation.call('sync', c0, a);
      }
      stage.untilInterrupt(a, c0);
    }
    stage.end(a, c0);
  },
};

/** One after the other: what one shows of offsets, and of what is recorded at all, decides in the next. */
const history: Episode = (stage) => {
  const { woken, block, blockEdges, ptimer: physicalTimer, preempt, mask, late, user, tick } = episodes;
  const told = stage.simulation.host.inKernelIrqchip
    ? [woken, block, blockEdges, physicalTimer, preempt, mask, late, user, tick]
    : [block, preempt, mask, tick];
  for (const episode of told) episode?.(stage);
};

/** The episodes that a host is tried with: without a vgic only what differs there. */
export function episodesOf({ inKernelIrqchip }: SimHost): [name: string, episode: Episode][] {
  const differing = ['tick', 'preempt', 'block', 'mask'];
  return [
    ...Object.entries(episodes).filter(([name]) => inKernelIrqchip || differing.includes(name)),
    ['history', history],
  ];
}

/** The hosts on which a design is tried. */
export function hostsOf(design: Design): SimHost[] {
  const base = { cpus: 2, activeState: true, inKernelIrqchip: true, hasPtimer: design.id !== 'rfc-load-put' };
  const user = { ...base, host: 'nvhe' as const, inKernelIrqchip: false };
  return [
    { ...base, host: 'nvhe' },
    { ...base, host: 'vhe' },
    ...(design.id === 'world-switch' ? [{ ...base, host: 'nvhe' as const, hasPtimer: false }] : []),
    ...(design.id === 'rfc-load-put' ? [] : [user]),
    ...(design.vgicSamplesLine ? [{ ...user, activeState: false }] : []),
  ];
}
