import type { Host } from '../machine/machine.js';
import type { Design, GuardName } from '../models/design.js';

/** What the whole of a recording tells of its kernel and guests, beside the design. */
export interface Surroundings {
  readonly design: Design;
  readonly host: Host | undefined;
  /** False for kernels up to 4.10, undefined when that is not known. */
  readonly hasPtimer: boolean | undefined;
  /** The host's interrupt controller can set an interrupt active. */
  readonly activeState: boolean | undefined;
  readonly inKernelIrqchip: boolean | undefined;
  readonly gicv5: boolean | undefined;
  /** Guests may run hypervisors. */
  readonly nests: boolean;
  /** CNTPOFF_EL2 is written. */
  readonly cntpoff: boolean;
}

/**
 * The runs of the kernel's functions that are told apart: what one does lies between its begin and its end. An enum, as
 * `Kind` is one.
 */
export enum Run {
  enter,
  leave,
  flush,
  sync,
  load,
  put,
  schedule,
  unschedule,
  irq,
  bg_expire,
  soft_expire,
  user_write,
  user_offset,
  trapped_access,
  enable,
  reset,
}

export type Episode = keyof typeof Run;

/** Names of the runs, indexed by `Run`. */
export const episodes: readonly Episode[] = Object.values(Run).filter(
  (value): value is Episode => typeof value === 'string',
);

/** What the machine knows of the vcpu when an episode begins; each can be unknown (2). */
export interface Known3 {
  enabled: number;
  level: number;
  /** Hardware holds the virtual timer. */
  loaded: number;
  /** The copy of the virtual timer in memory is enabled and not masked. */
  canFire: number;
  /** The same of the physical timer. */
  ptimerCanFire: number;
  bgArmed: number;
  blocked: number;
  /** `active_cleared_last` of a flush, `writes_register` of an access, `running` of an interrupt, `was_loaded` of a reset. */
  extra: number;
  /** The timer of the episode: 0 physical, 1 virtual. */
  timer: number;
  /** The vcpu's timer map, by `Nesting`. */
  nested: Nesting;
}

/** Which timers are direct and which emulated. */
export enum Nesting {
  /** No hypervisor in the guest. */
  none = 0,
  /** Under a hypervisor: its own timers are emulated. */
  guest = 1,
  unknown = 2,
  /** In the hypervisor: its own timers are direct, those of its guest emulated. */
  hypervisor = 3,
}

/** What is taken for the case where nothing tells: the common host and guest. */
export const usual: Readonly<Record<GuardName, boolean>> = {
  enabled: true,
  loaded: true,
  level: false,
  should_fire: false,
  any_should_fire: false,
  can_fire: false,
  any_can_fire: false,
  output_changed: false,
  hw_firing: true,
  deadline_ahead: false,
  vgic_active: false,
  want_active: false,
  lr_pending: false,
  active_cleared_last: true,
  bg_armed: false,
  running: true,
  blocking: false,
  vhe: false,
  in_kernel_irqchip: true,
  active_state: true,
  has_ptimer: true,
  writes_register: true,
  direct: true,
  virtual: true,
  cntpoff: false,
  nested: false,
  physical_offset: false,
  gicv5: false,
  was_loaded: false,
};
