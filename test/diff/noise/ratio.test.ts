import { describe, expect, it } from 'vitest';
import { compareRatios, compareShares, differing, level } from '../../../src/diff/noise/index.js';
import { type MadeUp, ratio } from './recordings.js';

const nothing = { relative: 0, absolute: 0 };
const pairs = 1_000;

/** Part of the pairs of recordings that are told to differ. */
function told(old: MadeUp, next: MadeUp, least = nothing): number {
  let count = 0;
  for (let seed = 1; seed <= pairs; seed++) {
    const [a, b] = [ratio(seed, old), ratio(seed + pairs, next)];
    if (compareRatios(a, b, least).p <= level) count++;
  }
  return count / pairs;
}

describe('the test of a ratio', () => {
  it('tells a difference where there is none about as often as its level says', () => {
    expect(told({}, {})).toBeLessThanOrEqual(2 * level);
    expect(told({ blocks: 10 }, { blocks: 30, things: 20 })).toBeLessThanOrEqual(2 * level);
    expect(told({}, {})).toBeGreaterThan(0);
  });

  it('tells none that is smaller than the least effect, and at its edge no more often than its level says', () => {
    const least = { relative: 0.25, absolute: 0 };
    expect(told({ rate: 0.5 }, { rate: 0.55 }, least)).toBe(0);
    expect(told({ rate: 0.5 }, { rate: 0.625 }, least)).toBeLessThanOrEqual(level);
  });

  it('tells one that is there', () => {
    const least = { relative: 0.25, absolute: 0 };
    expect(told({ rate: 0.3 }, { rate: 0.6 }, least)).toBeGreaterThan(0.95);
    expect(told({ rate: 0.6 }, { rate: 0.3 }, least)).toBeGreaterThan(0.95);
    expect(told({ rate: 0 }, { rate: 0.1 }, least)).toBe(1);
  });

  it('has the true difference in its interval as often as it should', () => {
    let inside = 0;
    for (let seed = 1; seed <= pairs; seed++) {
      const [a, b] = [ratio(seed), ratio(seed + pairs)];
      const [low, high] = compareRatios(a, b).interval!;
      if (low <= 0 && high >= 0) inside++;
    }
    expect(inside / pairs).toBeGreaterThan(1 - 2 * level);
  });

  it('does not take one event for a difference', () => {
    const [a, b] = [ratio(1, { rate: 0 }), ratio(2, { rate: 0 })];
    b.count[3] = 1;
    expect(compareRatios(a, b).p).toBeGreaterThan(level);
  });

  it('is certain of a number that never varies', () => {
    const exactly = (times: number) => {
      const { per } = ratio(1);
      return { per, count: per.map((one) => times * one) };
    };
    expect(compareRatios(exactly(2), exactly(2)).p).toBe(1);
    expect(compareRatios(exactly(2), exactly(3)).p).toBeLessThan(1e-6);
  });

  it('is not asked where blocks are too few, or nothing is there', () => {
    const [short, long] = [ratio(1, { blocks: 7 }), ratio(2)];
    expect(compareRatios(short, long)).toMatchObject({ p: 1, interval: undefined });
    expect(compareRatios(short, long).unjudged).toMatch(/^fewer than 8 blocks/);
    const none = ratio(1, { blocks: 0 });
    expect(compareRatios(none, long)).toMatchObject({ old: Number.NaN, p: 1, unjudged: 'no data' });
  });

  it('compares shares by hundredths of the whole', () => {
    const [a, b, c] = [0.02, 0.05, 0.3].map((rate, seed) => ratio(seed, { rate, things: 1_000 }));
    expect(compareShares(a!, b!).p).toBeGreaterThan(level);
    expect(compareShares(a!, c!).p).toBeLessThan(level);
  });
});

describe('a family of tests', () => {
  const compared = (p: number, unjudged?: string) => ({ old: 1, new: 2, interval: undefined, p, unjudged });

  it('divides the level among those that are left', () => {
    const family = [0.004, 0.001, 0.02].map((p) => compared(p));
    expect(differing(family)).toEqual([true, true, false]);
    expect(differing([0.006, 0.006].map((p) => compared(p)))).toEqual([false, false]);
    expect(differing([])).toEqual([]);
  });

  it('does not count what could not be judged', () => {
    expect(differing([compared(0.009), compared(1, 'no data'), compared(1, 'no data')])).toEqual([true, false, false]);
  });
});
