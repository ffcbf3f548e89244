import type { Distribution } from '../../stats/histogram.js';
import type { Comparison, QuantileShift } from '../noise/index.js';

/**
 * What can be said of a comparison: it differs beyond noise; so it does, but it is the host's own, or the guest's, and
 * not the timer code's; it does not; or there is too little data.
 */
export type Judgement = 'differs' | 'host' | 'noise' | 'unjudged';

/** A distribution of one recording; durations in nanoseconds. */
export interface Times extends Distribution {
  /** By the lower bound of each doubling. */
  readonly histogram: readonly { readonly from: number; readonly count: number }[];
}

/** One distribution in both recordings. */
export interface DistributionShift {
  /** As `stats` names it. */
  readonly name: string;
  /** Null where it has no value. */
  readonly old: Times | null;
  readonly new: Times | null;
  /** p50, p90 and p99. */
  readonly quantiles: readonly (QuantileShift & { readonly judgement: Judgement })[];
  /** Of a place: the share of the time that the vcpus spent there. */
  readonly share: (Comparison & { readonly judgement: Judgement }) | null;
  /** The first of the judgements' order that anything of it has. */
  readonly judgement: Judgement;
}

/** How much the hosts differ up to a quantile: less than that is not told of anything else. */
export interface HostShift {
  readonly share: number;
  /** At least 1; null where nothing shows it, so that nothing is judged. */
  readonly factor: number | null;
  /** Of which latency or place, and of which of its quantiles. */
  readonly by: string | null;
  readonly quantile: number | null;
}

/** For how many of the interrupts of a recording the deadline is known, and how well. */
export interface KnownDeadlines {
  readonly known: number;
  readonly interrupts: number;
  /** Largest error of a deadline, nanoseconds. */
  readonly error: number;
}

/** How long things take, the most changed first. */
export interface LatencyDiff {
  /** Chance, at most, that any of all these is told without being there. */
  readonly level: number;
  /** The tests, in words. */
  readonly test: string;
  /** Number of comparisons that were judged. */
  readonly family: number;
  readonly host: readonly HostShift[];
  readonly latencies: readonly DistributionShift[];
  /** How long each stay in a place took, by place. */
  readonly places: readonly DistributionShift[];
  readonly deadlines: { readonly old: KnownDeadlines; readonly new: KnownDeadlines };
}
