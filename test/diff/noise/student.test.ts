import { expect, it } from 'vitest';
import { studentQuantile, studentTail } from '../../../src/diff/noise/student.js';

// From the printed tables of Student's distribution.
it.each([
  [0.25, 1, 1],
  [0.005, 1, 63.656741],
  [0.025, 2, 4.302653],
  [0.005, 7, 3.499483],
  [0.025, 10, 2.228139],
  [0.005, 30, 2.749996],
  [0.0005, 60, 3.4602],
  [0.025, 1_000_000, 1.959966],
])('a chance of %d with %d degrees of freedom is beyond %d', (chance, df, t) => {
  expect(studentTail(t, df)).toBeCloseTo(chance, 6);
  expect(studentTail(-t, df)).toBeCloseTo(1 - chance, 6);
  expect(studentQuantile(chance, df)).toBeCloseTo(t, 4);
});

it('knows the ends', () => {
  expect([studentTail(Infinity, 5), studentTail(-Infinity, 5), studentTail(0, 5)]).toEqual([0, 1, 0.5]);
});
