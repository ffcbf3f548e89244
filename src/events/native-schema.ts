/**
 * The native notation as zod schemas, made from the table of columns: for the published JSON Schemas, and for
 * saying what is wrong with a row that `NativeRows` refused. Rows that are in order never come here.
 */
import * as z from 'zod';
import { kindNames } from './kinds.js';
import type { Cell } from './native.js';
import {
  allowedColumns,
  ambiguousNames,
  type Column,
  type ColumnName,
  columnIndex,
  columns,
  kernelNames,
  requiredColumns,
} from './native-columns.js';
import { conditionPattern, countPattern, cpuEndPattern, frequencyRange, originPattern } from './native-facts.js';
import { timeSince, type ValueType } from './native-values.js';
import { nearest } from './nearest.js';
import { timerNamesPattern } from './timer-names.js';

/** Facts of the recording that a CSV comment (`# model: offset`) or a JSONL object without `event` may state. */
export const factsSchema = z
  .strictObject({
    model: z.string().optional().meta({ description: 'Kernel model that the trace is to be judged by.' }),
    host: z.string().optional().meta({ description: 'Kind of host, such as vhe or nvhe.' }),
    kernel: z.string().optional().meta({ description: 'Kernel release.' }),
    clock: z.string().optional().meta({ description: 'Trace clock.' }),
    cpus: z.int().min(1).optional().meta({ description: 'Number of CPUs.' }),
    frequency: z.int().min(frequencyRange.min).max(frequencyRange.max).optional().meta({
      description: "Frequency of the system counter, Hz: without it the trace's own events have to show it.",
    }),
    count: z.string().regex(countPattern).optional().meta({
      description:
        "Count of every vcpu's virtual counter at the trace's time 0, hexadecimal; only with a frequency. Without it the trace's own events have to show it.",
    }),
    recording: z.string().optional().meta({
      description:
        'Format of the recording that the trace was converted from. Each of its CPUs had a buffer of its own, and it shows only what it recorded; without this fact a trace is one whole story: what it does not show did not happen.',
    }),
    recorded: z.string().optional().meta({
      description: 'A tracepoint or probed function of which the recording has records. Stated before its first one.',
    }),
    origin: z.string().regex(originPattern).optional().meta({
      description:
        "Time of the recording's first record in the trace's clock, in seconds with nine decimals. It stands before the rows whose times count from it.",
    }),
    'timer-names': z.string().regex(timerNamesPattern).optional().meta({
      description:
        'Names of the interrupt (guest_timer is "kvm guest timer") and the hrtimer callbacks of the timer that the records show, between blanks: they tell the generation of the kernel.',
    }),
    condition: z.string().regex(conditionPattern).optional().meta({
      description: 'How the recording was incomplete or strange: a kind, how often, and what exactly.',
    }),
    'cpu-end': z.string().regex(cpuEndPattern).optional().meta({
      description:
        'The last record of a CPU, event or not: CPU, seconds since the first record of the trace, idle or busy.',
    }),
    records: z.int().min(0).optional().meta({
      description: 'Number of records in the recording, those that gave no event included.',
    }),
  })
  .meta({ description: 'Facts of the recording as a whole.' });

function textSchemas(type: ValueType): z.ZodType[] {
  const isValid = (text: string) => !Number.isNaN(type.read(text));
  const schemas: z.ZodType[] = [];
  if (type.pattern !== undefined) schemas.push(z.string().regex(type.pattern).refine(isValid));
  if (type.words !== undefined && type.words.length > 0) schemas.push(z.enum(type.words as [string, ...string[]]));
  return schemas.length > 0 ? schemas : [z.string()];
}

function valueSchemas({ type }: Column): z.ZodType[] {
  const schemas = textSchemas(type);
  if (type.range !== undefined) {
    const number = type.range.integer ? z.int() : z.number();
    schemas.unshift(
      number
        .min(type.range.min)
        .max(type.range.max)
        .refine((value) => !Number.isNaN(type.read(value))),
    );
  }
  if (type.boolean) schemas.unshift(z.boolean());
  return schemas;
}

/** Names of the events that may fill a column that not all of them have. */
function kindsOf(name: ColumnName): string[] {
  const kinds = kindNames.filter((kind) => allowedColumns(kind).includes(name));
  return kinds.length === kindNames.length ? [] : kinds;
}

function describe(column: Column): string {
  const kinds = kindsOf(column.name);
  const unknown = column.forget === undefined ? '' : ' "?" for not known.';
  return `${column.description}${unknown}${kinds.length > 0 ? ` For: ${kinds.join(', ')}.` : ''}`;
}

function columnSchema(column: Column): z.ZodType {
  const schemas = valueSchemas(column);
  if (column.forget !== undefined) schemas.push(z.literal('?'), z.null());
  const described = z.union(schemas as [z.ZodType, ...z.ZodType[]]).meta({ description: describe(column) });
  return column.name === 'event' ? described : described.optional();
}

function kindOf(event: unknown): (typeof kindNames)[number] | undefined {
  if (typeof event !== 'string') return undefined;
  return Object.hasOwn(kernelNames, event) ? kernelNames[event] : kindNames.find((name) => name === event);
}

