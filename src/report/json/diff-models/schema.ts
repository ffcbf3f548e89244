import { z } from 'zod';
import { categories, costKinds } from '../../../cost/kinds.js';
import { assumptionNames } from '../../../diff/models/assumptions.js';
import { claimStatuses, claimTexts } from '../../../diff/models/claims.js';
import { signalNames } from '../../../diff/models/facts.js';
import { modelIds } from '../../../models/model.js';
import { finding, modelChoice, vcpu } from '../schema.js';

/**
 * `timervet diff --models --format json`. Within one schema version fields and values may be added; none is removed and
 * none changes its meaning. A reader must ignore what it does not know.
 */
export const modelsDiffSchemaVersion = 1;

const count = z.int().min(0);
const assumed = z
  .partialRecord(z.enum(assumptionNames as [string, ...string[]]), count)
  .describe('Assumptions by kind.');
const figure = z.object({ count, of: count });

const claim = z.object({
  id: z.enum(Object.keys(claimTexts) as [keyof typeof claimTexts]),
  claim: z.string(),
  status: z.enum(claimStatuses).describe('holds: only the second design keeps it; held-before: both do.'),
  first: figure,
  second: figure,
  per: z.string().describe('What the figures are out of.'),
});

const outcome = z.object({
  model: z.enum(modelIds),
  events: z.partialRecord(z.enum(categories as [string, ...string[]]), count).describe('Events by kind.'),
  operations: z
    .partialRecord(
      z.enum(categories as [string, ...string[]]),
      z.partialRecord(z.enum(costKinds as [string, ...string[]]), count),
    )
    .describe('Operations by kind of event and kind of operation; those that never occurred are left out.'),
  signals: z.record(z.string(), count).describe('Interrupts, levels, wakeups.'),
  assumed,
  stopped: z
    .object({ time: z.string().describe('Seconds in the trace clock.'), message: z.string() })
    .nullable()
    .describe('Where the design itself stopped (BUG_ON, oops); nothing is counted after that.'),
});

const state = z.record(z.string(), z.string());
const divergence = z
  .object({
    time: z.string().describe('Seconds in the trace clock.'),
    vcpu: vcpu.nullable(),
    cpu: count,
    after: z.string(),
    what: z.string(),
    first: state,
    second: state,
  })
  .nullable();

const trace = z.object({
  path: z.string().describe('As given on the command line; - is standard input.'),
  format: z.string().describe('Input format, see --input-format.'),
  kernel: z.string().nullable(),
  model: z.string().nullable().describe('Model of the kernel that recorded; null when several remain possible.'),
  modelChoice,
  duration: z.number().describe('Seconds from the first to the last timer event.'),
  host: z.enum(['vhe', 'nvhe']).describe('Kind of host on which both designs were run.'),
  hostFrom: z.enum(['given', 'trace', 'assumed']),
  hasPtimer: z.boolean().describe('Whether the designs know a physical timer of the guest.'),
  stimuli: count.describe('Acts of guest, scheduler and userspace that both were shown.'),
  assumed,
  first: outcome,
  second: outcome,
  signals: z.record(z.enum(signalNames), z.object({ both: count, onlyFirst: count, onlySecond: count })),
  hazards: z.array(z.object({ in: z.enum(['first', 'second', 'both']), counts: z.tuple([count, count]), finding })),
  guestDivergence: divergence.describe('First difference in what the guest sees at an entry.'),
  hostDivergence: divergence.describe('First difference in interrupts and levels.'),
  claims: z.array(claim).describe("What the RFC's message promises, of the second design against the first."),
});

/** The shape of the whole document. */
export const modelsDiffSchema = z
  .object({
    tool: z.literal('timervet'),
    version: z.string().describe('Version of the tool.'),
    schema: z.literal(modelsDiffSchemaVersion).describe('Version of this schema.'),
    traces: z.array(trace),
    totals: z
      .array(z.object({ host: z.enum(['vhe', 'nvhe']), traces: count, claims: z.array(claim) }))
      .describe('The claims over all traces, by kind of host.'),
    failures: z.array(z.object({ path: z.string(), error: z.string() })).describe('Inputs that could not be read.'),
  })
  .meta({ title: 'timervet diff --models', description: 'Two designs on the guests of recordings, schema version 1.' });

/** A document as it is written. */
export type ModelsDiffDocument = z.infer<typeof modelsDiffSchema>;

/** The JSON Schema for `schemas/diff-models.schema.json`; objects are left open for fields to come. */
export function modelsDiffJsonSchema(): object {
  return z.toJSONSchema(modelsDiffSchema, { io: 'input' });
}
