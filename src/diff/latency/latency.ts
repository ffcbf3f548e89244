import { Count, Latency, latencyNames, Where, whereNames } from '../../stats/cell.js';
import {
  type Comparison,
  compareQuantiles,
  compareShares,
  differing,
  type Histograms,
  type LeastEffect,
  level,
  type QuantileShift,
  testNames,
} from '../noise/index.js';
import type { BlockStats } from '../stats.js';
import { ofLatency, ofPlace, shares, timeIn, timesOf } from './distributions.js';
import type { DistributionShift, HostShift, Judgement, KnownDeadlines, LatencyDiff } from './facts.js';
import { compareHosts, guestLatencies, guestPlaces, hostLatencies, hostPlaces, leastAbove } from './host.js';

/**
 * Latencies that begin with a deadline. Its time is known only so well, and only of some: which ones, and so what is
 * mixed in the distribution, differs from recording to recording. The largest difference of the hosts counts for them.
 */
const inexact: ReadonlySet<number> = new Set([Latency.deadlineToInterrupt, Latency.deadlineToEntry]);

/** For shares of time: a tenth. How fast a host is decides on them too. */
const leastShareOfTime: LeastEffect = { relative: 0, absolute: 0.1 };

/** A distribution before it is known which comparisons of the family differ. */
interface Raw extends Omit<DistributionShift, 'quantiles' | 'share' | 'judgement'> {
  readonly quantiles: readonly QuantileShift[];
  readonly share: Comparison | null;
  readonly isOwn: boolean;
}

/** @param host undefined where it is the host's own, or the guest's */
function distribution(
  name: string,
  [old, next]: readonly [Histograms, Histograms],
  host: readonly HostShift[] | undefined,
  error: number,
  share: Comparison | null,
): Raw[] {
  const times = { old: timesOf(old), new: timesOf(next) };
  if (times.old === null && times.new === null) return [];
  const quantiles = compareQuantiles(old, next, shares, leastAbove(host ?? [], error)).map((one, index) =>
    host !== undefined && host[index]!.factor === null && one.unjudged === undefined
      ? { ...one, p: 1, unjudged: 'nothing shows how the hosts compare' }
      : one,
  );
  return [{ name, ...times, quantiles, share, isOwn: host === undefined }];
}

/** The largest difference of the hosts for every quantile. */
function largest(host: readonly HostShift[]): HostShift[] {
  const factor = host.reduce((most, one) => Math.max(most, one.factor ?? 0), 0);
  return host.map((one) => ({ ...one, factor: factor === 0 ? null : factor }));
}

function deadlinesOf(stats: BlockStats): KnownDeadlines {
  let [known, interrupts] = [0, 0];
  for (const cell of stats.cells) {
    if (cell === undefined) continue;
    known += cell.latencies[Latency.deadlineToInterrupt]?.count ?? 0;
    for (const count of [Count.interruptsInGuest, Count.interruptsLoaded, Count.interruptsLate])
      interrupts += cell.counts[count]!;
  }
  return { known, interrupts, error: stats.deadlineError };
}

/** How far what differs has gone, as a factor above 1. */
function size({ quantiles, share }: DistributionShift): number {
  const factors = quantiles
    .filter(({ judgement }) => judgement === 'differs')
    .map((one) => Math.max(one.new, 1) / Math.max(one.old, 1))
    .map((factor) => Math.max(factor, 1 / factor));
  const points = share?.judgement === 'differs' ? 1 + Math.abs(share.new - share.old) : 1;
  return Math.max(1, points, ...factors);
}

const judgements: readonly Judgement[] = ['differs', 'host', 'noise', 'unjudged'];

function byJudgement(a: DistributionShift, b: DistributionShift): number {
  return judgements.indexOf(a.judgement) - judgements.indexOf(b.judgement) || size(b) - size(a);
}

/**
 * Compares how long things take in two recordings. All comparisons are one family. Not even a large shift is told where
 * the hosts, by what is theirs alone, differ as much.
 */
export function diffLatencies(old: BlockStats, next: BlockStats): LatencyDiff {
  const host = compareHosts(old, next);
  const error = old.deadlineError + next.deadlineError;
  const latencies = latencyNames.flatMap((name, which) => {
    const both = [ofLatency(old, which), ofLatency(next, which)] as const;
    if (hostLatencies.has(which) || guestLatencies.has(which)) return distribution(name, both, undefined, 0, null);
    if (inexact.has(which)) return distribution(name, both, largest(host), error, null);
    return distribution(name, both, host, 0, null);
  });
  const places = whereNames.flatMap((name, where) => {
    if (where === Where.unknown) return [];
    const both = [ofPlace(old, where), ofPlace(next, where)] as const;
    const share = compareShares(timeIn(old.cells, where), timeIn(next.cells, where), leastShareOfTime);
    const isOwn = hostPlaces.has(where) || guestPlaces.has(where);
    return distribution(name, both, isOwn ? undefined : host, 0, share);
  });
  const family = [...latencies, ...places].flatMap(({ quantiles, share }): Comparison[] =>
    share === null ? [...quantiles] : [...quantiles, share],
  );
  const differs = differing(family);
  const told = new Set(family.filter((_, index) => differs[index]));
  const judge = <One extends Comparison>(one: One, isOwn: boolean): One & { judgement: Judgement } => {
    const judgement = told.has(one) ? (isOwn ? 'host' : 'differs') : 'noise';
    return { ...one, judgement: one.unjudged === undefined ? judgement : 'unjudged' };
  };
  const judged = ({ quantiles, share, isOwn, ...rest }: Raw): DistributionShift => {
    const parts = {
      quantiles: quantiles.map((one) => judge(one, isOwn)),
      share: share === null ? null : judge(share, isOwn),
    };
    const all = [...parts.quantiles, ...(parts.share === null ? [] : [parts.share])];
    const judgement = judgements.find((one) => all.some((part) => part.judgement === one));
    return { ...rest, ...parts, judgement: judgement ?? 'unjudged' };
  };
  return {
    level,
    test: `${testNames.quantiles}; ${testNames.family}`,
    family: family.filter(({ unjudged }) => unjudged === undefined).length,
    host,
    latencies: latencies.map(judged).sort(byJudgement),
    places: places.map(judged).sort(byJudgement),
    deadlines: { old: deadlinesOf(old), new: deadlinesOf(next) },
  };
}
