import { words } from '../../stats/cell.js';
import type { DistributionShift, LatencyDiff } from './facts.js';

/** Most sentences. */
const most = 4;

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

/** How far a quantile has gone: `x 1.35`. */
export function factorText(old: number, next: number): string {
  const factor = Math.max(1, next) / Math.max(1, old);
  return `x ${factor.toPrecision(factor >= 1 ? 3 : 2)}`;
}

function sentence({ name, quantiles, share }: DistributionShift, what: string): string {
  const shifts = quantiles
    .filter(({ judgement }) => judgement === 'differs')
    .map((one) => `p${100 * one.share} ${factorText(one.old, one.new)}`);
  const part = share?.judgement === 'differs' ? [`share of time ${percent(share.old)} -> ${percent(share.new)}`] : [];
  return `${what}${words(name)}: ${[...shifts, ...part].join(', ')}`;
}

/** What changed most, as sentences. */
export function latencyHighlights({ latencies, places }: LatencyDiff): string[] {
  const differ = ({ judgement }: DistributionShift) => judgement === 'differs';
  const all = [
    ...latencies.filter(differ).map((one) => sentence(one, '')),
    ...places.filter(differ).map((one) => sentence(one, 'time ')),
  ];
  const left = all.length - most;
  return left <= 0 ? all : [...all.slice(0, most), `${left} more ${left === 1 ? 'latency' : 'latencies'}`];
}
