import { catalogue } from '../decode/catalogue.js';
import { type KindSource, kindSources, probeDefinition, probes, recordCommand } from '../decode/sources.js';
import { type KindName, kindNames } from '../events/kinds.js';
import { models } from '../models/index.js';
import type { ModelId } from '../models/model.js';
import type {
  ConditionSummary,
  MissingKinds,
  RecordingAdvice,
  RecordingSummary,
  RuleSummary,
  SourceSummary,
} from './facts.js';
import { missingKinds } from './needs.js';
import type { TraceRun } from './trace-run.js';

/** Kernels that may have recorded the trace: the one that it names, else those of the models that remain. */
function kernels(run: TraceRun): readonly [number, number] {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(run.recording.kernel ?? '') ?? [];
  if (major !== undefined) return [Number(major) * 1000 + Number(minor), Number(major) * 1000 + Number(minor)];
  const spans = run.modelChoice.candidates.map((id) => models[id as ModelId].span);
  return [Math.min(...spans.map(([first]) => first)), Math.max(...spans.map(([, last]) => last))];
}

function detailsOf(conditions: readonly ConditionSummary[], kind: string): [string, number][] {
  return Object.entries(conditions.find((condition) => condition.kind === kind)?.details ?? {});
}

/** Records by name, the most frequent first. */
function sourcesOf(run: TraceRun, conditions: readonly ConditionSummary[]): SourceSummary[] {
  const others = (
    [
      ['unused-event', 'not used'],
      ['unresolved-function', 'not resolved'],
      ['malformed-fields', 'malformed'],
    ] as const
  ).flatMap(([kind, use]) => detailsOf(conditions, kind).map(([name, records]) => ({ name, records, use })));
  const { sourceCounts } = run;
  const used = catalogue.events.flatMap(({ name }, index) => {
    const records = sourceCounts[index]!;
    return records > 0 ? [{ name, records, use: 'used' as const }] : [];
  });
  return [...used, ...others].sort((a, b) => b.records - a.records || (a.name < b.name ? -1 : 1));
}

/** What a recording could be made to tell next time. */
function adviceOf(run: TraceRun, rules: Readonly<Record<string, RuleSummary>>): RecordingAdvice {
  const [first, last] = kernels(run);
  const exists = ({ since = 0, until = Number.POSITIVE_INFINITY }: KindSource) => since <= last && until >= first;
  const groups = new Map<string, { kinds: readonly KindName[]; rules: string[] }>();
  for (const { rule } of run.judge?.active ?? []) {
    const summary = rules[rule.id];
    if (summary === undefined || !['undecided', 'not-exercised'].includes(summary.status)) continue;
    for (const kinds of missingKinds(rule, (kind) => run.shown.shows(kind))) {
      const key = kinds.join(' or ');
      const group = groups.get(key) ?? { kinds, rules: [] };
      group.rules.push(rule.id);
      groups.set(key, group);
    }
  }
  const wanted = new Set<KindSource>();
  const missing = [...groups.values()].map(({ kinds, rules: ids }): MissingKinds => {
    const options = kinds.flatMap((kind) => kindSources[kind] ?? []).filter(exists);
    // A tracepoint costs nothing to set up.
    const best = options.find(({ system }) => system !== undefined) ?? options[0];
    if (best !== undefined) wanted.add(best);
    const source = best === undefined ? null : best.system === undefined ? best.name : `${best.system}:${best.name}`;
    const { since = 0, until = Number.POSITIVE_INFINITY } = best ?? {};
    return { kinds, rules: ids, source, mayLack: since > first || until < last };
  });
  if (wanted.size === 0) return { missing, commands: [] };
  // The probes that this recording has are kept.
  const kept = catalogue.events.flatMap(({ name }, index) => {
    const own = probes.get(name);
    return own !== undefined && run.shown.hasSource(index) ? [own] : [];
  });
  const definitions = [...new Set([...kept, ...wanted])]
    .filter(({ system }) => system === undefined)
    .map((source) => `echo '${probeDefinition(source)}' >> /sys/kernel/tracing/kprobe_events`);
  return { missing, commands: [...definitions, recordCommand(definitions.length > 0)] };
}

/** What a trace is, apart from what the rules say of it. */
export function summariseRecording(
  run: TraceRun,
  conditions: readonly ConditionSummary[],
  rules: Readonly<Record<string, RuleSummary>>,
): RecordingSummary {
  const { recording } = run;
  const lost = new Map(detailsOf(conditions, 'lost-events'));
  return {
    convertedFrom: recording.recording ?? null,
    version: recording.version ?? null,
    compression: recording.compression ?? null,
    buffers: (recording.buffers ?? []).map(({ name, clock = null, cpus = null, pageSize = null }) => ({
      name,
      clock,
      cpus,
      pageSize,
    })),
    cpus: run.cpuRecords.map(({ cpu, records, first, last }) => ({
      cpu,
      records,
      first: run.time(first),
      last: run.time(last),
      lost: lost.get(`CPU ${cpu}`) ?? 0,
    })),
    sources: sourcesOf(run, conditions),
    kinds: kindNames.flatMap((kind, number) => {
      const events = run.kindCounts[number]!;
      return events > 0 && kind !== 'lost' ? [{ kind, events }] : [];
    }),
    shown: kindNames.filter((kind) => kind !== 'lost' && run.shown.shows(kind)),
    advice: adviceOf(run, rules),
  };
}
