import { describe, expect, it } from 'vitest';
import { compareQuantiles, level } from '../../../src/diff/noise/index.js';
import { type MadeUp, times } from './recordings.js';

const nothing = () => ({ relative: 0, absolute: 0 });
const shares = [0.5, 0.9, 0.99];
const pairs = 200;

/** By share, the part of the pairs of recordings that are told to differ. */
function told(old: MadeUp, next: MadeUp, least?: typeof nothing): number[] {
  const counts = shares.map(() => 0);
  for (let seed = 1; seed <= pairs; seed++) {
    const [a, b] = [times(seed, old), times(seed + pairs, next)];
    compareQuantiles(a, b, shares, least).forEach(({ p }, index) => {
      if (p <= level) counts[index]!++;
    });
  }
  return counts.map((count) => count / pairs);
}

describe('the test of quantiles', () => {
  it('tells a shift where there is none about as often as its level says', () => {
    for (const rate of told({}, {}, nothing)) expect(rate).toBeLessThanOrEqual(3 * level);
    for (const rate of told({ blocks: 12, things: 150 }, { things: 60 }, nothing))
      expect(rate).toBeLessThanOrEqual(3 * level);
  });

  it('tells none that is smaller than the least effect, and one that is larger', () => {
    for (const rate of told({}, { median: 1.1e5 })) expect(rate).toBeLessThanOrEqual(level);
    for (const rate of told({}, { median: 2.5e5 })) expect(rate).toBeGreaterThan(0.95);
    for (const rate of told({ median: 2.5e5 }, {})) expect(rate).toBeGreaterThan(0.95);
  });

  it('gives intervals for the difference and for the factor', () => {
    const [p50] = compareQuantiles(times(1), times(2, { median: 2e5 }), shares);
    expect(p50!.factor![0]).toBeLessThan(2);
    expect(p50!.factor![1]).toBeGreaterThan(2);
    expect(p50!.interval![0]).toBeGreaterThan(0);
    expect(p50!.interval![0]).toBeLessThan(p50!.new - p50!.old);
    expect(p50!.interval![1]).toBeGreaterThan(p50!.new - p50!.old);
  });

  it('finds nothing between a recording and itself, and the same at every run', () => {
    const one = times(1);
    const first = compareQuantiles(one, one, shares);
    expect(first.every(({ p, old, new: next }) => p === 1 && old === next)).toBe(true);
    expect(compareQuantiles(one, one, shares)).toEqual(first);
  });

  it('tells a p99 only of a thousand values, a p50 of twenty', () => {
    const few = compareQuantiles(times(1, { things: 5 }), times(2, { things: 5 }), shares);
    expect(few.map(({ unjudged }) => unjudged)).toEqual([undefined, undefined, 'too few values']);
    const none = compareQuantiles([], times(2), shares);
    expect(none[0]).toMatchObject({ old: Number.NaN, unjudged: 'no data', p: 1 });
    const short = compareQuantiles(times(1, { blocks: 6 }), times(2), shares);
    expect(short[0]!.unjudged).toMatch(/^fewer than 8 blocks/);
  });
});
