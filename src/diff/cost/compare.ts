import { type Category, type CostKind, categories, costKinds } from '../../cost/kinds.js';
import type { Costs } from '../../cost/tally.js';
import { Count, Where } from '../../stats/cell.js';
import {
  compareRatios,
  createSums,
  differing,
  type LeastEffect,
  leastRatio,
  mostBlocks,
  type Ratio,
  type Sums,
} from '../noise/index.js';
import type { BlockStats } from '../stats.js';
import type { BlockCosts } from './blocks.js';
import type { CostBasis, CostChange, CostDiff } from './facts.js';

/** What a run of the kernel's code costs is counted, not measured: a twentieth of it is told, and one in fifty runs. */
const leastCost: LeastEffect = { relative: 0.05, absolute: 0.02 };

/** What is counted of one recording. */
export interface CostSide {
  readonly costs: BlockCosts;
  readonly stats: BlockStats;
}

/** The costs of one recording by block of time. */
export class CostBlocks {
  readonly basis: CostBasis;
  readonly ticks = createSums();
  /** Seconds in which guests ran. */
  readonly guestSeconds = createSums();
  readonly #blocks: readonly (Costs | undefined)[];

  constructor({ costs, stats: { cells } }: CostSide) {
    const all = costs.all();
    this.basis = {
      model: all?.model ?? null,
      runs: all?.total ?? 0,
      assumed: Object.fromEntries(all?.assumed ?? []),
    };
    this.#blocks = Array.from({ length: mostBlocks }, (_, block) => costs.ofBlock(block));
    cells.forEach((cell, block) => {
      this.ticks[block] = cell?.counts[Count.ticks] ?? 0;
      this.guestSeconds[block] = (cell?.stays[Where.guest]?.total ?? 0) / 1e9;
    });
  }

  events(category: Category): Sums {
    return this.#sums(({ table }) => table.events(category));
  }

  operations(kind: CostKind, category?: Category): Sums {
    return this.#sums(({ table }) => (category === undefined ? table.total(kind) : table.operations(category, kind)));
  }

  #sums(of: (costs: Costs) => number): Sums {
    const sums = createSums();
    this.#blocks.forEach((costs, block) => {
      if (costs !== undefined) sums[block] = of(costs);
    });
    return sums;
  }
}

const some = (sums: Sums): boolean => sums.some((count) => count > 0);

/** Compares what happens in both recordings per something that happens in both. */
function changeOf(
  kind: CostKind,
  per: CostChange['per'],
  [old, next]: readonly [Ratio, Ratio],
  least: LeastEffect,
): CostChange[] {
  if (!some(old.per) || !some(next.per) || (!some(old.count) && !some(next.count))) return [];
  return [{ kind, per, cost: compareRatios(old, next, least), differs: false }];
}

/** Says of each change of a family whether it is one. */
function judged(family: readonly CostChange[]): CostChange[] {
  const differs = differing(family.map(({ cost }) => cost));
  return family.map((change, at) => ({ ...change, differs: differs[at]! }));
}

/** What the kernel's timer code had to do in two recordings. */
export function compareCosts(old: CostSide, next: CostSide): CostDiff {
  const sides = [new CostBlocks(old), new CostBlocks(next)] as const;
  const both = (of: (side: CostBlocks) => Ratio) => [of(sides[0]), of(sides[1])] as const;
  const perEvent = categories.flatMap((category) =>
    costKinds.flatMap((kind) =>
      changeOf(
        kind,
        category,
        both((side) => ({ count: side.operations(kind, category), per: side.events(category) })),
        leastCost,
      ),
    ),
  );
  const totals = costKinds.flatMap((kind) => {
    const count = both((side) => ({ count: side.operations(kind), per: side.ticks }));
    const guest = both((side) => ({ count: side.operations(kind), per: side.guestSeconds }));
    return [...changeOf(kind, 'tick', count, leastRatio), ...changeOf(kind, 'guest second', guest, leastRatio)];
  });
  return { old: sides[0].basis, new: sides[1].basis, perEvent: judged(perEvent), totals: judged(totals) };
}
