import { z } from 'zod';
import { anchors } from '../../../diff/behaviour/step.js';
import { kindNames } from '../../../events/kinds.js';
import { finding, modelChoice, verdict } from '../schema.js';

/**
 * `timervet diff --format json`. Within one schema version fields and values may be added; none is removed and none
 * changes its meaning. A reader must ignore what it does not know.
 */
export const diffSchemaVersion = 1;

const count = z.int().min(0);

const side = z
  .object({
    path: z.string().describe('As given on the command line; - is standard input.'),
    format: z.string().describe('Input format, see --input-format.'),
    kernel: z.string().nullable(),
    model: z.string().nullable().describe('Kernel model; null when several remain possible.'),
    modelChoice,
    host: z.enum(['vhe', 'nvhe']).nullable(),
    vcpus: count,
    timerEvents: count,
    duration: z.number().describe('Seconds from the first to the last timer event.'),
    verdict: verdict.describe('Of the recording alone, as timervet check gives it.'),
  })
  .describe('One of the recordings.');

const lone = z.object({
  finding,
  decidedInOther: z.boolean().describe('Whether its rule was decided in the other recording at all.'),
  fails: z.boolean().describe('At or above the failing severity.'),
});

const findings = z.object({
  new: z.array(lone),
  gone: z.array(lone),
  both: z.array(
    z.object({ old: finding, new: finding, otherChain: z.boolean().describe('The same diagnosis, another chain.') }),
  ),
});

const comparison = z
  .object({
    old: z.number().nullable().describe('Null where there is no data.'),
    new: z.number().nullable(),
    interval: z.tuple([z.number(), z.number()]).nullable().describe('Confidence interval of new less old.'),
    p: z.number().describe('Chance of such a difference where the true one is not above the least effect.'),
    unjudged: z.string().nullable().describe('Why the values could not be compared; null where they were.'),
  })
  .describe('A value in both recordings.');

const vcpuNumber = z.object({ vm: count, id: z.int() });
const role = z
  .object({ old: vcpuNumber, new: vcpuNumber })
  .nullable()
  .describe('A vcpu of both recordings; null for all vcpus together.');
const kind = z.enum(kindNames as [string, ...string[]]);

const behaviour = z
  .object({
    notCompared: z.array(z.object({ kind, side: z.enum(['old', 'new']), why: z.string(), old: count, new: count })),
    rates: z.array(z.object({ role, what: z.string(), per: z.string(), rate: comparison })),
    placements: z
      .array(z.object({ role, step: z.string(), anchor: z.enum(anchors), share: comparison }))
      .describe('After which step of their lives vcpus do what: share of the step that comes there.'),
    paths: z
      .array(z.object({ role, steps: z.array(z.string()), old: count, new: count, share: comparison }))
      .describe('Paths from one entry to the next: trips, and share of all trips.'),
    sequences: z
      .array(z.object({ role, step: z.string(), next: z.string(), share: comparison }))
      .describe('What follows a step: share of all that follows it.'),
  })
  .describe('What differs beyond chance in what the vcpus do.');

const diff = z.object({
  verdict: z.enum(['same', 'changed', 'failed', 'inconclusive']),
  because: z.array(z.string()).describe('Why the verdict is what it is; the reasons of a failure first.'),
  old: side,
  new: side,
  findings,
  behaviour,
});

/** The shape of the whole document. */
export const diffSchema = z
  .object({
    tool: z.literal('timervet'),
    version: z.string().describe('Version of the tool.'),
    schema: z.literal(diffSchemaVersion).describe('Version of this schema.'),
    exitCode: z.int(),
    diff: diff.nullable().describe('Null when a recording could not be read.'),
    failures: z.array(z.object({ path: z.string(), error: z.string() })).describe('Recordings that could not be read.'),
  })
  .meta({ title: 'timervet diff', description: 'What differs between two recordings, schema version 1.' });

/** A document as it is written. */
export type DiffDocument = z.infer<typeof diffSchema>;

/** The JSON Schema for `schemas/diff.schema.json`; objects are left open for fields to come. */
export function diffJsonSchema(): object {
  return z.toJSONSchema(diffSchema, { io: 'input' });
}
