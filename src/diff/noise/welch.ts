import type { LeastEffect } from './level.js';
import { studentQuantile, studentTail } from './student.js';

/** A value with its error. */
export interface Estimate {
  readonly value: number;
  readonly variance: number;
  /** Degrees of freedom of the variance. */
  readonly df: number;
}

/** Welch's and Satterthwaite's degrees of freedom of a sum. */
function freedom(v1: number, df1: number, v2: number, df2: number): number {
  const sum = v1 + v2;
  return sum === 0 ? df1 + df2 : sum ** 2 / (v1 ** 2 / df1 + v2 ** 2 / df2);
}

/** Chance of two values so far apart where the larger one truly exceeds the other by the least effect only. */
export function chance(old: Estimate, next: Estimate, { relative, absolute }: LeastEffect): number {
  const [small, large] = old.value <= next.value ? [old, next] : [next, old];
  const scale = 1 + relative;
  const excess = large.value - scale * small.value - absolute;
  const scaled = scale ** 2 * small.variance;
  const df = freedom(scaled, small.df, large.variance, large.df);
  const error = Math.sqrt(scaled + large.variance);
  if (error === 0) return excess > 0 ? 0 : 1;
  return Math.min(1, 2 * studentTail(excess / error, df));
}

/** Interval for the difference. @param outside chance that the true difference is not in it */
export function intervalOf(old: Estimate, next: Estimate, outside: number): readonly [low: number, high: number] {
  const df = freedom(old.variance, old.df, next.variance, next.df);
  const reach = studentQuantile(outside / 2, df) * Math.sqrt(old.variance + next.variance);
  const difference = next.value - old.value;
  return [difference - reach, difference + reach];
}
