import { type Cell, Where } from '../../stats/cell.js';
import { Histogram } from '../../stats/histogram.js';
import { createSums, type Histograms, type Ratio } from '../noise/index.js';
import type { BlockStats } from '../stats.js';
import type { Times } from './facts.js';

/** Quantiles that are compared. */
export const shares = [0.5, 0.9, 0.99] as const;

/** A latency by block. */
export function ofLatency({ cells }: BlockStats, which: number): Histograms {
  return cells.map((cell) => cell?.latencies[which]);
}

/** How long the stays in a place took, by block. */
export function ofPlace({ cells }: BlockStats, where: number): Histograms {
  return cells.map((cell) => cell?.stays[where]);
}

/** The time in a place by all time, by block; what was before the first event of a vcpu is no time. */
export function timeIn(cells: readonly (Cell | undefined)[], where: Where): Ratio {
  const [count, per] = [createSums(), createSums()];
  cells.forEach((cell, block) => {
    cell?.stays.forEach((stays, place) => {
      if (place !== Where.unknown) per[block]! += stays?.total ?? 0;
    });
    count[block] = cell?.stays[where]?.total ?? 0;
  });
  return { count, per };
}

/** All blocks together; null without a value. */
export function timesOf(histograms: Histograms): Times | null {
  const all = new Histogram();
  for (const one of histograms) if (one !== undefined) all.merge(one);
  const summary = all.summary();
  return summary === undefined ? null : { ...summary, histogram: all.doublings() };
}
