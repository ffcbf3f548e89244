import { z } from 'zod';
import { categories } from '../../cost/kinds.js';
import { anchors } from '../behaviour/step.js';
import { type Expectation, findingStates, pers, quantiles, relations } from './facts.js';
import { costNames, eventNames, latencyNames, rateNames } from './names.js';

/** A list of names as zod wants it. */
function oneOf(names: readonly string[]) {
  return z.enum(names as [string, ...string[]]);
}

const says = z.string().min(1).optional().describe("The expectation in its author's words, for the report.");
const occurs = z.enum(['never', 'only']);
const percent = z.number().min(0);
const change = {
  is: z.enum(relations).describe('How the new figure stands to the old one, beyond noise.'),
  by: percent
    .optional()
    .describe(
      'Percent of the old figure by which it changes at least, or may change and still be the same; default 0.',
    ),
  says,
};
const at = z.array(z.enum(categories)).min(1).optional().describe('Occasions; all where none is named.');

/** One kind of expectation, recognised by the field that has its name. */
const forms = {
  finding: z
    .strictObject({
      finding: z.string().min(1).describe('A rule, or RULE/DIAGNOSIS.'),
      is: z
        .enum(findingStates)
        .describe('gone: in the old recording only; new: allowed in the new one; absent: not in the new one.'),
      says,
    })
    .describe('A finding comes or goes.'),
  event: z
    .strictObject({
      event: oneOf(eventNames),
      occurs,
      after: z
        .array(z.enum(anchors))
        .min(1)
        .optional()
        .describe('Of these events the one that the vcpu last had before it. After entry it is in the guest.'),
      tolerance: percent.max(100).optional().describe('Percent of the events that may be elsewhere; default 0.'),
      says,
    })
    .describe('Where an event of the new recording happens.'),
  occurrence: z
    .strictObject({ cost: oneOf(costNames), occurs, at, says })
    .describe('When an operation of the new recording happens, by the design that fits it.'),
  rate: z
    .strictObject({ rate: oneOf(rateNames), per: z.enum(pers).optional().describe('Default: tick.'), ...change })
    .describe('How often something happens.'),
  cost: z
    .strictObject({ cost: oneOf(costNames), at, ...change })
    .describe('Operations each time that one of the occasions comes; per tick where none is named.'),
  latency: z
    .strictObject({
      latency: oneOf(latencyNames),
      quantile: z.enum(quantiles).optional().describe('Default: p99.'),
      ...change,
    })
    .describe('How long something takes.'),
} as const satisfies Record<string, z.ZodType<Expectation>>;

type Form = keyof typeof forms;

/** The schema that an expectation is meant to have, by the field that it is recognised by. */
export function formOf(value: object): z.ZodType<Expectation> | undefined {
  const name = (['finding', 'event', 'rate', 'latency'] as const).find((field) => field in value);
  const form: Form | undefined = name ?? ('cost' in value ? ('occurs' in value ? 'occurrence' : 'cost') : undefined);
  return form === undefined ? undefined : forms[form];
}

/** What a file of expectations holds. */
export const expectSchema = z
  .strictObject({
    $schema: z.string().optional(),
    expect: z
      .array(z.union([forms.finding, forms.event, forms.occurrence, forms.rate, forms.cost, forms.latency]))
      .min(1),
  })
  .meta({ title: 'timervet diff --expect', description: 'What a change is meant to do to timer handling.' });

/** The JSON Schema for `schemas/expect.schema.json`. */
export function expectJsonSchema(): object {
  return z.toJSONSchema(expectSchema, { io: 'input' });
}
