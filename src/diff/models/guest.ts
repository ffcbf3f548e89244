import { Ctl, Register, Timer, type TimerEvent } from '../../events/event.js';
import type { Host } from '../../machine/machine.js';
import type { Design } from '../../models/design.js';
import { Simulation } from '../../simulate/simulation.js';
import { KernelBug, type SimCpu, type SimVcpu, type SimVm, tick } from '../../simulate/state.js';
import { Assumptions } from './assumptions.js';
import { Counter } from './count.js';
import { Act, type Stimulus } from './stimulus.js';

/** When the simulated host's clock begins, nanoseconds before the trace: counts stay positive. */
export const clockStart = 1_000_000_000;

/** Duration of a simulated record, nanoseconds: what the recording took for it is in the times of its stimuli. */
const recordTime = 3 * tick;

/** CNTVOFF of the guests, counts: any value that is not 0. */
const guestOffset = 1_000_000;

/** Where a design's kernel stopped: a BUG_ON or an oops. */
export interface Stopped {
  /** What it stopped at, as the kernel names it. */
  readonly message: string;
  /** Nanoseconds since the trace began. */
  readonly time: number;
}

/** A vcpu and its CPU as one design keeps them, at one moment, in the kernel's names; values as text. */
export type DesignState = Readonly<Record<string, string>>;

/** One guest on a host whose kernel is a design: does what the stimuli say, and counts what the design makes of it. */
export class GuestOnDesign {
  readonly simulation: Simulation;
  readonly counter: Counter;
  readonly assumptions = new Assumptions();
  stopped: Stopped | undefined;
  readonly #vm: SimVm;
  readonly #vcpus: SimVcpu[] = [];

  constructor(design: Design, host: Host, hasPtimer: boolean, record: (event: TimerEvent) => void) {
    this.counter = new Counter(host);
    const simHost = { host, cpus: 1, hasPtimer, activeState: true, inKernelIrqchip: true };
    const recorded = (event: TimerEvent) => {
      this.counter.event(event, this.simulation.cpu(event.cpu));
      record(event);
    };
    this.simulation = new Simulation(design, simHost, recorded, this.counter, {
      recordTime,
      cutStorms: true,
      deferWork: true,
    });
    this.simulation.now = clockStart;
    this.#vm = this.simulation.vm(guestOffset);
  }

