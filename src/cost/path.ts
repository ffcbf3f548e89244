import type { KindName } from '../events/kinds.js';
import type { GuardName, OperationName, Role, Value } from '../models/design.js';
import type { CostKind } from './kinds.js';
import type { Episode } from './situation.js';

/** One effect of a function, in the order in which the kernel has them. */
export interface Effect {
  readonly operation: OperationName | 'record';
  readonly timer: number;
  /** The function that has it. */
  readonly role: Role;
  /** What it costs; a report of the level is a call of the vgic, and costs as one. */
  readonly cost: CostKind | undefined;
  /** Through an HVC. */
  readonly viaHyp: boolean;
  /** 0 or 1 where the operand is a truth value that is known. */
  readonly value: number | undefined;
  /** The operand as the design spells it. */
  readonly operand: Value | undefined;
  /** The symbol of the record that shows it, -1 where none would. */
  readonly symbol: number;
}

/** A guard that nothing known had answered. */
export interface Decision {
  readonly guard: GuardName;
  readonly timer: number;
  readonly value: boolean;
}

/** One way through a function. */
export interface Path {
  readonly effects: readonly Effect[];
  /** Register reads of guards and operands: CTL where the hardware is asked, CNTPCT where memory is compared with it. */
  readonly reads: readonly CostKind[];
  readonly decisions: readonly Decision[];
  /** How many of its decisions are other than usual. */
  readonly unusual: number;
}

/** The function that an episode is a run of, and whether that is all of it. */
export const roleOf: Readonly<Record<Episode, Role>> = {
  enter: 'run',
  leave: 'run',
  flush: 'flush',
  sync: 'sync',
  load: 'load',
  put: 'put',
  schedule: 'schedule',
  unschedule: 'unschedule',
  irq: 'irq',
  bg_expire: 'bg_expire',
  soft_expire: 'soft_expire',
  user_write: 'user_write',
  user_offset: 'user_offset',
  trapped_access: 'trapped_access',
  enable: 'enable',
  reset: 'reset',
};

/** Records of operations that have tracepoints or probes of their own. */
export const recordOf: Readonly<Partial<Record<OperationName, KindName>>> = {
  dist_active: 'set_active',
  mask: 'mask_irq',
  unmask: 'mask_irq',
  affinity: 'set_affinity',
  cntvoff: 'set_cntvoff',
  cntpoff: 'set_cntpoff',
  traps: 'set_traps',
  bg_arm: 'bg_arm',
  bg_cancel: 'bg_cancel',
  soft_arm: 'soft_arm',
  soft_cancel: 'soft_cancel',
};

/** The guard that the `extra` field of what is known answers, by episode. */
export const extraOf: Readonly<Partial<Record<Episode, GuardName>>> = {
  flush: 'active_cleared_last',
  trapped_access: 'writes_register',
  irq: 'running',
  reset: 'was_loaded',
};
