import type { Sums } from './blocks.js';
import { because, type Comparison, fewestBlocks, type LeastEffect, level } from './level.js';
import { chance, type Estimate, intervalOf } from './welch.js';

/** Events, and what they are told per: entries, ticks, nanoseconds. Both by block. */
export interface Ratio {
  readonly count: Sums;
  readonly per: Sums;
}

/** For ratios: a quarter. */
export const leastRatio: LeastEffect = { relative: 0.25, absolute: 0 };

/** For shares: five hundredths of the whole. */
export const leastShare: LeastEffect = { relative: 0, absolute: 0.05 };

/**
 * The ratio of the sums, and its error from how much the blocks deviate from it (the ratio estimator of sampling
 * theory, each block against what the others say, as a jackknife does). What is above the average in one block often is in the next: that counts as error too (Newey and West, one
 * block). One event more or less is always chance.
 */
function estimate({ count, per }: Ratio): Estimate & { readonly blocks: number } {
  let [blocks, counts, pers] = [0, 0, 0];
  for (let block = 0; block < per.length; block++) {
    if (per[block]! > 0) blocks++;
    counts += count[block]!;
    pers += per[block]!;
  }
  const value = counts / pers;
  let [squares, products, before] = [0, 0, 0];
  for (let block = 0; block < per.length; block++) {
    const deviation = (count[block]! - value * per[block]!) / (1 - per[block]! / pers);
    squares += deviation ** 2;
    products += deviation * before;
    before = deviation;
  }
  const spread = (blocks / (blocks - 1)) * (squares + Math.max(0, products));
  return { value, variance: Math.max(1, spread) / pers ** 2, df: blocks - 1, blocks };
}

/**
 * Compares how often something happens per something else.
 *
 * @param least difference that counts
 */
export function compareRatios(old: Ratio, next: Ratio, least: LeastEffect = leastRatio): Comparison {
  const [first, second] = [estimate(old), estimate(next)];
  const values = { old: first.value, new: second.value };
  const none = !Number.isFinite(first.value) || !Number.isFinite(second.value);
  if (none || Math.min(first.blocks, second.blocks) < fewestBlocks)
    return { ...values, interval: undefined, p: 1, unjudged: none ? because.none : because.short };
  return {
    ...values,
    // Asked only of what is told: it takes longer than all the rest.
    get interval() {
      return intervalOf(first, second, level);
    },
    p: chance(first, second, least),
    unjudged: undefined,
  };
}

/** As `compareRatios`, where what is counted is a part of the whole. */
export function compareShares(old: Ratio, next: Ratio, least: LeastEffect = leastShare): Comparison {
  return compareRatios(old, next, least);
}
