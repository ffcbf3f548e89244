import { type Severity, severities } from '../rules/rule.js';
import type { CheckOptions, RuleSummary, TraceSummary, VcpuSummary, Verdict } from './facts.js';
import type { ActiveRule } from './judge.js';
import { missingNeeds } from './needs.js';
import { summariseRecording } from './recording.js';
import { summariseTiming } from './timing.js';
import type { TraceRun } from './trace-run.js';

/** Least severity that makes a run fail, unless the user says otherwise. */
const defaultFailOn: Severity = 'warning';

function atLeast(severity: Severity, least: Severity): boolean {
  return severities.indexOf(severity) >= severities.indexOf(least);
}

function ruleSummary(active: ActiveRule, run: TraceRun, vcpus: readonly number[]): RuleSummary {
  const coverage = active.coverage.summary();
  const byVcpu = vcpus.map((index) => active.coverage.byVcpu(index));
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
  const lacking = missingNeeds(active.rule, (kind) => run.shown.shows(kind)).join(', ');
  const reason = lacking === '' ? 'the trace has no occasion for it' : `the trace records no ${lacking}`;
  return { ...base, status: 'not-exercised', severity, reason };
}

function verdictOf(
  run: TraceRun,
  options: CheckOptions,
  rules: Readonly<Record<string, RuleSummary>>,
): { verdict: Verdict; because: string[] } {
  const failOn = options.failOn ?? defaultFailOn;
  const violated = (run.judge?.active ?? []).filter((active) => active.worst !== undefined);
  const failing = violated.filter((active) => atLeast(active.worst as Severity, failOn));
  if (failing.length > 0)
    return { verdict: 'violations', because: failing.map((active) => `${active.rule.id} was violated`) };
  const decided = Object.values(rules).filter((rule) => rule.held + rule.violated > 0);
  if (decided.length === 0) {
    const because =
      run.modelChoice.candidates.length === 0
        ? 'no model of this version fits the kernel: nothing was checked'
        : 'no rule was decided: nothing was checked';
    return { verdict: 'inconclusive', because: [because] };
  }
  if (run.conditions.loss && options.allowLoss !== true)
    return { verdict: 'inconclusive', because: ['records were lost inside the trace (--allow-loss accepts that)'] };
  const times = decided.reduce((sum, rule) => sum + rule.held + rule.violated, 0);
  const rulesWere = `${decided.length} ${decided.length === 1 ? 'rule was' : 'rules were'} decided ${times} times`;
  if (violated.length === 0) return { verdict: 'clean', because: [`${rulesWere}, and held`] };
  const names = violated.map((active) => active.rule.id).join(', ');
  return { verdict: 'clean', because: [`${rulesWere}; violated below the failing severity: ${names}`] };
}

/** Everything that is known of a trace at its end. */
export function summarise(run: TraceRun, options: CheckOptions): TraceSummary {
  const all = run.tracker?.threads.vcpus ?? [];
  const real = all.filter((vcpu) => vcpu.thread >= 0 && vcpu.events > 0);
  const grouping = run.grouping;
  const vm = (index: number) => grouping?.vmOf[index] ?? 0;
  const sorted = [...real].sort((a, b) => vm(a.index) - vm(b.index) || a.id - b.id);
  const vcpus = sorted.map(
    (vcpu): VcpuSummary => ({
      vm: vm(vcpu.index),
      id: vcpu.id,
      pid: vcpu.thread,
      comm: run.comm(vcpu.thread),
      vmCertainty: grouping?.certainty[vcpu.index] ?? 'assumed',
      knownSince: vcpu.knownSince < 0 ? null : run.time(vcpu.knownSince),
      events: vcpu.events,
    }),
  );
  const indices = sorted.map((vcpu) => vcpu.index);
  const rules: Record<string, RuleSummary> = {};
  for (const active of run.judge?.active ?? []) rules[active.rule.id] = ruleSummary(active, run, indices);
  run.judge?.findings.rename();
  const { verdict, because } = verdictOf(run, options, rules);
  const named = sorted.map(({ index }, at) => {
    const { vm: number, id, pid, comm } = vcpus[at] as VcpuSummary;
    return { index, name: { vm: number, id, pid, comm } };
  });
  const conditions = run.conditions.summary((position) => run.position(position));
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
    conditions,
    recording: summariseRecording(run, conditions, rules),
    timing: summariseTiming(run, named),
    rules,
    findings: run.judge?.findings.list ?? [],
    findingsOmitted: run.judge?.findings.omitted ?? 0,
  };
}
