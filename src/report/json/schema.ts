import { z } from 'zod';

/**
 * The JSON report, `timervet check --format json`. Within one schema version fields and values may be added;
 * none is removed and none changes its meaning. A reader must ignore what it does not know.
 */
export const schemaVersion = 1;

const count = z.int().min(0);
const seconds = z.number().describe("Seconds in the trace's clock; see the timestamp beside it for every digit.");
const timestamp = z
  .string()
  .regex(/^-?\d+\.\d{9}$/)
  .describe('The same time as a decimal with nine digits after the point.');
export const severity = z.enum(['info', 'warning', 'error']);
export const verdict = z
  .enum(['clean', 'violations', 'inconclusive'])
  .describe('inconclusive: nothing was checked, or events were lost inside the trace.');

const position = z
  .object({ line: count.optional(), offset: count.optional() })
  .describe('Line of a text input (from 1) or byte offset in a binary one.');

export const vcpu = z
  .object({
    vm: count.describe('Number of the VM, made up by the tool, from 0.'),
    id: z.int().min(-1).describe('vcpu_id; -1 when no record named it.'),
    pid: z.int(),
    comm: z.string(),
  })
  .describe('Who a vcpu is, as far as the trace tells.');

const occurrence = z.object({ time: seconds, timestamp, cpu: z.int(), pid: z.int(), position });

const occurrenceInFinding = occurrence.extend({
  count: count.min(1).optional().describe('Of a violation that goes on: how often it happened from there on.'),
});

const witnessEvent = occurrence.extend({
  comm: z.string(),
  event: z.string().describe('Canonical kind of the event.'),
  text: z.string().describe('The event as the trace shows it.'),
  certainty: z.string().describe('recorded, derived or approximate.'),
  decisive: z.boolean().describe('Whether the rule answered at this event.'),
});

const bug = z.object({
  id: z.string().describe('bug-01 to bug-29, W1 to W15; timervet explain takes it.'),
  commits: z.array(z.string()).describe('The commit that fixed it first; empty where none is known.'),
  title: z.string(),
  kernels: z.string().describe('Kernels that had it.'),
});

const episode = occurrence
  .extend({
    message: z.string().describe("The finding's sentence about this episode."),
    count: count.min(1).describe('How often it happened, the first time included.'),
    last: z.object({ time: seconds, timestamp }).describe('When it happened last.'),
    duration: z.number().describe('Seconds from the first to the last time.'),
    cause: witnessEvent.nullable().describe('The event that brought it about, null where none is known.'),
    end: witnessEvent.nullable().describe('The event that ended it, null where none did.'),
    ended: z.string().nullable().describe('How it ended, as a sentence.'),
  })
  .describe('A violation that goes on, a storm or a livelock: its beginning, count and end.');

export const finding = z.object({
  rule: z.string(),
  diagnosis: z.string().describe("Which of the rule's messages."),
  timer: z.string().nullable().describe('vtimer or ptimer; null where the rule does not tell timers apart.'),
  severity,
  vcpu: vcpu.nullable().describe('null when the event belongs to no vcpu.'),
  cpu: z.int(),
  time: seconds,
  timestamp,
  position,
  message: z.string(),
  argument: z
    .object({ given: z.string(), must: z.string(), but: z.string(), therefore: z.string() })
    .describe('Given these events, this must hold, but that happened, therefore this follows.'),
  bugs: z
    .array(bug)
    .describe('Known bugs of which it is the sign, among those that the recorded kernel may have; a sign is no proof.'),
  witness: z.array(witnessEvent).describe('The chain of events that proves it, in order.'),
  before: z.record(z.string(), z.string()).describe("State before the decisive event, in the kernel's field names."),
  after: z.record(z.string(), z.string()).describe('State after the decisive event.'),
  fingerprint: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .describe('Identifies the finding across recordings: free of times, pids, addresses and vcpu numbers.'),
  count: count.min(1).describe('How often this finding occurred.'),
  occurrences: z.array(occurrenceInFinding).describe('Where the first occurrences were, the first one included.'),
  episodes: z
    .object({
      count: count.min(1).describe('Number of episodes; the count of the finding is the sum of theirs.'),
      first: episode,
      longest: episode.describe('The one with the highest count.'),
    })
    .nullable()
    .describe('Where the violation goes on instead of happening at one event; null elsewhere.'),
});

