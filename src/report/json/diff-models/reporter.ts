import type { TraceFailure, TraceSummary } from '../../../check/facts.js';
import { categories, costKinds } from '../../../cost/kinds.js';
import { type Claim, claimTexts } from '../../../diff/models/claims.js';
import type { DesignDivergence, DesignOutcome, ModelsDiff, ModelsDiffFact } from '../../../diff/models/facts.js';
import { claimsByHost } from '../../../diff/models/totals.js';
import type { Output } from '../../output.js';
import type { Reporter } from '../../reporter.js';
import { findingReport } from '../reporter.js';
import { type ModelsDiffDocument, modelsDiffSchemaVersion } from './schema.js';

type TraceReport = ModelsDiffDocument['traces'][number];

const claimReport = ({ id, ...claim }: Claim): TraceReport['claims'][number] => ({
  id,
  claim: claimTexts[id],
  ...claim,
});

function divergenceReport(divergence: DesignDivergence | null): TraceReport['guestDivergence'] {
  return divergence === null
    ? null
    : { ...divergence, first: { ...divergence.first }, second: { ...divergence.second } };
}

function outcomeReport({ model, costs, signals, assumed, stopped }: DesignOutcome): TraceReport['first'] {
  const own = categories.filter((category) => costs.events(category) > 0);
  const operations = (category: (typeof categories)[number]) =>
    Object.fromEntries(
      costKinds.flatMap((kind) => {
        const count = costs.operations(category, kind);
        return count > 0 ? [[kind, count]] : [];
      }),
    );
  return {
    model,
    events: Object.fromEntries(own.map((category) => [category, costs.events(category)])),
    operations: Object.fromEntries(own.map((category) => [category, operations(category)])),
    signals: { ...signals },
    assumed: { ...assumed },
    stopped: stopped === null ? null : { time: stopped.at, message: stopped.message },
  };
}

function traceReport(summary: TraceSummary, diff: ModelsDiff): TraceReport {
  const { first, second, hazards, guestDivergence, hostDivergence, claims, signals, assumed, ...facts } = diff;
  return {
    path: summary.path,
    format: summary.format,
    kernel: summary.kernel,
    model: summary.model.id,
    modelChoice: { candidates: [...summary.model.candidates], reasons: [...summary.model.reasons] },
    duration: Number(summary.duration),
    ...facts,
    assumed: { ...assumed },
    first: outcomeReport(first),
    second: outcomeReport(second),
    signals: { ...signals },
    hazards: hazards.map(({ finding, counts, in: side }) => ({
      in: side,
      counts: [...counts],
      finding: findingReport(finding),
    })),
    guestDivergence: divergenceReport(guestDivergence),
    hostDivergence: divergenceReport(hostDivergence),
    claims: claims.map(claimReport),
  };
}

/** Writes one JSON document when all recordings have been read. */
export function modelsDiffJsonReporter(output: Output, version: string): Reporter<ModelsDiffFact> {
  const traces: TraceReport[] = [];
  const diffs: ModelsDiff[] = [];
  const failures: TraceFailure[] = [];
  return {
    async fact(fact) {
      if (fact.type === 'trace-failed') failures.push(fact.failure);
      if (fact.type === 'trace-end') {
        diffs.push(fact.diff);
        traces.push(traceReport(fact.summary, fact.diff));
      }
      if (fact.type !== 'run-end') return;
      const totals = claimsByHost(diffs).map(({ claims, ...rest }) => ({ ...rest, claims: claims.map(claimReport) }));
      const document: ModelsDiffDocument = {
        tool: 'timervet',
        version,
        schema: modelsDiffSchemaVersion,
        traces,
        totals,
        failures,
      };
      await output.write(`${JSON.stringify(document, null, 2)}\n`);
    },
    end() {},
  };
}
