import { z } from 'zod';
import { contextMeanings, guardMeanings, type Statement, type StateName, stateMeanings } from '../../models/design.js';
import { contextsOf, guardsOf, type ModelAndDesign, statementLines } from '../design.js';

/** `timervet models --format json`; within one schema version fields and values may be added, none changes its meaning. */
export const modelsSchemaVersion = 1;

const word = z.string();

/** A statement: an operation, a call, a tracepoint, a return, an assertion, or a condition with statements. */
const statement: z.ZodType<Statement> = z
  .lazy(() =>
    z.union([
      z.object({
        do: word.describe('Operation; `text` says how it reads.'),
        value: z.union([word, z.boolean()]).optional(),
        of: word.optional().describe('Timer, where it is not the one that the function is called for.'),
        viaHyp: z.literal(true).optional().describe('A hypercall on non-VHE hosts.'),
      }),
      z.object({
        call: word.describe('Role of the function that is called.'),
        of: word.optional(),
        value: z.union([word, z.boolean()]).optional(),
      }),
      z.object({ record: word.describe('A tracepoint: event of the native notation.'), of: word.optional() }),
      z.object({ return: z.literal(true) }),
      z.object({ bugOn: word.describe('BUG_ON or WARN_ON of a guard.') }),
      z.object({
        if: z.array(word).describe('Guards that must all hold; ! is the opposite.'),
        body: z.array(statement),
        else: z.array(statement).optional(),
      }),
    ]),
  )
  .meta({ id: 'statement' }) as unknown as z.ZodType<Statement>;

const model = z.object({
  id: word,
  kernels: word,
  span: z.tuple([z.int(), z.int()]).describe('First and last kernel version, major * 1000 + minor.'),
  summary: word,
  recognised: word.describe('How a recording shows that it is of this model.'),
  visible: word.describe('What a trace can show, and what not.'),
  shouldFire: z.enum(['memory', 'hardware']).describe('What should_fire goes by for a timer that is loaded.'),
  vgicSamplesLine: z
    .boolean()
    .describe('The vgic samples the line of a mapped interrupt instead of keeping the level.'),
  lifecycle: z.object({
    initial: word,
    final: z.array(word).describe('States in which a vcpu may stay for ever.'),
    states: z.array(z.object({ name: word, meaning: word, hardware: word.describe('What holds in this state.') })),
    transitions: z.array(
      z.object({ from: word, event: word.describe('Event of the native notation.'), to: word, note: word.nullable() }),
    ),
  }),
  functions: z.array(
    z.object({
      role: word,
      kernel: word.describe('Name of the kernel function.'),
      event: word.nullable().describe('Event that a probe on it records.'),
      hyp: z.boolean().describe('Runs at EL2, where no tracepoint or probe of the host sees it.'),
      irqsOff: z.boolean().describe('Interrupts are off while it runs.'),
      basis: z.enum(['verified', 'inferred']),
      note: word.nullable(),
      effects: z.array(statement),
      text: z.array(word).describe('The effects as lines, indented by two blanks a level.'),
    }),
  ),
  guards: z.record(word, word).describe('What the guards mean.'),
  timers: z.record(word, word).describe('What the names of timers mean.'),
});

/** The shape of the whole document. */
export const modelsSchema = z
  .object({
    tool: z.literal('timervet'),
    version: word.describe('Version of the tool.'),
    schema: z.literal(modelsSchemaVersion).describe('Version of this schema.'),
    models: z.array(model),
  })
  .meta({ title: 'timervet models', description: 'The models of the kernel timer code, schema version 1.' });

/** The JSON Schema for `schemas/models.schema.json`; objects are left open for fields to come. */
export function modelsJsonSchema(): object {
  return z.toJSONSchema(modelsSchema, { io: 'input' });
}

function described({ model: { id, kernels, span, summary }, design }: ModelAndDesign): z.infer<typeof model> {
  const { lifecycle } = design;
  return {
    id,
    kernels,
    span: [...span],
    summary,
    recognised: design.recognised,
    visible: design.visible,
    shouldFire: design.shouldFire,
    vgicSamplesLine: design.vgicSamplesLine,
    lifecycle: {
      initial: lifecycle.initial,
      final: [...lifecycle.final],
      states: (Object.keys(lifecycle.states) as StateName[]).map((name) => ({
        name,
        meaning: stateMeanings[name],
        hardware: lifecycle.states[name] as string,
      })),
      transitions: lifecycle.transitions.map(({ from, event, to, note }) => ({ from, event, to, note: note ?? null })),
    },
    functions: design.functions.map((each) => ({
      role: each.role,
      kernel: each.kernel,
      event: each.event ?? null,
      hyp: each.hyp === true,
      irqsOff: each.irqsOff === true,
      basis: each.basis,
      note: each.note ?? null,
      effects: [...each.body],
      text: statementLines(design, each.body).map(({ depth, text }) => `${'  '.repeat(depth)}${text}`),
    })),
    guards: Object.fromEntries(guardsOf(design).map((name) => [name, guardMeanings[name]])),
    timers: Object.fromEntries(contextsOf(design).map((name) => [name, contextMeanings[name]])),
  };
}

/** The document. */
export function modelsJson(list: readonly ModelAndDesign[], version: string): string {
  const document: z.infer<typeof modelsSchema> = {
    tool: 'timervet',
    version,
    schema: modelsSchemaVersion,
    models: list.map(described),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}
