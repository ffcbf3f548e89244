import type { Category, CostKind } from '../../cost/kinds.js';
import type { KindName } from '../../events/kinds.js';
import { type Cell, Count } from '../../stats/cell.js';
import { reasonName } from '../../stats/reason.js';
import { lack } from '../behaviour/comparable.js';
import { type Anchor, anchors, stepNamed, steps } from '../behaviour/step.js';
import { View } from '../behaviour/view.js';
import { CostBlocks } from '../cost/compare.js';
import type { SideName } from '../facts.js';
import type { LatencyDiff } from '../latency/facts.js';
import { compareRatios, createSums, level, type Ratio, type Sums } from '../noise/index.js';
import type { Side } from '../side.js';
import type { Figure, Per, Quantile } from './facts.js';
import { costKindsOf, interruptCounts, isReason, latencyKey, synonyms } from './names.js';

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

/** A duration with its unit: `7.01 ms`. @param nanoseconds */
export function durationWords(nanoseconds: number): string {
  const [unit, size] = nanoseconds >= 1e9 ? ['s', 1e9] : nanoseconds >= 1e6 ? ['ms', 1e6] : ['us', 1e3];
  return `${(nanoseconds / (size as number)).toPrecision(3)} ${unit}`;
}

const rateWords = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

/** What the two recordings have numbers for. */
export class Figures {
  readonly #sides: Readonly<Record<SideName, Side>>;
  #views: Readonly<Record<SideName, View>> | undefined;
  readonly #latency: LatencyDiff;
  #costs: Readonly<Record<SideName, CostBlocks>> | undefined;

  constructor(sides: Readonly<Record<SideName, Side>>, latency: LatencyDiff) {
    this.#sides = sides;
    this.#latency = latency;
  }

  #view(side: SideName): View {
    const view = (name: SideName) => new View(this.#sides[name].profile.behaviour.vcpus, () => true);
    this.#views ??= { old: view('old'), new: view('new') };
    return this.#views[side];
  }

  /** Why a recording does not show a kind; undefined when it does. */
  lack(side: SideName, kind: KindName): string | undefined {
    const { summary, profile } = this.#sides[side];
    const why = lack({ ...profile, summary }, kind);
    return why === undefined ? undefined : `${kind} in the ${side} recording: ${why}`;
  }

