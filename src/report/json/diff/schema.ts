import { z } from 'zod';
import { costKinds } from '../../../cost/kinds.js';
import { anchors } from '../../../diff/behaviour/step.js';
import { kindNames } from '../../../events/kinds.js';
import { latencyNames, whereNames } from '../../../stats/cell.js';
import { finding, modelChoice, verdict } from '../schema.js';
import { distribution } from '../stats.js';
import { divergence } from './divergence.js';

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

const expectations = z
  .object({
    source: z.string().describe('The file of expectations.'),
    declared: z.array(
      z.object({
        says: z.string(),
        outcome: z.enum(['met', 'unmet', 'undecided']).describe('Undecided: the recordings do not show it. No pass.'),
        because: z.string().describe('The figures, or why there are none.'),
      }),
    ),
    undeclared: z.array(z.string()).describe('Differences that no expectation names.'),
  })
  .describe('What --expect says.');

const limit = z.object({
  text: z.string().describe('As --fail-on gives it.'),
  failed: z.boolean(),
  because: z.string().describe('The figures, or why it cannot be evaluated, which fails.'),
});

const judgement = z
  .enum(['differs', 'host', 'noise', 'unjudged'])
  .describe("host: it differs, but is the host's own, or the guest's; unjudged: there is too little data.");
const interval = z.tuple([z.number(), z.number()]).nullable();
const times = distribution
  .extend({
    histogram: z
      .array(z.object({ from: z.number().describe('Nanoseconds, the lower bound of a doubling.'), count }))
      .describe('Numbers of values by doubling.'),
  })
  .nullable()
  .describe('Null where there is no value.');
const shift = <Name extends string>(names: readonly Name[]) =>
  z.object({
    name: z.enum(names),
    old: times,
    new: times,
    quantiles: z.array(
      comparison.extend({
        share: z.number().describe('0.5, 0.9 or 0.99.'),
        factor: interval.describe('Confidence interval of new by old.'),
        judgement,
      }),
    ),
    share: comparison.extend({ judgement }).nullable().describe('Of a place: the share of time spent there.'),
    judgement,
  });
const knownDeadlines = z
  .object({ known: count, interrupts: count, error: z.number().describe('Nanoseconds, at most.') })
  .describe('Interrupts whose deadline is known, and all.');

const latency = z
  .object({
    level: z.number().describe('Chance, at most, that any of all comparisons is told without being there.'),
    test: z.string(),
    family: count.describe('Comparisons that were judged.'),
    host: z
      .array(
        z.object({
          share: z.number(),
          factor: z.number().nullable().describe('Null where nothing shows it: nothing is judged then.'),
          by: z.string().nullable(),
          quantile: z.number().nullable(),
        }),
      )
      .describe('How much the hosts differ up to a quantile; what shifts by less is noise.'),
    latencies: z.array(shift(latencyNames as [string, ...string[]])).describe('The most changed first.'),
    places: z.array(shift(whereNames)).describe('How long each stay in a place took.'),
    deadlines: z.object({ old: knownDeadlines, new: knownDeadlines }),
  })
  .describe('How long things take; durations in nanoseconds.');

const costBasis = z.object({
  model: z.string().nullable().describe('The model by whose design costs are told; null where none fits.'),
  runs: count.describe("Runs of the kernel's code."),
  assumed: z.record(z.string(), count).describe('Runs whose cost depends on a guard that nothing tells, by guard.'),
});
const costChange = z.object({
  kind: z.enum(costKinds as [string, ...string[]]),
  per: z.string().describe('A category of runs (entry, load, …), tick, or guest second.'),
  cost: comparison,
  differs: z.boolean().describe('Beyond noise.'),
});
const cost = z
  .object({ old: costBasis, new: costBasis, perEvent: z.array(costChange), totals: z.array(costChange) })
  .describe("What the kernel's timer code had to do, by the design that fits each recording.");

const diff = z.object({
  verdict: z.enum(['same', 'changed', 'failed', 'inconclusive']),
  because: z.array(z.string()).describe('Why the verdict is what it is; the reasons of a failure first.'),
  old: side,
  new: side,
  findings,
  divergence,
  behaviour,
  expectations: expectations.nullable().describe('Null without --expect.'),
  limits: z.array(limit),
  cost,
  latency,
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
