import { z } from 'zod';
import type { Divergence, DivergentSide } from '../../../diff/facts.js';
import { timed, vcpuReport } from '../reporter.js';
import { position, seconds, timestamp, vcpu, witnessEvent } from '../schema.js';

const count = z.int().min(0);
const state = z.record(z.string(), z.string());
const path = z.array(z.string());

const side = z.object({
  time: seconds,
  timestamp,
  since: z.number().describe("Seconds since the recording's first record."),
  position,
  path: path.nullable().describe('What the host does there, in order; null where it is at nothing of this kind.'),
  usual: path.nullable().describe('Where there is no path: the one that it takes most often elsewhere.'),
  times: count.describe('How often it takes the path; each aligned guest step counts once.'),
  of: count.describe('How often it is at this kind of step.'),
  events: z
    .array(witnessEvent)
    .describe('Of the vcpu: the last events before, and those of the path, which are decisive. Empty for a pipe.'),
  before: state.describe("State of vcpu and CPU before the path, in the kernel's field names."),
  after: state.describe('State after it.'),
});

/** The part of the diff's schema on the first divergence. */
export const divergence = z
  .object({
    alignment: z.object({
      aligned: z.boolean(),
      reason: z
        .enum(['no-exits', 'few-steps', 'other-work', 'lost-records'])
        .nullable()
        .describe('Why the two cannot be laid side by side, null where they can.'),
      because: z.string(),
      share: z.number().min(0).max(1).describe('Share of the guest steps that are the same on both sides.'),
      oneRecording: z.boolean().describe('The two are one recording: guest steps come at the same times.'),
      complete: z.boolean().describe('Compared to the end of the shorter recording.'),
      leftOut: z.array(z.string()).describe('Kinds of events that the two do not record alike: in no path.'),
      vcpus: z.array(
        z.object({
          old: vcpu,
          new: vcpu,
          by: z.enum(['name', 'steps']),
          steps: z.tuple([count, count]).describe('Guest steps in the old and new recording, to where one ends.'),
          aligned: count.describe('How many of them are the same on both sides.'),
        }),
      ),
    }),
    first: z
      .object({
        kind: z.enum(['path', 'values', 'step']),
        at: z.string().describe('What is handled.'),
        vcpu: count.describe("Index in the alignment's vcpus."),
        after: count.describe('Guest steps of the vcpu that are the same before it.'),
        old: side,
        new: side,
        chance: z.number().nullable().describe('Probability that it is chance; null for one recording.'),
      })
      .nullable()
      .describe('Null where there is none, or where the two cannot be laid side by side.'),
    rare: count.describe('Paths of one recording only that chance may explain.'),
    level: z.number().describe('Level of the test for all paths together.'),
  })
  .describe('The first place where the two behave differently at the same step of the same guest work.');

function sideReport({
  events,
  path,
  usual,
  ...rest
}: DivergentSide): NonNullable<z.infer<typeof divergence>['first']>['old'] {
  return {
    ...timed(rest),
    path: path === null ? null : [...path],
    usual: usual === null ? null : [...usual],
    events: events.map(timed),
    before: { ...rest.before },
    after: { ...rest.after },
  };
}

export function divergenceReport({ alignment, first, rare, level }: Divergence): z.infer<typeof divergence> {
  return {
    alignment: {
      ...alignment,
      leftOut: [...alignment.leftOut],
      vcpus: alignment.vcpus.map(({ old, new: next, by, steps, aligned }) => ({
        old: vcpuReport(old),
        new: vcpuReport(next),
        by,
        steps: [...steps],
        aligned,
      })),
    },
    first: first === null ? null : { ...first, old: sideReport(first.old), new: sideReport(first.new) },
    rare,
    level,
  };
}
