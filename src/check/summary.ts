import { type Severity, severities } from '../rules/rule.js';
import type { CheckOptions, RuleSummary, TraceSummary, VcpuSummary, Verdict } from './facts.js';
import type { ActiveRule } from './judge.js';
import { Needs } from './needs.js';
import type { TraceRun } from './trace-run.js';

/** Least severity that makes a run fail, unless the user says otherwise. */
const defaultFailOn: Severity = 'warning';

function atLeast(severity: Severity, least: Severity): boolean {
  return severities.indexOf(severity) >= severities.indexOf(least);
}

function ruleSummary(active: ActiveRule, run: TraceRun, vcpus: number): RuleSummary {
  const coverage = active.coverage.summary();
  const byVcpu = Array.from({ length: vcpus }, (_, index) => active.coverage.byVcpu(index));
  const base = { ...coverage, byVcpu };
  if (active.severity === undefined) {
    const reason =
      run.modelChoice.id === null ? 'no single model is known' : `not an invariant of model ${run.modelChoice.id}`;
    return { ...base, status: 'not-applicable', severity: 'off', reason };
  }
  if (active.severity === 'off') return { ...base, status: 'off', severity: 'off', reason: 'switched off' };
  const severity = active.severity;
  if (coverage.violated > 0) return { ...base, status: 'violated', severity };
  if (coverage.held > 0) return { ...base, status: 'held', severity };
  if (coverage.undecided > 0) {
    const [reason] = Object.entries(coverage.reasons).sort((a, b) => b[1] - a[1])[0] as [string, number];
    return { ...base, status: 'undecided', severity, reason };
  }
  const lacking = new Needs(active.rule, (kind) => run.hasKind(kind)).missing().join(', ');
  const reason = lacking === '' ? 'the trace has no occasion for it' : `the trace records no ${lacking}`;
  return { ...base, status: 'not-exercised', severity, reason };
}

function verdictOf(
  run: TraceRun,
  options: CheckOptions,
  rules: Readonly<Record<string, RuleSummary>>,
): { verdict: Verdict; because: string[] } {
  const failOn = options.failOn ?? defaultFailOn;
  const violated = (run.judge?.findings.list ?? []).filter((finding) => atLeast(finding.severity, failOn));
  if (violated.length > 0) {
    const names = [...new Set(violated.map((finding) => finding.rule))];
    return { verdict: 'violations', because: names.map((name) => `${name} was violated`) };
  }
  const decided = Object.values(rules).filter((rule) => rule.held > 0);
  if (decided.length === 0) {
    const because =
      run.modelChoice.candidates.length === 0
        ? 'no model of this version fits the kernel: nothing was checked'
        : 'no rule was decided: nothing was checked';
    return { verdict: 'inconclusive', because: [because] };
  }
  if (run.conditions.loss && options.allowLoss !== true)
    return { verdict: 'inconclusive', because: ['records were lost inside the trace (--allow-loss accepts that)'] };
  const held = decided.reduce((sum, rule) => sum + rule.held, 0);
  return { verdict: 'clean', because: [`${decided.length} rules were decided ${held} times, and held`] };
}

/** Everything that is known of a trace at its end. */
export function summarise(run: TraceRun, options: CheckOptions): TraceSummary {
  const all = run.tracker?.threads.vcpus ?? [];
  const real = all.filter((vcpu) => vcpu.pid >= 0 && vcpu.events > 0);
  const grouping = run.grouping;
  const vcpus = real
    .map(
      (vcpu): VcpuSummary => ({
        vm: grouping?.vmOf[vcpu.index] ?? 0,
        id: vcpu.id,
        pid: vcpu.pid,
        comm: run.comm(vcpu.pid),
        vmCertainty: grouping?.certainty[vcpu.index] ?? 'assumed',
        knownSince: vcpu.knownSince < 0 ? null : run.time(vcpu.knownSince),
        events: vcpu.events,
      }),
    )
    .sort((a, b) => a.vm - b.vm || a.id - b.id);
  const rules: Record<string, RuleSummary> = {};
  for (const active of run.judge?.active ?? []) rules[active.rule.id] = ruleSummary(active, run, all.length);
  const { verdict, because } = verdictOf(run, options, rules);
  return {
    path: run.path,
    format: run.format,
    kernel: run.recording.kernel ?? null,
    clock: run.recording.clock ?? null,
    model: run.modelChoice,
    host: run.hostChoice,
    events: run.records,
    timerEvents: run.timerEvents,
    cpus: run.cpus,
    duration: run.duration,
    vcpus,
    vms: grouping?.count ?? 0,
    verdict,
    because,
    conditions: run.conditions.summary((position) => run.position(position)),
    rules,
    findings: run.judge?.findings.list ?? [],
    findingsOmitted: run.judge?.findings.omitted ?? 0,
  };
}
