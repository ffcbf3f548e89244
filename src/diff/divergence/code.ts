import { isVirtual, type TimerEvent } from '../../events/event.js';
import { type Kind, type KindName, kindNames } from '../../events/kinds.js';

/** What an event means for the path of a vcpu. */
export enum Role {
  /** No part of a path: what the host does beside it, or what has no effect. */
  none,
  /** A step of the path that is under way. */
  plain,
  entry,
  exit,
  load,
  /** The host handler of a guest timer's interrupt, or of an hrtimer, begins: it cuts in anywhere. */
  interrupt,
  /** The background timer expires: it has been taken from the queue before, which some kernels record as a cancel. */
  expiry,
  /** What such a handler does to the interrupt line; elsewhere a plain step. */
  line,
  interruptEnd,
}

const roles: Partial<Record<KindName, Role>> = {
  entry: Role.entry,
  exit: Role.exit,
  load: Role.load,
  vtimer_irq: Role.interrupt,
  soft_expire: Role.interrupt,
  bg_expire: Role.expiry,
  update_irq: Role.line,
  vgic_inject: Role.line,
  vtimer_irq_end: Role.interruptEnd,
  timer_callback_end: Role.interruptEnd,
  // The host's own business, or events without effect.
  put_end: Role.none,
  timer_map: Role.none,
  wakeup: Role.none,
  sched_switch: Role.none,
  vcpu_pointer: Role.none,
  irq_begin: Role.none,
  irq_end: Role.none,
  expiry_work: Role.none,
  lost: Role.none,
};

/** By kind. */
export const roleOf: Uint8Array = Uint8Array.from(kindNames, (name) => roles[name] ?? Role.plain);

/** Kinds of which the level is part of what was done, and not of the guest's data. */
const leveled = Uint8Array.from(kindNames, (name) =>
  ['update_irq', 'vgic_inject', 'set_active', 'set_affinity', 'mask_irq', 'set_traps'].includes(name) ? 1 : 0,
);

/**
 * An event as a step of a path: its kind, whose timer, and the level. Times, values, CPUs and threads are no part of it.
 * Below 2^9.
 */
export function codeOf(event: TimerEvent): number {
  const { kind, timer } = event;
  const level = leveled[kind] === 1 ? event.level + 1 : 0;
  const whose = timer < 0 || isVirtual(timer) ? 0 : 1;
  return kind | (level << 6) | (whose << 8);
}

/** The kind of a code. */
export function kindOf(code: number): Kind {
  return code & 63;
}

/** A step in words: `update_irq(1)`, `save ptimer`. */
export function stepWords(code: number): string {
  const kind = kindOf(code);
  const level = ((code >> 6) & 3) - 1;
  const timer = code >> 8 === 1 ? ' ptimer' : '';
  return `${kindNames[kind]}${timer}${level < 0 ? '' : `(${level})`}`;
}
