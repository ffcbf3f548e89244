import { Timer, type TimerEvent } from '../../events/event.js';
import { Kind, type KindName, kindNames } from '../../events/kinds.js';

/** Kinds that make up a path: what a vcpu and its timers do. What the host does beside them is left out. */
const kinds: readonly KindName[] = [
  'entry',
  'exit',
  'load',
  'put',
  'schedule',
  'unschedule',
  'wfx',
  'userspace_exit',
  'enable',
  'reset',
  'save',
  'restore',
  'user_write',
  'set_cntvoff',
  'set_traps',
  'vtimer_irq',
  'update_irq',
  'set_active',
  'mask_irq',
  'set_affinity',
  'bg_arm',
  'bg_cancel',
  'bg_expire',
  'expiry_work',
  'soft_arm',
  'soft_cancel',
  'soft_expire',
  'wakeup',
];

/** Kinds that tell a level: raised and lowered are two steps. */
const levelled: readonly KindName[] = ['update_irq', 'set_active'];

/** Of which timer a step is: an event that names none is of the virtual one, which every generation has. */
const timersOf = ['', ' (ptimer)'] as const;

/** One step of a path: a kind, the level that it tells, and its timer. */
export interface Step {
  readonly kind: KindName;
  /** As people read it: `update_irq 1`, `restore (ptimer)`. */
  readonly name: string;
}

/** Every step there is, by its number. */
export const steps: readonly Step[] = kinds.flatMap((kind) =>
  (levelled.includes(kind) ? [`${kind} 0`, `${kind} 1`] : [kind]).flatMap((name) =>
    timersOf.map((timer) => ({ kind, name: `${name}${timer}` })),
  ),
);

/** Variants of a kind: whether the level is raised, and whether the timer is the physical one. */
export const variants = 4;

/** By kind and variant the step's number, -1 for none. */
const numbers = new Int8Array(kindNames.length * variants).fill(-1);
for (const kind of kinds) {
  const first = steps.findIndex((step) => step.kind === kind);
  const raised = first + (levelled.includes(kind) ? timersOf.length : 0);
  numbers.set([first, first + 1, raised, raised + 1], Kind[kind] * variants);
}

/** Whether events of a kind are steps. */
export function isStep(kind: Kind): boolean {
  return stepOf(kind, 0) >= 0;
}

/** Which variant of its kind an event is. */
export function variantOf({ level, timer }: TimerEvent): number {
  return (level === 1 ? 2 : 0) | (timer === Timer.ptimer ? 1 : 0);
}

/** The number of the step that a variant of a kind is, an index into `steps`; -1 when it is none. */
export function stepOf(kind: Kind, variant: number): number {
  return numbers[kind * variants + variant]!;
}

/** The number of the step that a name stands for. */
export function stepNamed(name: string): number {
  return steps.findIndex((step) => step.name === name);
}

/** The steps of a vcpu's life that every other one is placed by: the last one of these before it. */
export const anchors = ['entry', 'exit', 'load', 'put', 'schedule', 'unschedule'] as const;

export type Anchor = (typeof anchors)[number];
