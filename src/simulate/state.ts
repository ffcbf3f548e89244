import { Ctl, Timer } from '../events/event.js';
import type { Host } from '../machine/machine.js';

/** The counter's frequency: 62.5 MHz, nanoseconds a tick. */
export const tick = 16;

/** The timers of a CPU, CNTV and CNTP; those of a vcpu that runs no hypervisor of its own. */
export type HardTimer = Timer.ptimer | Timer.vtimer;
export const hardTimers: readonly HardTimer[] = [Timer.vtimer, Timer.ptimer];

/** The timer contexts of a vcpu; those of a hypervisor inside it share the hardware with the plain ones. */
export type SimTimer = HardTimer | Timer.hvtimer | Timer.hptimer;
export const simTimers: readonly SimTimer[] = [Timer.vtimer, Timer.ptimer, Timer.hvtimer, Timer.hptimer];

/** CNTV or CNTP, whichever a context is loaded into. */
export function hardTimer(timer: SimTimer): HardTimer {
  return timer === Timer.vtimer || timer === Timer.hvtimer ? Timer.vtimer : Timer.ptimer;
}

/** How a host is simulated whose stimuli come with their times. */
export interface SimPace {
  /** Duration of a record, nanoseconds, a multiple of the counter's period; default 1008. */
  readonly recordTime?: number;
  /** A storm that has been cut is not taken up again before the interrupt controller has signalled nothing. */
  readonly cutStorms?: boolean;
  /** A work item waits until the kernel function at hand has returned: worker threads preempt none of them. */
  readonly deferWork?: boolean;
}

/** kvm_get_timer_map: which contexts the hardware holds, and which are emulated. */
export interface SimMap {
  readonly directVtimer: SimTimer;
  readonly directPtimer?: SimTimer;
  readonly emulVtimer?: SimTimer;
  readonly emulPtimer?: SimTimer;
}

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
  /** Guests are hypervisors themselves (FEAT_NV2); VHE only, 6.4 and later. */
  readonly nested?: boolean;
  /** Guests have a GICv5, which takes the interrupts of direct timers itself; 7.x. */
  readonly gicv5?: boolean;
  /** Ticks by which guests see the physical counter late, 0 by default; 6.4 and later. */
  readonly physicalOffset?: number;
  /** CNTPOFF_EL2 applies it (FEAT_ECV); otherwise accesses to the physical timer trap. VHE only. */
  readonly cntpoff?: boolean;
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
  /** In vEL2: its hypervisor runs, and no guest of that. */
  inHypervisor: boolean;
  readonly bg: Hrtimer;
  readonly contexts: Readonly<Record<SimTimer, SimContext>>;
  readonly pid: number;

  constructor(
    readonly index: number,
    readonly vm: SimVm,
    readonly id: number,
    nested = false,
  ) {
    this.inHypervisor = nested;
    this.pid = 1000 + 100 * vm.index + id;
    const base = 0x1000 * (index + 1);
    this.bg = new Hrtimer(base);
    this.contexts = {
      [Timer.ptimer]: new SimContext(base + 1),
      [Timer.vtimer]: new SimContext(base + 2),
      [Timer.hvtimer]: new SimContext(base + 3),
      [Timer.hptimer]: new SimContext(base + 4),
    };
  }
}

export interface SimVm {
  readonly index: number;
  /** CNTVOFF, ticks. */
  offset: number;
}

/** One physical CPU. */
export class SimCpu {
  readonly timers: Readonly<Record<HardTimer, HardwareTimer>> = {
    [Timer.ptimer]: { ctl: 0, cval: 0 },
    [Timer.vtimer]: { ctl: 0, cval: 0 },
  };
  cntvoff = 0;
  traps: 'guest' | 'host' = 'host';
  readonly active: Record<HardTimer, boolean> = { [Timer.ptimer]: false, [Timer.vtimer]: false };
  readonly masked: Record<HardTimer, boolean> = { [Timer.ptimer]: false, [Timer.vtimer]: false };
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

const { vtimer, ptimer, hvtimer, hptimer } = Timer;

/** What kvm_get_timer_map gives: of a plain guest by host, of a nested one by what its vcpu runs. */
export const maps: Readonly<Record<'nvhe' | 'vhe' | 'hypervisor' | 'nestedGuest', SimMap>> = {
  nvhe: { directVtimer: vtimer, emulPtimer: ptimer },
  vhe: { directVtimer: vtimer, directPtimer: ptimer },
  hypervisor: { directVtimer: hvtimer, directPtimer: hptimer, emulVtimer: vtimer, emulPtimer: ptimer },
  nestedGuest: { directVtimer: vtimer, directPtimer: ptimer, emulVtimer: hvtimer, emulPtimer: hptimer },
};
