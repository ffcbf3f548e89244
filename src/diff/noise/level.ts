/** Chance, at most, that anything of a family of comparisons is told though it does not exceed the least effect. */
export const level = 0.01;

/** Fewest blocks with data on either side for a verdict: below, nothing is known of how much is chance. */
export const fewestBlocks = 8;

/**
 * The least difference that counts. Two recordings of one kernel differ by more than the variation inside either: hosts
 * boot differently, and emulated ones are slow by turns. A difference is told when it exceeds this beyond chance.
 */
export interface LeastEffect {
  /** As a part of the smaller value. */
  readonly relative: number;
  /** In the value's own unit, on top of that. */
  readonly absolute: number;
}

/** What the tests are, in words for a report. */
export const testNames = {
  ratio: "Welch's t-test of ratios over blocks of time, against the least effect",
  quantiles: "Welch's t-test of quantiles with errors from a block bootstrap, against the least effect",
  family: 'Holm',
} as const;

/** Why two values were not compared. */
export const because = {
  short: `fewer than ${fewestBlocks} blocks of time with data`,
  few: 'too few values',
  none: 'no data',
} as const;

/** A comparison of a value in the old recording and the same in the new one. */
export interface Comparison {
  /** NaN where there is no data. */
  readonly old: number;
  readonly new: number;
  /** Confidence interval for the difference, new less old, at the level; undefined where not judged. */
  readonly interval: readonly [low: number, high: number] | undefined;
  /** Chance of such a difference where the true one is not above the least effect; 1 where not judged. */
  readonly p: number;
  /** Undefined where the values could be compared, else why they could not. */
  readonly unjudged: string | undefined;
}

/**
 * Which comparisons of a family differ: Holm's procedure, so that `level` holds for all of them together. Those that
 * could not be judged are no part of the family.
 */
export function differing(family: readonly Comparison[]): boolean[] {
  const judged = family
    .map(({ p, unjudged }, index) => ({ p, index, unjudged }))
    .filter(({ unjudged }) => unjudged === undefined)
    .sort((a, b) => a.p - b.p);
  const told = family.map(() => false);
  for (const [rank, { p, index }] of judged.entries()) {
    if (p > level / (judged.length - rank)) break;
    told[index] = true;
  }
  return told;
}