/** A row of a JSONL trace; a row of a CSV trace is one whose values are all text. */
export const rowSchema = z
  .strictObject(Object.fromEntries(columns.map((column) => [column.name, columnSchema(column)])))
  .superRefine((row, context) => {
    const kind = kindOf(row.event);
    if (kind === undefined) return;
    const names = allowedColumns(kind);
    for (const name of Object.keys(row) as ColumnName[]) {
      if (row[name] === undefined || names.includes(name)) continue;
      context.addIssue({
        code: 'custom',
        path: [name],
        params: { kind },
        message: `expected nothing, because event "${kind}" has no such field`,
      });
    }
    for (const choice of requiredColumns[kind] ?? []) {
      if (choice.some((name) => row[name] !== undefined)) continue;
      const [needed, ...others] = choice;
      const unless = others.map((name) => ` unless "${name}" is given`).join('');
      context.addIssue({
        code: 'custom',
        path: [needed!],
        params: { kind },
        message: `expected a value, which event "${kind}" needs${unless}`,
      });
    }
  })
  .meta({ description: 'One canonical timer event.' });

const shown = 60;

function show(cell: unknown): string {
  const text = JSON.stringify(cell) ?? String(cell);
  return text.length > shown ? `${text.slice(0, shown)}...` : text;
}

/** An error about a field that the notation does not have. */
export function explainUnknownField(name: string): string {
  const guess = nearest(name, columnIndex.keys());
  const advice =
    guess === undefined ? `expected one of ${[...columnIndex.keys()].join(', ')}` : `did you mean \`${guess}\`?`;
  return `unknown field ${show(name)}; ${advice}`;
}

function eventAdvice(event: unknown): string {
  if (typeof event !== 'string') return '';
  const choice = Object.hasOwn(ambiguousNames, event) ? ambiguousNames[event] : undefined;
  if (choice !== undefined) return `; it stands for several events: write \`${choice.join('` or `')}\``;
  const guess = nearest(event, kindNames) ?? nearest(event, Object.keys(kernelNames));
  return guess === undefined ? '' : `; did you mean \`${guess}\`?`;
}

function expectation(field: string): string {
  return `expected ${columns[columnIndex.get(field)!]!.type.expected}`;
}

/**
 * Says why a row is not valid: the field, what was expected and what was found.
 *
 * @param row    the row's cells by column name, as text (CSV) or JSON values
 * @param origin time from which events count, nanoseconds: with one the `time` column takes any time of a clock
 */
export function explainRow(row: Readonly<Record<string, unknown>>, origin?: bigint): string {
  const unknown = Object.keys(row).find((name) => !columnIndex.has(name));
  if (unknown !== undefined) return explainUnknownField(unknown);
  if (row.event === undefined)
    return 'field "event": expected an event such as load, entry, save or vtimer_irq, found nothing';
  const { time, ...others } = row;
  const isTimed = origin !== undefined && typeof time === 'string' && !Number.isNaN(timeSince(origin, time));
  const issue = rowSchema.safeParse(isTimed ? others : row).error?.issues[0];
  // Cannot happen as long as the schema describes what the reader does; a property test holds them together.
  if (issue === undefined) return `expected a row of the native notation, found ${show(row)}`;
  const field = String(issue.path[0]);
  // A union names its own reason where only one of its members comes near: the column's words are better.
  const expected = issue.code === 'custom' && issue.params !== undefined ? issue.message : expectation(field);
  const found = row[field] === undefined ? 'nothing' : show(row[field]);
  return `field "${field}": ${expected}, found ${found}${field === 'event' ? eventAdvice(row.event) : ''}`;
}

/** The cells of a row by column name, for `explainRow`. */
export function namedCells(cells: readonly Cell[]): Record<string, unknown> {
  return Object.fromEntries(columns.map(({ name }, i) => [name, cells[i]]).filter(([, cell]) => cell !== undefined));
}

/** JSON Schema conditions for what a kind cannot do without. */
function requirements(): object[] {
  return Object.entries(requiredColumns).map(([kind, choices]) => {
    const names = [kind, ...Object.keys(kernelNames).filter((name) => kernelNames[name] === kind)];
    return {
      if: { properties: { event: { enum: names } } },
      // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema
      then: { allOf: choices.map((choice) => ({ anyOf: choice.map((name) => ({ required: [name] })) })) },
    };
  });
}

/** JSON Schema of a line of a JSONL trace. */
export function jsonlJsonSchema(): object {
  const schema = z.toJSONSchema(z.union([rowSchema, factsSchema]), { io: 'input' });
  const [row, facts] = schema.anyOf ?? [];
  return {
    ...schema,
    title: 'A line of a native JSONL trace',
    anyOf: [{ ...row, allOf: requirements() }, facts],
  };
}

/** JSON Schema of a row of a CSV trace: an object of the texts of its cells. */
export function csvJsonSchema(): object {
  const text = (column: Column) => {
    const schemas = textSchemas(column.type);
    if (column.forget !== undefined) schemas.push(z.literal('?'));
    const cell = z.union(schemas as [z.ZodType, ...z.ZodType[]]).meta({ description: describe(column) });
    return column.name === 'event' ? cell : cell.optional();
  };
  const schema = z.strictObject(Object.fromEntries(columns.map((column) => [column.name, text(column)])));
  return {
    ...z.toJSONSchema(schema, { io: 'input' }),
    title: 'A row of a native CSV trace',
    description: 'The cells of a row by the names in the header row; an empty cell is left out.',
    allOf: requirements(),
  };
}
