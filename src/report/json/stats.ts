import { z } from 'zod';
import type { TraceSummary } from '../../check/facts.js';
import { categories, costKinds } from '../../cost/kinds.js';
import { modelIds } from '../../models/model.js';
import { countNames, latencyNames, whereNames } from '../../stats/cell.js';
import type { Measured, StatsFact, TraceStats } from '../../stats/facts.js';
import type { Output } from '../output.js';
import type { Reporter } from '../reporter.js';
import { condition, modelChoice, vcpu } from './schema.js';

/**
 * `timervet stats --format json`. Within one schema version fields and values may be added; none is removed and none
 * changes its meaning. A reader must ignore what it does not know.
 */
export const statsSchemaVersion = 1;

const count = z.int().min(0);
const nanoseconds = z.number().min(0).describe('Nanoseconds.');

/** Durations of one kind. */
export const distribution = z
  .object({
    count,
    total: nanoseconds,
    min: nanoseconds,
    mean: nanoseconds,
    p50: nanoseconds,
    p90: nanoseconds,
    p99: nanoseconds,
    max: nanoseconds,
  })
  .describe('Durations; p50, p90 and p99 are right to 1.6 %.');
const measured = <Name extends string>(names: readonly Name[]) =>
  z.partialRecord(z.enum(names), distribution).describe('Those that never occurred are left out.');

const costs = z
  .object({
    categories: z
      .array(
        z.object({
          category: z.enum(categories as [string, ...string[]]).describe('On what occasion the kernel did it.'),
          events: count.describe('How often that came about.'),
          operations: z
            .partialRecord(z.enum(costKinds as [string, ...string[]]), count)
            .describe('Operations in all of them; those that never occurred are left out.'),
        }),
      )
      .describe('Occasions that came about.'),
    runs: count.describe("Runs of the kernel's functions."),
    assumed: z
      .record(z.string(), count)
      .describe('How many of them depend on a condition that nothing tells, by condition: the usual case is taken.'),
    unfit: count.describe('How many of them left other records than the design foresees.'),
    guestSeconds: z.number().min(0).describe('Time in the guest; `counts.ticks` has its ticks.'),
  })
  .describe("What the kernel's timer code did, as the model's design has it.");

const group = z.object({
  vcpu: vcpu.nullable().describe('Who it is, by vcpu.'),
  vm: count.nullable().describe('By vcpu or VM.'),
  cpu: count.nullable().describe('By CPU.'),
  counts: z.record(z.enum(countNames as [string, ...string[]]), count),
  places: measured(whereNames).describe('How long each stay in a place took.'),
  exits: z
    .array(z.object({ reason: z.string(), times: distribution }))
    .describe('Exits by reason, from the exit to the next entry or the end of KVM_RUN, the most time first.'),
  latencies: measured(latencyNames as [string, ...string[]]),
  costs: costs.nullable().describe('Null where no model fits.'),
});

const trace = z.object({
  path: z.string().describe('As given on the command line; - is standard input.'),
  format: z.string().describe('Input format, see --input-format.'),
  kernel: z.string().nullable(),
  clock: z.string().nullable(),
  events: count.describe('Records in the input, of any event.'),
  timerEvents: count.describe('Timer events among them.'),
  duration: z.number().describe('Seconds from the first to the last timer event.'),
  model: z.string().nullable().describe('Kernel model; null when several remain possible.'),
  modelChoice,
  host: z.enum(['vhe', 'nvhe']).nullable(),
  conditions: z.array(condition).describe('Every way in which the input was incomplete or strange.'),
  vms: count,
  by: z.enum(['vcpu', 'vm', 'cpu']),
  costModel: z
    .enum(modelIds)
    .nullable()
    .describe('The model by whose design costs are told: the last of the candidates.'),
  groups: z.array(group),
});

/** The shape of the whole document. */
export const statsSchema = z
  .object({
    tool: z.literal('timervet'),
    version: z.string().describe('Version of the tool.'),
    schema: z.literal(statsSchemaVersion).describe('Version of this schema.'),
    traces: z.array(trace),
    failures: z.array(z.object({ path: z.string(), error: z.string() })).describe('Inputs that could not be read.'),
  })
  .meta({ title: 'timervet stats', description: 'What timervet stats counted and measured, schema version 1.' });

/** A document as it is written. */
export type Stats = z.infer<typeof statsSchema>;

/** The JSON Schema for `schemas/stats.schema.json`; objects are left open for fields to come. */
export function statsJsonSchema(): object {
  return z.toJSONSchema(statsSchema, { io: 'input' });
}

function byName(rows: readonly Measured[]): Record<string, Measured['times']> {
  return Object.fromEntries(rows.map(({ name, times }) => [name, times]));
}

function traceOf(summary: TraceSummary, { by, costModel, groups }: TraceStats): Stats['traces'][number] {
  return {
    path: summary.path,
    format: summary.format,
    kernel: summary.kernel,
    clock: summary.clock,
    events: summary.events,
    timerEvents: summary.timerEvents,
    duration: Number(summary.duration),
    model: summary.model.id,
    modelChoice: { candidates: [...summary.model.candidates], reasons: [...summary.model.reasons] },
    host: summary.host.id,
    conditions: [...summary.conditions],
    vms: summary.vms,
    by,
    costModel,
    groups: groups.map(({ vcpu: who, vm, cpu, counts, places, exits, latencies, costs }) => ({
      vcpu: who,
      vm,
      cpu,
      counts,
      places: byName(places),
      exits: exits.map(({ name, times }) => ({ reason: name, times })),
      latencies: byName(latencies),
      costs: costs === null ? null : { ...costs, categories: costs.categories.map((row) => ({ ...row })) },
    })),
  };
}

/** Writes one JSON document when all traces have been read, and nothing when that was cut short. */
export function statsJsonReporter(output: Output, version: string): Reporter<StatsFact> {
  const traces: Stats['traces'] = [];
  return {
    async fact(fact) {
      if (fact.type === 'trace-end') traces.push(traceOf(fact.summary, fact.stats));
      if (fact.type !== 'run-end') return;
      const document: Stats = {
        tool: 'timervet',
        version,
        schema: statsSchemaVersion,
        traces,
        failures: [...fact.run.failures],
      };
      await output.write(`${JSON.stringify(document, null, 2)}\n`);
    },
    end() {},
  };
}