  vcpu(index: number): SimVcpu {
    for (let next = this.#vcpus.length; next <= index; next++) this.#vcpus.push(this.simulation.vcpu(this.#vm, next));
    return this.#vcpus[index] as SimVcpu;
  }

  /** Lets the design see a stimulus, and what has become due until then. */
  take(stimulus: Stimulus): void {
    if (this.stopped !== undefined) return;
    try {
      const { simulation } = this;
      const vcpu = this.vcpu(stimulus.vcpu);
      const cpu = simulation.cpu(stimulus.cpu);
      const time = clockStart + Math.floor(stimulus.time / tick) * tick;
      if (time > simulation.now) simulation.advance(time - simulation.now);
      this.#act(stimulus, vcpu, cpu);
    } catch (error) {
      if (!(error instanceof KernelBug)) throw error;
      this.stopped = { message: error.message, time: stimulus.time };
    }
  }

  /** What the guest sees when it is entered: its registers, its counter, its interrupt; as one text. */
  seenByGuest(index: number): string {
    const vcpu = this.vcpu(index);
    if (!vcpu.inGuest) return 'not entered';
    const cpu = this.simulation.cpu(vcpu.cpu);
    const { ctl, cval } = cpu.timers[Timer.vtimer];
    const writable = ctl & (Ctl.enable | Ctl.imask);
    return `${writable} ${cval} ${cpu.cntvoff} ${vcpu.contexts[Timer.vtimer].listRegister}`;
  }

  /** Of a vcpu and the CPU on which it is, or was last. */
  state(index: number, cpuIndex: number): DesignState {
    const { simulation } = this;
    const vcpu = this.vcpu(index);
    const cpu = simulation.cpu(vcpu.cpu >= 0 ? vcpu.cpu : cpuIndex);
    const context = vcpu.contexts[Timer.vtimer];
    const hardware = cpu.timers[Timer.vtimer];
    const hex = (value: number) => (value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`);
    return {
      'loaded on': vcpu.cpu >= 0 ? `CPU ${vcpu.cpu}` : 'no CPU',
      'in guest': String(vcpu.inGuest),
      level: String(Number(context.level)),
      'virtual interrupt': context.listRegister === 'none' ? (context.line ? 'pending' : 'none') : context.listRegister,
      'mem.ctl': String(context.ctl),
      'mem.cval': hex(context.cval),
      CNTV_CTL: String(simulation.readCtl(cpu, Timer.vtimer)),
      CNTV_CVAL: hex(hardware.cval),
      CNTVOFF_EL2: hex(cpu.cntvoff),
      active: String(Number(cpu.active[Timer.vtimer])),
      forwarded: String(Number(simulation.forwarded[Timer.vtimer])),
      bg_timer: vcpu.bg.armed ? 'armed' : '-',
    };
  }

  // --- acts -------------------------------------------------------------------

  #act(stimulus: Stimulus, vcpu: SimVcpu, cpu: SimCpu): void {
    switch (stimulus.act) {
      case Act.load:
        return this.#load(stimulus, vcpu, cpu);
      case Act.put:
        return this.#put(stimulus, vcpu, cpu);
      case Act.entry:
        this.#ensureLoaded(vcpu, cpu);
        if (vcpu.inGuest) return;
        this.counter.begin('entry');
        return this.simulation.enter(vcpu, cpu);
      case Act.exit:
        return this.#exit(stimulus, vcpu, cpu);
      case Act.abort:
        return this.#abort(vcpu, cpu);
      case Act.block:
        return this.#block(vcpu, cpu);
      case Act.unblock:
        return this.#unblock(vcpu, cpu);
      case Act.write:
        return this.#write(stimulus, vcpu, cpu);
      case Act.writeCounter:
        // The count that the counter shows now: a step would move all deadlines, which are placed by their times.
        this.assumptions.add('counter-write');
        return this.#userWrite(vcpu, cpu, Register.cnt, this.simulation.counter - vcpu.vm.offset);
      case Act.reset:
        return this.#reset(vcpu, cpu);
    }
  }

  #load(stimulus: Stimulus, vcpu: SimVcpu, cpu: SimCpu): void {
    const { simulation } = this;
    if (!stimulus.runs && !simulation.loadsForIoctls) return this.assumptions.add('ioctl-load');
    if (vcpu.cpu >= 0) this.#impliedPut(vcpu);
    if (stimulus.ctl >= 0) this.#write(stimulus, vcpu, cpu);
    this.#loadOn(vcpu, cpu, stimulus.scheduled, stimulus.runs);
  }

  #loadOn(vcpu: SimVcpu, cpu: SimCpu, scheduled: boolean, runs: boolean): void {
    const { simulation, counter } = this;
    if (cpu.running !== undefined && cpu.running !== vcpu) this.#impliedPut(cpu.running);
    const first = runs && !vcpu.enabled;
    if (first && !simulation.loadsForIoctls) this.#enable(vcpu, cpu);
    if (vcpu.asleep) {
      this.assumptions.add('wakeup-given');
      simulation.wake(vcpu, cpu);
      // Not the design's.
      counter.signals.wakeups--;
    }
    counter.begin('load');
    if (scheduled) simulation.scheduleIn(vcpu, cpu);
    else simulation.load(vcpu, cpu);
    if (first && simulation.loadsForIoctls) this.#enable(vcpu, cpu);
  }

  /** The first KVM_RUN: inside its load or before it. */
  #enable(vcpu: SimVcpu, cpu: SimCpu): void {
    this.counter.begin('enable');
    cpu.pid = vcpu.pid;
    this.simulation.call('enable', cpu, vcpu);
  }

  #put({ scheduled, sleeping }: Stimulus, vcpu: SimVcpu, cpu: SimCpu): void {
    const { simulation, counter } = this;
    // Of a load that was left out, or that the recording does not show.
    if (vcpu.cpu !== cpu.index) return;
    this.#ensureOut(vcpu, cpu);
    counter.begin('put');
    if (scheduled) return simulation.scheduleOut(vcpu, cpu, sleeping);
    if (simulation.loadsForIoctls) simulation.emit('userspace_exit', cpu, vcpu);
    simulation.put(vcpu, cpu);
    if (!simulation.loadsForIoctls) simulation.emit('userspace_exit', cpu, vcpu);
    cpu.pid = 0;
  }

  #impliedPut(vcpu: SimVcpu): void {
    const cpu = this.simulation.cpu(vcpu.cpu);
    this.assumptions.add('put-implied');
    this.#ensureOut(vcpu, cpu);
    this.counter.begin('put');
    this.simulation.scheduleOut(vcpu, cpu, false);
  }

  #ensureLoaded(vcpu: SimVcpu, cpu: SimCpu): void {
    if (vcpu.cpu === cpu.index) {
      if (!vcpu.enabled) this.#enable(vcpu, cpu);
      return;
    }
    this.assumptions.add('load-implied');
    if (vcpu.cpu >= 0) this.#impliedPut(vcpu);
    this.#loadOn(vcpu, cpu, true, true);
  }

  /** A stay whose exit is not recorded ends. */
  #ensureOut(vcpu: SimVcpu, cpu: SimCpu): void {
    if (!vcpu.inGuest) return;
    this.counter.begin('exit');
    this.simulation.leave(vcpu, cpu, { code: 0, exceptionClass: -1 });
  }

  #exit(stimulus: Stimulus, vcpu: SimVcpu, cpu: SimCpu): void {
    if (!vcpu.inGuest || vcpu.cpu !== cpu.index) return;
    this.#stay(stimulus, vcpu, cpu);
    this.counter.begin('exit');
    this.simulation.leave(vcpu, cpu, { code: stimulus.code, exceptionClass: stimulus.exceptionClass });
  }

  /** What the guest did before it was left: takes its interrupt, writes its timer. */
  #stay(stimulus: Stimulus, vcpu: SimVcpu, cpu: SimCpu): void {
    const { simulation } = this;
    const context = vcpu.contexts[Timer.vtimer];
    const writes = stimulus.ctl >= 0;
    const spurious = !writes && !simulation.line(cpu, Timer.vtimer);
    if (context.listRegister === 'pending' && (writes || spurious)) {
      this.assumptions.add(writes ? 'interrupt-taken' : 'spurious-taken');
      this.counter.taken(vcpu.id);
      context.listRegister = 'none';
      if (simulation.isMapped(vcpu, Timer.vtimer)) cpu.active[Timer.vtimer] = false;
    }
    if (!writes) return;
    const hardware = cpu.timers[Timer.vtimer];
    const { deadline } = stimulus;
    if (deadline !== undefined) hardware.cval = this.#count(deadline.time, vcpu);
    hardware.ctl = stimulus.ctl;
  }

  /** Virtual count at a time of the trace. */
  #count(time: number, { vm }: SimVcpu): number {
    return Math.floor((clockStart + time) / tick) - vm.offset;
  }

  #abort(vcpu: SimVcpu, cpu: SimCpu): void {
    const { simulation } = this;
    this.#ensureLoaded(vcpu, cpu);
    if (vcpu.inGuest) return;
    this.counter.within('entry');
    if (simulation.has('flush')) simulation.call('flush', cpu, vcpu);
    // The RFC has no sync there (W15); from 4.16 on it is for userspace irqchips only.
    if (!simulation.loadsForIoctls || simulation.design.id === 'rfc-load-put') return;
    this.counter.within('exit');
    simulation.call('sync', cpu, vcpu);
  }

  #block(vcpu: SimVcpu, cpu: SimCpu): void {
    const { simulation } = this;
    this.#ensureLoaded(vcpu, cpu);
    if (vcpu.waiting) return;
    this.#ensureOut(vcpu, cpu);
    this.counter.begin('block');
    simulation.emit('wfx', cpu, vcpu, { level: false });
    if (simulation.has('schedule')) simulation.call('schedule', cpu, vcpu);
    else simulation.emit('schedule', cpu, vcpu);
    vcpu.waiting = true;
  }

  #unblock(vcpu: SimVcpu, cpu: SimCpu): void {
    const { simulation } = this;
    if (!vcpu.waiting) return;
    this.#ensureLoaded(vcpu, cpu);
    vcpu.waiting = false;
    this.counter.begin('unblock');
    if (simulation.has('unschedule')) simulation.call('unschedule', cpu, vcpu);
    else simulation.emit('unschedule', cpu, vcpu);
    simulation.emit('halt_end', cpu, vcpu);
  }

  /** KVM_SET_ONE_REG of CVAL, where there is a deadline, and of CTL. */
  #write({ ctl, deadline, only }: Stimulus, vcpu: SimVcpu, cpu: SimCpu): void {
    const cval = deadline === undefined ? vcpu.contexts[Timer.vtimer].cval : this.#count(deadline.time, vcpu);
    if (only !== 'ctl') this.#userWrite(vcpu, cpu, Register.cval, cval);
    if (only !== 'cval') this.#userWrite(vcpu, cpu, Register.ctl, ctl);
  }

  #userWrite(vcpu: SimVcpu, cpu: SimCpu, register: Register, value: number): void {
    const { simulation, counter } = this;
    const loads = simulation.loadsForIoctls && vcpu.cpu < 0;
    if (loads) this.#loadOn(vcpu, cpu, false, false);
    counter.begin('user_write');
    cpu.pid = vcpu.pid;
    simulation.write(vcpu, cpu, Timer.vtimer, register, value);
    if (!loads) return;
    counter.begin('put');
    simulation.put(vcpu, cpu);
  }

  #reset(vcpu: SimVcpu, cpu: SimCpu): void {
    const { simulation, counter } = this;
    const loads = simulation.loadsForIoctls && vcpu.cpu < 0;
    if (loads) this.#loadOn(vcpu, cpu, false, false);
    counter.begin('reset');
    cpu.pid = vcpu.pid;
    simulation.call('reset', cpu, vcpu);
    if (!loads) return;
    counter.begin('put');
    simulation.put(vcpu, cpu);
  }
}
