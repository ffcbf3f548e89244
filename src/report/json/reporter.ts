import type { Episode, Finding, RunSummary, TimingSummary, TraceSummary, VcpuName } from '../../check/facts.js';
import type { Output } from '../output.js';
import type { Reporter, ReporterOptions } from '../reporter.js';
import type { Report } from './schema.js';

type TraceReport = Report['traces'][number];

/** A time with all its digits, and as a number to compute with. */
function timed<T extends { readonly time: string }>(item: T) {
  return { ...item, time: Number(item.time), timestamp: item.time };
}

function vcpuReport({ vm, id, pid, comm }: VcpuName) {
  return { vm, id, pid, comm };
}

function episodeReport({ last, duration, cause, end, ...episode }: Episode) {
  return {
    ...timed(episode),
    last: timed({ time: last }),
    duration: Number(duration),
    cause: cause === null ? null : timed(cause),
    end: end === null ? null : timed(end),
  };
}

/** A finding, with its times as numbers as well. */
export function findingReport(finding: Finding): TraceReport['findings'][number] {
  return {
    rule: finding.rule,
    diagnosis: finding.diagnosis,
    timer: finding.timer,
    severity: finding.severity,
    vcpu: finding.vcpu === null ? null : vcpuReport(finding.vcpu),
    cpu: finding.cpu,
    time: Number(finding.time),
    timestamp: finding.time,
    position: finding.position,
    message: finding.message,
    argument: finding.argument,
    bugs: finding.bugs.map((bug) => ({ ...bug, commits: [...bug.commits] })),
    witness: finding.witness.map(timed),
    before: { ...finding.before },
    after: { ...finding.after },
    fingerprint: finding.fingerprint,
    count: finding.count,
    occurrences: finding.occurrences.map(timed),
    episodes:
      finding.episodes === undefined
        ? null
        : {
            count: finding.episodes.count,
            first: episodeReport(finding.episodes.first),
            longest: episodeReport(finding.episodes.longest),
          },
  };
}

/** The counter, with times as numbers as well. */
export function timingReport({ frequency, source, counters }: TimingSummary): TraceReport['timing'] {
  return {
    frequency,
    source,
    counters: counters.map((counter) => ({
      ...counter,
      vcpu: counter.vcpu === null ? null : vcpuReport(counter.vcpu),
      changed: counter.changed.map(timed),
    })),
  };
}

function traceReport(trace: TraceSummary): TraceReport {
  const rules = Object.entries(trace.rules).map(([id, rule]) => [
    id,
    { ...rule, reason: rule.reason ?? null, byVcpu: [...rule.byVcpu] },
  ]);
  return {
    path: trace.path,
    format: trace.format,
    kernel: trace.kernel,
    clock: trace.clock,
    model: trace.model.id,
    modelChoice: { candidates: [...trace.model.candidates], reasons: [...trace.model.reasons] },
    host: trace.host.id,
    hostChoice: { reasons: [...trace.host.reasons] },
    events: trace.events,
    timerEvents: trace.timerEvents,
    cpus: trace.cpus,
    duration: Number(trace.duration),
    vms: trace.vms,
    vcpus: trace.vcpus.map((vcpu) => ({
      ...vcpu,
      knownSince: vcpu.knownSince === null ? null : Number(vcpu.knownSince),
    })),
    verdict: trace.verdict,
    because: [...trace.because],
    conditions: [...trace.conditions],
    timing: timingReport(trace.timing),
    rules: Object.fromEntries(rules),
    findings: trace.findings.map(findingReport),
    findingsOmitted: trace.findingsOmitted,
  };
}

/** The report of a run, in the shape of `reportSchema`. */
export function report(run: RunSummary, version: string): Report {
  return {
    tool: 'timervet',
    version,
    schema: 1,
    verdict: run.verdict,
    exitCode: run.exitCode,
    traces: run.traces.map(traceReport),
    failures: [...run.failures],
    rules: { ...run.rules },
  };
}

/** Writes one JSON document when the run has ended, and nothing when it was cut short. */
export function jsonReporter(output: Output, options: ReporterOptions): Reporter {
  return {
    async fact(fact) {
      if (fact.type !== 'run-end') return;
      await output.write(`${JSON.stringify(report(fact.run, options.version), null, 2)}\n`);
    },
    end() {},
  };
}
