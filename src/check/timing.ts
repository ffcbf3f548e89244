import { type EvidenceName, evidenceNames } from '../timing/evidence.js';
import type { Line } from '../timing/line.js';
import type { CounterSummary, TimingSummary, VcpuName } from './facts.js';
import type { TraceRun } from './trace-run.js';

/** A count relative to a line's own, as the kernel prints it. */
function countText(line: Line, relative: number): string {
  const reference = (BigInt(line.referenceHi >>> 0) << 32n) | BigInt(line.referenceLo >>> 0);
  return `0x${BigInt.asUintN(64, reference + BigInt(Math.round(relative))).toString(16)}`;
}

/** What is known of the counters at the end of a trace, in the order of the vcpus. */
export function summariseTiming(
  run: TraceRun,
  vcpus: readonly { readonly index: number; readonly name: VcpuName }[],
): TimingSummary {
  const timing = run.judge?.timing;
  if (timing === undefined) return { frequency: null, source: null, counters: [] };
  const { rate } = timing;
  const known = timing.lines.filter((line) => line?.counts.some((count) => count > 0)) as Line[];
  const order = (line: Line) => vcpus.findIndex(({ index }) => index === line.vcpu);
  const counters = known
    .sort((a, b) => order(a) - order(b))
    .map((line): CounterSummary => {
      const { bounds } = line;
      const end = run.lastTime - timing.clockOffset;
      const least = rate > 0 ? bounds.lowAt(end, rate) : Number.NEGATIVE_INFINITY;
      const most = rate > 0 ? bounds.highAt(end, rate) : Number.POSITIVE_INFINITY;
      const width = Math.round((most - least) / rate);
      return {
        vcpu: vcpus.find(({ index }) => index === line.vcpu)?.name ?? null,
        timer: line.isVirtual ? 'vtimer' : 'ptimer',
        constraints: Object.fromEntries(evidenceNames.map((name, at) => [name, line.counts[at]])) as Record<
          EvidenceName,
          number
        >,
        least: Number.isFinite(least) ? countText(line, least) : null,
        most: Number.isFinite(most) ? countText(line, most) : null,
        width: Number.isFinite(width) ? width : null,
        changes: line.changes,
        changed: line.changed.map(({ event, counts }) => ({
          time: run.time(event.time),
          position: run.position(event.position),
          by: Math.round(counts / rate),
        })),
      };
    });
  return {
    frequency: rate > 0 ? timing.frequency : null,
    source: rate === 0 ? null : timing.frequencyGiven ? 'given' : 'inferred',
    counters,
  };
}