  /** How often a step happened in a recording. */
  count(side: SideName, step: string): number {
    return sum(this.#view(side).count(step));
  }

  /** How often a step came after each anchor in a recording, and how often at a place that was not kept. */
  placed(side: SideName, step: string): { readonly after: ReadonlyMap<Anchor, number>; readonly unplaced: number } {
    const { placements } = this.#view(side);
    const after = new Map(anchors.map((anchor) => [anchor, sum(placements.ratio(step, anchor).count)]));
    const placed = [...after.values()].reduce((total, count) => total + count, 0);
    return { after, unplaced: Math.max(0, this.count(side, step) - placed) };
  }

  /** The costs of a recording, or why there are none. */
  costs(side: SideName): CostBlocks | Missing {
    this.#costs ??= {
      old: new CostBlocks(this.#sides.old.profile),
      new: new CostBlocks(this.#sides.new.profile),
    };
    const costs = this.#costs[side];
    return costs.basis.model === null ? { missing: `no model fits the ${side} recording` } : costs;
  }

  /** A figure of both recordings, or why there is none. */
  measure(figure: Figure): Measured | Missing {
    if ('rate' in figure) return this.#rate(figure.rate, figure.per ?? 'tick');
    return 'cost' in figure
      ? this.#cost(figure.cost, figure.at)
      : this.#ofLatency(figure.latency, figure.quantile ?? 'p99');
  }

  #rate(name: string, per: Per): Measured | Missing {
    for (const side of ['old', 'new'] as const) {
      const shown: readonly KindName[] = per === 'tick' ? ['update_irq', 'entry'] : [per];
      for (const kind of new Set([kindOf(name), ...shown])) {
        const why = this.lack(side, kind);
        if (why !== undefined) return { missing: why };
      }
      if (sum(this.#per(side, per)) === 0) return { missing: `the ${side} recording has no ${per}` };
    }
    const ratio = (side: SideName): Ratio => ({ count: this.#counted(side, name), per: this.#per(side, per) });
    return measuredRatio(ratio('old'), ratio('new'), `per ${per}`);
  }

  /** By block, how often something happened. */
  #counted(side: SideName, name: string): Sums {
    const count = interruptCounts[name];
    if (count !== undefined) return this.#cells(side, (cell) => cell.counts[count]!);
    if (!name.startsWith('exits ')) return this.#view(side).count(synonyms[name] ?? name);
    return this.#cells(side, ({ exits }) => {
      let total = 0;
      for (const [reason, times] of exits) if (isReason(name, reasonName(reason))) total += times.count;
      return total;
    });
  }

  #per(side: SideName, per: Per): Sums {
    return per === 'tick' ? this.#cells(side, ({ counts }) => counts[Count.ticks]!) : this.#view(side).count(per);
  }

  #cells(side: SideName, of: (cell: Cell) => number): Sums {
    const sums = createSums();
    this.#sides[side].profile.stats.cells.forEach((cell, block) => {
      if (cell !== undefined) sums[block] = of(cell);
    });
    return sums;
  }

  #cost(name: string, at: readonly Category[] | undefined): Measured | Missing {
    const ratios: Ratio[] = [];
    for (const side of ['old', 'new'] as const) {
      const costs = this.costs(side);
      if ('missing' in costs) return costs;
      const count = added(costKindsOf(name).flatMap((kind) => operations(costs, kind, at)));
      const per = at === undefined ? costs.ticks : added(at.map((category) => costs.events(category)));
      if (sum(per) === 0) return { missing: `the ${side} recording has no ${at?.join(', ') ?? 'tick'}` };
      ratios.push({ count, per });
    }
    const [old, next] = ratios as [Ratio, Ratio];
    return measuredRatio(old, next, at === undefined ? 'per tick' : `each ${at.join(', ')}`);
  }

  #ofLatency(name: string, quantile: Quantile): Measured | Missing {
    const shift = this.#latency.latencies.find((one) => one.name === latencyKey(name));
    for (const side of ['old', 'new'] as const)
      if ((shift?.[side] ?? null) === null) return { missing: `the ${side} recording has no ${name}` };
    const one = shift!.quantiles.find(({ share }) => share === Number(quantile.slice(1)) / 100)!;
    const remark = one.judgement === 'host' ? ', the hosts differ as much' : '';
    return {
      old: one.old,
      new: one.new,
      words: `${changeWords(one.old, one.new, durationWords)}${remark}`,
      change(by) {
        if (one.old === one.new) return 'same';
        if (one.unjudged !== undefined) return { unknown: one.unjudged };
        const [low, high] = one.factor ?? [1, 1];
        if (one.judgement !== 'differs') return 'same';
        if (low > 1 + by / 100) return 'higher';
        return high < 1 - by / 100 ? 'lower' : 'same';
      },
    };
  }
}

/** The kind of events that a rate counts. */
function kindOf(name: string): KindName {
  if (name in interruptCounts) return 'vtimer_irq';
  if (name.startsWith('exits ')) return 'exit';
  return steps[stepNamed(synonyms[name] ?? name)]!.kind;
}

/** Operations of a kind by block, on some occasions or on all. */
export function operations(costs: CostBlocks, kind: CostKind, at: readonly Category[] | undefined): Sums[] {
  return at === undefined ? [costs.operations(kind)] : at.map((category) => costs.operations(kind, category));
}

function added(all: readonly Sums[]): Sums {
  const total = createSums();
  for (const sums of all) for (let block = 0; block < total.length; block++) total[block]! += sums[block]!;
  return total;
}

function measuredRatio(old: Ratio, next: Ratio, unit: string): Measured {
  const values = compareRatios(old, next, { relative: 0, absolute: 0 });
  // The test's least effect is a part of the smaller value, `by` one of the old value.
  const isLower = values.new < values.old;
  const relative = (by: number) => (isLower ? by / Math.max(1e-6, 100 - by) : by / 100);
  const compare = (by: number) => compareRatios(old, next, { relative: relative(by), absolute: 0 });
  return {
    old: values.old,
    new: values.new,
    words: `${changeWords(values.old, values.new, rateWords)} ${unit}`,
    change(by) {
      if (within(values.old, values.new, by)) return 'same';
      const { p, unjudged } = compare(by);
      if (unjudged !== undefined) return { unknown: unjudged };
      if (p > level) return 'same';
      return isLower ? 'lower' : 'higher';
    },
  };
}

/** Whether two values differ by no more than a part of the old one, in percent. */
export function within(old: number, next: number, by: number): boolean {
  return Math.abs(next - old) <= (by / 100) * old;
}
