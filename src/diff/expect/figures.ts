import type { KindName } from '../../events/kinds.js';
import { lack } from '../behaviour/comparable.js';
import { type Anchor, anchors, stepNamed, steps } from '../behaviour/step.js';
import { View } from '../behaviour/view.js';
import type { SideName } from '../facts.js';
import type { Sums } from '../noise/blocks.js';
import { type LeastEffect, level } from '../noise/level.js';
import { compareRatios, type Ratio } from '../noise/ratio.js';
import type { Side } from '../side.js';
import type { Figure, Per } from './facts.js';
import { synonyms } from './names.js';

/** The step by which a rate is told. */
const perSteps: Readonly<Record<Per, string>> = { entry: 'entry', exit: 'exit', tick: 'update_irq 1' };

/** How a figure changed, where `by` percent are no change: beyond chance, where chance has a part in it. */
export type Change = 'lower' | 'higher' | 'same';

/** A figure of both recordings. */
export interface Measured {
  readonly old: number;
  readonly new: number;
  /** In words, with its unit: `3.20 -> 4.00 (+25 %)`. */
  readonly words: string;
  /** Why no change can be told, where none can. */
  change(by: number): Change | { readonly unknown: string };
}

/** A figure that cannot be had. */
export interface Missing {
  readonly missing: string;
}

export function sum(sums: Sums): number {
  return sums.reduce((total, count) => total + count, 0);
}

/** `3.20 -> 4.00 (+25 %)`. */
export function changeWords(old: number, next: number, print: (value: number) => string): string {
  const percent = old === 0 ? '' : ` (${next >= old ? '+' : ''}${(100 * (next / old - 1)).toFixed(1)} %)`;
  return `${print(old)} -> ${print(next)}${percent}`;
}

const rateWords = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

/** What the two recordings have numbers for. */
export class Figures {
  readonly #sides: Readonly<Record<SideName, Side>>;
  readonly #views: Readonly<Record<SideName, View>>;

  constructor(sides: Readonly<Record<SideName, Side>>) {
    this.#sides = sides;
    const view = (side: Side) => new View(side.profile.behaviour.vcpus, () => true);
    this.#views = { old: view(sides.old), new: view(sides.new) };
  }

  /** Why a recording does not show a kind; undefined when it does. */
  lack(side: SideName, kind: KindName): string | undefined {
    const { summary, profile } = this.#sides[side];
    const why = lack({ summary, behaviour: profile.behaviour }, kind);
    return why === undefined ? undefined : `${kind} in the ${side} recording: ${why}`;
  }

  /** How often a step happened in a recording. */
  count(side: SideName, step: string): number {
    return sum(this.#views[side].count(step));
  }

  /** How often a step came after each anchor in a recording, and how often at a place that was not kept. */
  placed(side: SideName, step: string): { readonly after: ReadonlyMap<Anchor, number>; readonly unplaced: number } {
    const { placements } = this.#views[side];
    const after = new Map(anchors.map((anchor) => [anchor, sum(placements.ratio(step, anchor).count)]));
    const placed = [...after.values()].reduce((total, count) => total + count, 0);
    return { after, unplaced: Math.max(0, this.count(side, step) - placed) };
  }

  /** A figure of both recordings, or why there is none. */
  measure(figure: Figure): Measured | Missing {
    if ('rate' in figure) return this.#rate(figure.rate, figure.per ?? 'tick');
    return { missing: 'not measured' };
  }

  #rate(name: string, per: Per): Measured | Missing {
    const step = synonyms[name] ?? name;
    const perStep = perSteps[per];
    const kinds = [step, perStep].map((one) => steps[stepNamed(one)]!.kind);
    for (const side of ['old', 'new'] as const) {
      for (const kind of kinds) {
        const why = this.lack(side, kind);
        if (why !== undefined) return { missing: why };
      }
      if (this.count(side, perStep) === 0) return { missing: `the ${side} recording has no ${perStep}` };
    }
    const ratio = (view: View): Ratio => ({ count: view.count(step), per: view.count(perStep) });
    return measuredRatio(ratio(this.#views.old), ratio(this.#views.new), per);
  }
}

function measuredRatio(old: Ratio, next: Ratio, per: string): Measured {
  const compare = (by: number) => {
    const least: LeastEffect = { relative: by / 100, absolute: 0 };
    return compareRatios(old, next, least);
  };
  const values = compare(0);
  return {
    old: values.old,
    new: values.new,
    words: `${changeWords(values.old, values.new, rateWords)} per ${per}`,
    change(by) {
      if (within(values.old, values.new, by)) return 'same';
      const { p, unjudged } = compare(by);
      if (unjudged !== undefined) return { unknown: unjudged };
      if (p > level) return 'same';
      return values.new > values.old ? 'higher' : 'lower';
    },
  };
}

/** Whether two values differ by no more than a part of the old one, in percent. */
export function within(old: number, next: number, by: number): boolean {
  return Math.abs(next - old) <= (by / 100) * old;
}