/** A condition of a trace. */
export const condition = z.object({
  kind: z.string(),
  severity: z.enum(['info', 'warning', 'loss']),
  sentence: z.string(),
  count,
  position: position.describe('First place.'),
  details: z.record(z.string(), count).describe('Count by detail, where there are details.'),
});

const decisions = z.object({ held: count, violated: count, undecided: count });
const coverage = decisions.extend({
  reasons: z.record(z.string(), count).describe('Undecided evaluations by reason.'),
});

const ruleInTrace = coverage.extend({
  status: z.enum(['held', 'violated', 'undecided', 'not-exercised', 'not-applicable', 'off']),
  severity: z.enum(['info', 'warning', 'error', 'off']),
  reason: z.string().nullable().describe('Why the rule was not decided, where it was not.'),
  byVcpu: z.array(decisions).describe("In the order of the trace's vcpus."),
});

/** A vcpu, and how well it is known. */
export const vcpuInTrace = vcpu.extend({
  vmCertainty: z.enum(['recorded', 'derived', 'assumed']),
  knownSince: z.number().nullable().describe('Time from which the load state is known, in seconds.'),
  events: count,
});

/** The models that remain, and the evidence. */
export const modelChoice = z.object({ candidates: z.array(z.string()), reasons: z.array(z.string()) });

/** What the trace shows of the system counter. */
export const timing = z
  .object({
    frequency: z.number().nullable().describe('Of the system counter, Hz; null where it is not known.'),
    source: z.enum(['given', 'inferred']).nullable(),
    counters: z.array(
      z.object({
        vcpu: vcpu.nullable().describe('null where --cntvoff makes one counter of all.'),
        timer: z.enum(['vtimer', 'ptimer']),
        constraints: z
          .record(z.string(), count)
          .describe('Constraints that agreed, by what they are taken from; armed are equalities.'),
        least: z.string().nullable().describe('Least count at the end of the trace, hexadecimal.'),
        most: z.string().nullable().describe('Greatest count at the end of the trace.'),
        width: z.number().nullable().describe('Distance of the two, nanoseconds.'),
        changes: count.describe('How often the counter was set to another value.'),
        changed: z
          .array(z.object({ time: seconds, timestamp, position, by: z.number().describe('Nanoseconds.') }))
          .describe('The first of these changes.'),
      }),
    ),
  })
  .describe('The counter, inferred from deadlines and from what happened before and after them.');

const trace = z.object({
  path: z.string().describe('As given on the command line; - is standard input.'),
  format: z.string().describe('Input format, see --input-format.'),
  kernel: z.string().nullable().describe('Kernel release, where the input names it.'),
  clock: z.string().nullable(),
  model: z.string().nullable().describe('Kernel model; null when several remain possible.'),
  modelChoice,
  host: z.enum(['vhe', 'nvhe']).nullable(),
  hostChoice: z.object({ reasons: z.array(z.string()) }),
  events: count.describe('Records in the input, of any event.'),
  timerEvents: count.describe('Timer events among them.'),
  cpus: count,
  duration: z.number().describe('Seconds from the first to the last record.'),
  vms: count,
  vcpus: z.array(vcpuInTrace),
  verdict,
  because: z.array(z.string()).describe('Why the verdict is what it is, as sentences.'),
  conditions: z.array(condition).describe('Every way in which the input was incomplete or strange.'),
  timing,
  rules: z.record(z.string(), ruleInTrace),
  findings: z.array(finding),
  findingsOmitted: count.describe('Distinct findings beyond --max-findings.'),
});

/** The shape of the whole report. */
export const reportSchema = z
  .object({
    tool: z.literal('timervet'),
    version: z.string().describe('Version of the tool.'),
    schema: z.literal(schemaVersion).describe('Version of this schema.'),
    verdict,
    exitCode: z.int().describe('0 clean, 1 violations, 3 an input could not be read, 4 inconclusive, 130 interrupted.'),
    traces: z.array(trace),
    failures: z.array(z.object({ path: z.string(), error: z.string() })).describe('Inputs that could not be read.'),
    rules: z.record(z.string(), coverage).describe('Coverage over all traces.'),
  })
  .meta({ title: 'timervet report', description: 'What timervet check found, schema version 1.' });

/** A report as it is written. */
export type Report = z.infer<typeof reportSchema>;

/**
 * The JSON Schema of the report, for `schemas/report.schema.json`. Objects are left open, so that a report with
 * added fields still conforms.
 */
export function reportJsonSchema(): object {
  return z.toJSONSchema(reportSchema, { io: 'input' });
}
