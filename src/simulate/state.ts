import { Ctl, Timer } from '../events/event.js';
import type { Host } from '../machine/machine.js';

/** The counter's frequency: 62.5 MHz, nanoseconds a tick. */
export const tick = 16;

/** The timers that the simulator has, both of a vcpu and of a CPU. */
export type SimTimer = Timer.ptimer | Timer.vtimer;
export const simTimers: readonly SimTimer[] = [Timer.vtimer, Timer.ptimer];

/** What kind of host is simulated. */
export interface SimHost {
  readonly host: Host;
  readonly cpus: number;
  /** False for 4.4 to 4.10, whose guests have no physical timer. */
  readonly hasPtimer: boolean;
  /** False where the host's interrupt controller cannot set an interrupt active. */
  readonly activeState: boolean;
  /** False where userspace has the interrupt controller. */
  readonly inKernelIrqchip: boolean;
}

/** Registers of one timer of a CPU; CVAL in ticks. */
export interface HardwareTimer {
  ctl: number;
  cval: number;
}

/** A kernel timer; CLOCK_MONOTONIC is the trace's clock here. */
export class Hrtimer {
  /** Nanoseconds; NaN when not armed. */
  expires = Number.NaN;

  constructor(readonly pointer: number) {}

  get armed(): boolean {
    return !Number.isNaN(this.expires);
  }
}

/** struct arch_timer_context, and the vgic's view of its interrupt. */
export class SimContext {
  ctl = 0;
  cval = 0;
  loaded = false;
  level = false;
  readonly soft: Hrtimer;
  /** The vgic's line, and what the list register holds. */
  line = false;
  listRegister: 'none' | 'pending' | 'active' = 'none';

  constructor(pointer: number) {
    this.soft = new Hrtimer(pointer);
  }

  get canFire(): boolean {
    return (this.ctl & (Ctl.enable | Ctl.imask)) === Ctl.enable;
  }
}

/** struct kvm_vcpu with its thread. */
export class SimVcpu {
  /** CPU on which it is loaded, -1 when it is not. */
  cpu = -1;
  enabled = false;
  /** On its wait queue. */
  waiting = false;
  /** Switched out to sleep, and not woken since. */
  asleep = false;
  inGuest = false;
  activeClearedLast = false;
  workQueued = false;
  readonly bg: Hrtimer;
  readonly contexts: Readonly<Record<SimTimer, SimContext>>;
  readonly pid: number;

  constructor(
    readonly index: number,
    readonly vm: SimVm,
    readonly id: number,
  ) {
    this.pid = 1000 + 100 * vm.index + id;
    const base = 0x1000 * (index + 1);
    this.bg = new Hrtimer(base);
    this.contexts = { [Timer.ptimer]: new SimContext(base + 1), [Timer.vtimer]: new SimContext(base + 2) };
  }
}

export interface SimVm {
  readonly index: number;
  /** CNTVOFF, ticks. */
  offset: number;
}

/** One physical CPU. */
export class SimCpu {
  readonly timers: Readonly<Record<SimTimer, HardwareTimer>> = {
    [Timer.ptimer]: { ctl: 0, cval: 0 },
    [Timer.vtimer]: { ctl: 0, cval: 0 },
  };
  cntvoff = 0;
  traps: 'guest' | 'host' = 'host';
  readonly active: Record<SimTimer, boolean> = { [Timer.ptimer]: false, [Timer.vtimer]: false };
  readonly masked: Record<SimTimer, boolean> = { [Timer.ptimer]: false, [Timer.vtimer]: false };
  /** kvm_get_running_vcpu. */
  running: SimVcpu | undefined;
  /** Thread that is current, 0 when idle. */
  pid = 0;
  /** How many times interrupts are off: by the design, by the scheduler. */
  irqsOff = 0;
  inInterrupt = false;
  /** Timer interrupts in a row since none was signalled. */
  storm = 0;

  constructor(readonly index: number) {}
}

/** What the kernel itself would have stopped at. */
export class KernelBug extends Error {
  override name = 'KernelBug';
}
