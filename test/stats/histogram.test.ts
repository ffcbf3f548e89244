import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Histogram } from '../../src/stats/histogram.js';
import { runs } from '../fuzz.js';

function of(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.add(value);
  return histogram;
}

const durations = fc.array(fc.oneof(fc.nat(100), fc.nat(1_000_000), fc.maxSafeNat()), { minLength: 1, maxLength: 200 });

describe('Histogram', () => {
  it('tells count, total, extremes and exact quantiles of small values', () => {
    expect(of([5, 1, 3, 3, 31]).summary()).toEqual({
      count: 5,
      total: 43,
      min: 1,
      mean: 8.6,
      p50: 3,
      p90: 31,
      p99: 31,
      max: 31,
    });
    expect(new Histogram().summary()).toBeUndefined();
  });

  it('takes what is negative for 0', () => {
    expect(of([-7]).summary()).toMatchObject({ min: 0, max: 0, total: 0 });
  });

  it('has quantiles within one part in 64 of the true ones', () => {
    fc.assert(
      fc.property(durations, (values) => {
        const histogram = of(values);
        const sorted = [...values].sort((a, b) => a - b);
        for (const share of [0.01, 0.5, 0.9, 0.99, 1]) {
          const truth = sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1]!;
          expect(Math.abs(histogram.quantile(share) - truth)).toBeLessThanOrEqual(truth / 64 + 0.5);
        }
      }),
      runs(300),
    );
  });

  it('merges to what one of all values would be', () => {
    fc.assert(
      fc.property(durations, durations, (some, others) => {
        const merged = of(some);
        merged.merge(of(others));
        const whole = of([...some, ...others]);
        expect(merged.doublings()).toEqual(whole.doublings());
        // Sums of such sizes are rounded, in whatever order they are made.
        expect({ ...merged.summary(), total: 0, mean: 0 }).toEqual({ ...whole.summary(), total: 0, mean: 0 });
      }),
      runs(300),
    );
  });

  it('counts by powers of two, the empty ones between included', () => {
    expect(of([1, 40, 200, 255]).doublings()).toEqual([
      { from: 0, count: 1 },
      { from: 32, count: 1 },
      { from: 64, count: 0 },
      { from: 128, count: 2 },
    ]);
  });
});
