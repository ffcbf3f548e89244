import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../package/timervet.js';

/** The folder of the corpus. */
export const corpus = join(root, 'traces');

/** A finding that a trace of the corpus leads to, at its first occurrence. */
export interface ExpectedFinding {
  readonly rule: string;
  readonly diagnosis: string;
  /** Where it is: a line of text, or in a trace.dat an offset in its CPU's data. */
  readonly line?: number;
  readonly offset?: number;
  /** Trace time at which the recorded kernel itself noted that it injected the fault, seconds. */
  readonly near?: string;
  /** Known bugs that it names; none unless said. */
  readonly bugs?: readonly string[];
}

/** One row of `traces/manifest.json`: a trace, what it shows, and what `timervet check` says of it. */
export interface Row {
  /** From the folder of the manifest. */
  readonly path: string;
  readonly shows: string;
  /** Options that the trace is checked with. */
  readonly options?: { readonly model?: string; readonly host?: string };
  readonly expected: {
    readonly verdict: 'clean' | 'violations' | 'inconclusive';
    readonly exitCode: number;
    readonly model: string | null;
    readonly host: string | null;
    readonly vcpus: number;
    readonly vms: number;
    readonly events: number;
    /** All of them, those of severity info included, in the order in which they are found. */
    readonly findings: readonly ExpectedFinding[];
  };
}

export const rows: readonly Row[] = JSON.parse(readFileSync(join(corpus, 'manifest.json'), 'utf8')).traces;

const shapes = {
  row: ['path', 'shows', 'options?', 'expected'],
  options: ['model?', 'host?'],
  expected: ['verdict', 'exitCode', 'model', 'host', 'vcpus', 'vms', 'events', 'findings'],
  finding: ['rule', 'diagnosis', 'line?', 'offset?', 'near?', 'bugs?'],
};

function keysWrong(what: keyof typeof shapes, value: object): string[] {
  const known = shapes[what].map((key) => key.replace('?', ''));
  const needed = shapes[what].filter((key) => !key.endsWith('?'));
  return [
    ...Object.keys(value).flatMap((key) => (known.includes(key) ? [] : [`${what} has an unknown key ${key}`])),
    ...needed.flatMap((key) => (key in value ? [] : [`${what} lacks ${key}`])),
  ];
}

/** What is wrong with the shape of a row. */
export function wrongShape(row: Row): string[] {
  return [
    ...keysWrong('row', row),
    ...keysWrong('options', row.options ?? {}),
    ...keysWrong('expected', row.expected),
    ...row.expected.findings.flatMap((finding) => keysWrong('finding', finding)),
  ];
}
