import type { OperationName, Role } from '../models/design.js';

/**
 * By what costs are told: the rows of the specification's §2f, and the rarer occasions on which a kernel's timer code
 * runs. One event is one run of the kernel's function, from its begin to its end.
 */
export const categoryMeanings = {
  entry: 'flush and world switch to the guest',
  exit: 'world switch to the host, fold and sync',
  load: 'a vcpu is loaded on a CPU',
  put: 'a vcpu leaves its CPU',
  block: 'the thread goes to sleep',
  unblock: 'the thread is back from its sleep',
  interrupt: "the host takes the interrupt of a guest's timer",
  expiry: 'the background timer expires',
  soft_expiry: 'an emulated timer expires',
  user_write: 'userspace writes a timer register or the counter',
  trapped_access: 'the guest accesses a trapped timer register',
  enable: 'first KVM_RUN',
  reset: 'vcpu reset',
} as const;

/** A kind of occasion by which costs are told. */
export type Category = keyof typeof categoryMeanings;

/** In the order in which they are shown. */
export const categories = Object.keys(categoryMeanings) as readonly Category[];

/** The category of what a function does, by the function that was called first; `run` is an entry up to the guest. */
export const categoryOfRole: Readonly<Partial<Record<Role, Category>>> = {
  flush: 'entry',
  enter: 'entry',
  run: 'entry',
  leave: 'exit',
  fold: 'exit',
  sync: 'exit',
  sync_nested: 'exit',
  load: 'load',
  put: 'put',
  schedule: 'block',
  unschedule: 'unblock',
  irq: 'interrupt',
  bg_expire: 'expiry',
  bg_work: 'expiry',
  soft_expire: 'soft_expiry',
  user_write: 'user_write',
  user_offset: 'user_write',
  trapped_access: 'trapped_access',
  enable: 'enable',
  reset: 'reset',
};

/**
 * Kinds of operation: how each is printed, and the group in which summaries count it. Accesses of CNTHCTL_EL2 count as
 * one, since each is a read and a write. A hypercall is an HVC: on VHE hosts there are none.
 */
export const costMeanings = {
  ctl_read: ['CTL read', 'register read'],
  cval_read: ['CVAL read', 'register read'],
  cntpct_read: ['CNTPCT read', 'register read'],
  ctl_write: ['CTL write', 'register write'],
  cval_write: ['CVAL write', 'register write'],
  cntvoff_write: ['CNTVOFF_EL2 write', 'register write'],
  cntpoff_write: ['CNTPOFF_EL2 write', 'register write'],
  cnthctl_update: ['CNTHCTL_EL2 update', 'register write'],
  isb: ['isb', 'barrier'],
  hypercall: ['hypercall', 'hypercall'],
  active_write: ['active-state write', 'distributor write'],
  mask_write: ['mask write', 'distributor write'],
  affinity: ['affinity change', 'affinity'],
  hrtimer_start: ['hrtimer start', 'hrtimer'],
  hrtimer_cancel: ['hrtimer cancel', 'hrtimer'],
  work: ['work item', 'work'],
  wakeup: ['wakeup', 'wakeup'],
  report: ['level report', 'report'],
  injection: ['vgic injection', 'injection'],
} as const satisfies Record<string, readonly [text: string, group: string]>;

/** A kind of operation. */
export type CostKind = keyof typeof costMeanings;

/** In the order in which they are shown. */
export const costKinds = Object.keys(costMeanings) as readonly CostKind[];

/** What summaries count: `register read`, `distributor write`, …; in the order of `costKinds`. */
export type CostGroup = (typeof costMeanings)[CostKind][1];
export const costGroups: readonly CostGroup[] = [...new Set(costKinds.map((kind) => costMeanings[kind][1]))];

/**
 * What an operation of a design costs; memory accesses cost nothing here. What guards and operands read is told by
 * `evaluationCost`.
 */
export const operationCost: Readonly<Partial<Record<OperationName, CostKind>>> = {
  rd_ctl: 'ctl_read',
  rd_cval: 'cval_read',
  wr_cval: 'cval_write',
  wr_ctl: 'ctl_write',
  stop: 'ctl_write',
  isb: 'isb',
  cntvoff: 'cntvoff_write',
  cntpoff: 'cntpoff_write',
  traps: 'cnthctl_update',
  dist_active: 'active_write',
  mask: 'mask_write',
  unmask: 'mask_write',
  affinity: 'affinity',
  bg_arm: 'hrtimer_start',
  soft_arm: 'hrtimer_start',
  bg_cancel: 'hrtimer_cancel',
  soft_cancel: 'hrtimer_cancel',
  queue_work: 'work',
  cancel_work: 'work',
  wake_up: 'wakeup',
  inject: 'injection',
  write_offset: 'cntpct_read',
};
