import { z } from 'zod';
import type { TraceFailure, TraceSummary } from '../../check/facts.js';
import type { Output } from '../output.js';
import type { Reporter } from '../reporter.js';
import { timingReport } from './reporter.js';
import { condition, modelChoice, timing, vcpuInTrace } from './schema.js';

/**
 * `timervet info --format json`. Within one schema version fields and values may be added; none is removed and none
 * changes its meaning. A reader must ignore what it does not know.
 */
export const infoSchemaVersion = 1;

const count = z.int().min(0);
const timestamp = z
  .string()
  .regex(/^-?\d+\.\d{9}$/)
  .describe("Seconds in the trace's clock with nine digits after the point.");

const trace = z.object({
  path: z.string().describe('As given on the command line; - is standard input.'),
  format: z.string().describe('Input format, see --input-format.'),
  convertedFrom: z.string().nullable().describe('Format of the recording that a native trace was converted from.'),
  version: z.string().nullable().describe('Version of the file format, where it has one.'),
  compression: z.string().nullable().describe('Compression inside the file.'),
  kernel: z.string().nullable().describe('Kernel release, where the input names it.'),
  clock: z.string().nullable(),
  buffers: z.array(
    z.object({
      name: z.string().describe('Empty for the top buffer.'),
      clock: z.string().nullable(),
      cpus: count.nullable(),
      pageSize: count.nullable().describe('Bytes.'),
    }),
  ),
  events: count.describe('Records in the input, of any event.'),
  timerEvents: count.describe('Timer events among them.'),
  duration: z.number().describe('Seconds from the first to the last timer event.'),
  cpus: z.array(
    z.object({ cpu: count, records: count, first: timestamp, last: timestamp, lost: count.describe('Records lost.') }),
  ),
  sources: z
    .array(
      z.object({ name: z.string(), records: count, use: z.enum(['used', 'not used', 'not resolved', 'malformed']) }),
    )
    .describe('Records by name of tracepoint or function, the most frequent first.'),
  kinds: z.array(z.object({ kind: z.string(), events: count })).describe('Timer events by kind.'),
  conditions: z.array(condition).describe('Every way in which the input was incomplete or strange.'),
  vms: count,
  vcpus: z.array(vcpuInTrace),
  model: z.string().nullable().describe('Kernel model; null when several remain possible.'),
  modelChoice,
  host: z.enum(['vhe', 'nvhe']).nullable(),
  hostChoice: z.object({ reasons: z.array(z.string()) }),
  timing,
  rules: z
    .record(
      z.string(),
      z.object({
        status: z.enum(['decided', 'undecided', 'not-exercised', 'not-applicable']),
        reason: z.string().nullable().describe('Why the rule was not decided, where it was not.'),
      }),
    )
    .describe('Which rules the trace can feed.'),
  missing: z
    .array(
      z.object({
        kinds: z.array(z.string()).describe('Events of which one would do.'),
        rules: z.array(z.string()).describe('Rules that cannot be decided without.'),
        source: z.string().nullable().describe('system:tracepoint, or function to probe; null where there is none.'),
        mayLack: z.boolean().describe('Not all kernels that may have recorded the trace have the source.'),
      }),
    )
    .describe('What was not recorded.'),
  commands: z.array(z.string()).describe('Shell commands of a recording that feeds more rules.'),
});

/** The shape of the whole document. */
export const infoSchema = z
  .object({
    tool: z.literal('timervet'),
    version: z.string().describe('Version of the tool.'),
    schema: z.literal(infoSchemaVersion).describe('Version of this schema.'),
    traces: z.array(trace),
    failures: z.array(z.object({ path: z.string(), error: z.string() })).describe('Inputs that could not be read.'),
  })
  .meta({ title: 'timervet info', description: 'What timervet info found, schema version 1.' });

/** A document as it is written. */
export type Info = z.infer<typeof infoSchema>;

/** The JSON Schema for `schemas/info.schema.json`; objects are left open for fields to come. */
export function infoJsonSchema(): object {
  return z.toJSONSchema(infoSchema, { io: 'input' });
}

function statusOf({
  held,
  violated,
  status,
}: TraceSummary['rules'][string]): Info['traces'][number]['rules'][string]['status'] {
  if (held + violated > 0) return 'decided';
  return status === 'undecided' || status === 'not-exercised' ? status : 'not-applicable';
}

function traceInfo(summary: TraceSummary): Info['traces'][number] {
  const { recording } = summary;
  return {
    path: summary.path,
    format: summary.format,
    convertedFrom: recording.convertedFrom,
    version: recording.version,
    compression: recording.compression,
    kernel: summary.kernel,
    clock: summary.clock,
    buffers: [...recording.buffers],
    events: summary.events,
    timerEvents: summary.timerEvents,
    duration: Number(summary.duration),
    cpus: [...recording.cpus],
    sources: [...recording.sources],
    kinds: [...recording.kinds],
    conditions: [...summary.conditions],
    vms: summary.vms,
    vcpus: summary.vcpus.map((vcpu) => ({
      ...vcpu,
      knownSince: vcpu.knownSince === null ? null : Number(vcpu.knownSince),
    })),
    model: summary.model.id,
    modelChoice: { candidates: [...summary.model.candidates], reasons: [...summary.model.reasons] },
    host: summary.host.id,
    hostChoice: { reasons: [...summary.host.reasons] },
    timing: timingReport(summary.timing),
    rules: Object.fromEntries(
      Object.entries(summary.rules).map(([id, rule]) => [id, { status: statusOf(rule), reason: rule.reason ?? null }]),
    ),
    missing: recording.advice.missing.map(({ kinds, rules, source, mayLack }) => ({
      kinds: [...kinds],
      rules: [...rules],
      source,
      mayLack,
    })),
    commands: [...recording.advice.commands],
  };
}

/** Writes one JSON document when all traces have been read, and nothing when that was cut short. */
export function infoJsonReporter(output: Output, version: string): Reporter {
  return {
    async fact(fact) {
      if (fact.type !== 'run-end') return;
      const failures: TraceFailure[] = [...fact.run.failures];
      const info: Info = {
        tool: 'timervet',
        version,
        schema: infoSchemaVersion,
        traces: fact.run.traces.map(traceInfo),
        failures,
      };
      await output.write(`${JSON.stringify(info, null, 2)}\n`);
    },
    end() {},
  };
}
