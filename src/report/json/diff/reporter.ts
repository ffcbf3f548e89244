import type { TraceFailure, TraceSummary } from '../../../check/facts.js';
import type { Diff, DiffFact, LoneFinding } from '../../../diff/facts.js';
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

function diffReport({ verdict, because, old, new: next, findings }: Diff): DiffReport {
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
