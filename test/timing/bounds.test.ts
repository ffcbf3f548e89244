import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Bounds } from '../../src/timing/bounds.js';
import { runs } from '../fuzz.js';

const time = fc.integer({ min: -1e12, max: 1e12 });

it('tells the earliest and the latest time at which a line has a count', () => {
  fc.assert(
    fc.property(time, time, time, fc.constantFrom(0.0192, 0.0625, 1), (lowTime, highTime, at, rate) => {
      const bounds = new Bounds();
      bounds.lowTime = lowTime;
      bounds.low = 1_000;
      bounds.highTime = highTime;
      bounds.high = 5_000;
      expect(bounds.latestAt(bounds.lowAt(at, rate), rate)).toBeCloseTo(at, 1);
      expect(bounds.earliestAt(bounds.highAt(at, rate), rate)).toBeCloseTo(at, 1);
    }),
    runs(100),
  );
});

it('has no such time where a bound is missing', () => {
  const bounds = new Bounds();
  expect([bounds.earliestAt(5, 1), bounds.latestAt(5, 1)]).toEqual([
    Number.NEGATIVE_INFINITY,
    Number.POSITIVE_INFINITY,
  ]);
});
