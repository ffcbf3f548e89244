import { Latency, latencyNames, Where, whereNames } from '../../stats/cell.js';
import { compareQuantiles, type LeastEffect, leastShift } from '../noise/index.js';
import type { BlockStats } from '../stats.js';
import { ofLatency, ofPlace, shares } from './distributions.js';
import type { HostShift } from './facts.js';

/**
 * What takes its time for reasons other than the timer code: an hrtimer is late because the host is, a vcpu is preempted
 * for as long as the scheduler likes, and the guest runs as fast as the CPU does.
 */
export const hostLatencies: ReadonlySet<number> = new Set([Latency.deadlineToExpiry]);
export const hostPlaces: ReadonlySet<number> = new Set([Where.preempted, Where.guest]);

/** How long a vcpu waits is what its guest asks for: a random mix of work waits otherwise at every run. */
export const guestLatencies: ReadonlySet<number> = new Set([Latency.wait]);
export const guestPlaces: ReadonlySet<number> = new Set([Where.asleep]);

/**
 * How much the hosts of two recordings differ, seen from what is theirs alone, by quantile: the largest factor at that
 * quantile or below. The blocks of one recording cannot show it, since all are of one boot: two recordings of one kernel
 * on an emulated host differ in these by factors of 2 to 30, and in everything else by about as much.
 */
export function compareHosts(old: BlockStats, next: BlockStats): readonly HostShift[] {
  const own = [
    ...[...hostLatencies].map((which) => ({
      name: latencyNames[which] as string,
      quantiles: compareQuantiles(ofLatency(old, which), ofLatency(next, which), shares),
    })),
    ...[...hostPlaces].map((where) => ({
      name: whereNames[where] as string,
      quantiles: compareQuantiles(ofPlace(old, where), ofPlace(next, where), shares),
    })),
  ];
  let most: Omit<HostShift, 'share'> = { factor: null, by: null, quantile: null };
  return shares.map((share, index) => {
    for (const { name, quantiles } of own) {
      const one = quantiles[index]!;
      if (one.unjudged !== undefined) continue;
      const factor = Math.exp(Math.abs(Math.log(Math.max(1, one.new) / Math.max(1, one.old))));
      if (most.factor === null || factor > most.factor) most = { factor, by: name, quantile: share };
    }
    return { share, ...most };
  });
}

/** The least shift that counts where hosts differ: the usual one on top of what the hosts account for. */
export function leastAbove(host: readonly HostShift[], error: number): (share: number) => LeastEffect {
  return (share) => {
    const factor = host.find((one) => one.share === share)?.factor ?? 1;
    return { relative: (1 + leastShift.relative) * factor - 1, absolute: leastShift.absolute + error };
  };
}
