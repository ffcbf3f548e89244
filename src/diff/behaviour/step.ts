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

/**
 * What is counted of an event, as one number below `placeCount`: its kind, its certainty, whether the level is raised,
 * and whether the timer is the physical one.
 */
export function placeOf(event: TimerEvent): number {
  const variant = (event.level === 1 ? 2 : 0) | (event.timer === Timer.ptimer ? 1 : 0);
  return (event.kind << 4) | (event.certainty << 2) | variant;
}

/** Places of a kind, and of a kind and certainty: those of one follow each other. */
export const placesOfKind = 16;
export const placesOfCertainty = 4;
export const placeCount = kindNames.length * placesOfKind;

/** The kind of what is counted at a place. */
export function kindAt(place: number): Kind {
  return Math.floor(place / placesOfKind);
}

/** Whether its level is raised. */
export function isRaisedAt(place: number): boolean {
  return place % placesOfCertainty >= 2;
}

/** By place the step's number, -1 for none. */
export const stepAt = new Int8Array(placeCount).fill(-1);
for (const kind of kinds) {
  const first = steps.findIndex((step) => step.kind === kind);
  const raised = first + (levelled.includes(kind) ? timersOf.length : 0);
  const from = Kind[kind] * placesOfKind;
  for (let place = from; place < from + placesOfKind; place += placesOfCertainty)
    stepAt.set([first, first + 1, raised, raised + 1], place);
}

/** The number of the step that a name stands for. */
export function stepNamed(name: string): number {
  return steps.findIndex((step) => step.name === name);
}

/** The steps of a vcpu's life that every other one is placed by: the last one of these before it. */
export const anchors = ['entry', 'exit', 'load', 'put', 'schedule', 'unschedule'] as const;

export type Anchor = (typeof anchors)[number];
