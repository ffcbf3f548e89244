import type { TraceFailure, TraceSummary } from '../../../check/facts.js';
import type { BehaviourDiff } from '../../../diff/behaviour/facts.js';
import type { Diff, DiffFact, LoneFinding } from '../../../diff/facts.js';
import type { Comparison } from '../../../diff/noise/level.js';
import type { Output } from '../../output.js';
import type { Reporter } from '../../reporter.js';
import { findingReport } from '../reporter.js';
import { type DiffDocument, diffSchemaVersion } from './schema.js';

type DiffReport = NonNullable<DiffDocument['diff']>;

function sideReport(trace: TraceSummary): DiffReport['old'] {
  return {
    path: trace.path,
    format: trace.format,
    kernel: trace.kernel,
    model: trace.model.id,
    modelChoice: { candidates: [...trace.model.candidates], reasons: [...trace.model.reasons] },
    host: trace.host.id,
    vcpus: trace.vcpus.length,
    timerEvents: trace.timerEvents,
    duration: Number(trace.duration),
    verdict: trace.verdict,
  };
}

function loneReport({ finding, ...lone }: LoneFinding): DiffReport['findings']['new'][number] {
  return { finding: findingReport(finding), ...lone };
}

function comparisonReport({ old, new: next, interval, p, unjudged }: Comparison) {
  const number = (value: number) => (Number.isFinite(value) ? value : null);
  return {
    old: number(old),
    new: number(next),
    interval: interval === undefined ? null : ([interval[0], interval[1]] as [number, number]),
    p,
    unjudged: unjudged ?? null,
  };
}

function behaviourReport({ notCompared, rates, placements, paths, sequences }: BehaviourDiff): DiffReport['behaviour'] {
  const shared = <T extends { readonly share: Comparison }>(change: T) => ({
    ...change,
    share: comparisonReport(change.share),
  });
  return {
    notCompared: [...notCompared],
    rates: rates.map(({ rate, ...change }) => ({ ...change, rate: comparisonReport(rate) })),
    placements: placements.map(shared),
    paths: paths.map((path) => ({ ...shared(path), steps: [...path.steps] })),
    sequences: sequences.map(shared),
  };
}

function diffReport({ verdict, because, old, new: next, findings, behaviour }: Diff): DiffReport {
  return {
    verdict,
    because: [...because],
    old: sideReport(old),
    new: sideReport(next),
    findings: {
      new: findings.new.map(loneReport),
      gone: findings.gone.map(loneReport),
      both: findings.both.map((one) => ({
        old: findingReport(one.old),
        new: findingReport(one.new),
        otherChain: one.otherChain,
      })),
    },
    behaviour: behaviourReport(behaviour),
  };
}

/** Writes one JSON document when both recordings have been compared. */
export function diffJsonReporter(output: Output, version: string): Reporter<DiffFact> {
  const failures: TraceFailure[] = [];
  return {
    async fact(fact) {
      if (fact.type === 'trace-failed') failures.push(fact.failure);
      if (fact.type !== 'diff') return;
      const document: DiffDocument = {
        tool: 'timervet',
        version,
        schema: diffSchemaVersion,
        exitCode: fact.exitCode,
        diff: fact.diff === null ? null : diffReport(fact.diff),
        failures,
      };
      await output.write(`${JSON.stringify(document, null, 2)}\n`);
    },
    end() {},
  };
}
