import { setImmediate } from 'node:timers/promises';
import { catalogue } from '../decode/catalogue.js';
import { detectFormat } from '../input/detect.js';
import { InputError, TruncatedInputError } from '../input/errors.js';
import { createReader, inputFormats, isTraceDat, openSpool, type RandomAccess, type Spool } from '../input/index.js';
import type { Reader } from '../input/record.js';
import { modelIds } from '../models/model.js';
import { rules } from '../rules/index.js';
import { severities } from '../rules/rule.js';
import type { CheckOptions, Fact, RuleCoverage, RunSummary, TraceFailure, TraceSummary, Verdict } from './facts.js';
import { TraceRun } from './trace-run.js';

/** One input of a check: a name for the reports, and its bytes. */
export interface Input {
  /** Path as the user gave it; `-` is standard input. */
  readonly path: string;
  /** The bytes, in chunks of any size. Errors of the kind `InputError` make the input unreadable. */
  open(): AsyncIterable<Uint8Array>;
  /**
   * The same bytes for reading at any place, which trace.dat needs; undefined where there is no such thing (a pipe).
   * Nicer to have: without it a trace.dat is first copied to a temporary file.
   */
  openFile?(): RandomAccess | undefined;
}

/** Most bytes looked at to recognise a format. */
const detectBytes = 64 * 1024;

/** Longest time without a turn of the event loop, in which signals and timers are seen; milliseconds. */
const longestTurn = 50;

/**
 * Checks traces, one after the other, and yields what it finds as it finds it.
 *
 * Memory does not grow with a trace. An input that cannot be read is a `trace-failed` fact; the run goes on.
 * The last fact is `run-end` with the exit code: 1 violations, 3 an unreadable input, 4 inconclusive, 0 clean, the
 * first of these that applies.
 *
 * @throws RangeError for an option whose value does not exist
 */
export async function* check(
  inputs: readonly Input[],
  options: CheckOptions = {},
): AsyncGenerator<Fact, void, undefined> {
  validate(options);
  const traces: TraceSummary[] = [];
  const failures: TraceFailure[] = [];
  for (const input of inputs) {
    try {
      yield* checkTrace(input, options, traces);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      const failure = { path: input.path, error: error.message };
      failures.push(failure);
      yield { type: 'trace-failed', path: input.path, failure };
    }
  }
  yield { type: 'run-end', run: summariseRun(traces, failures) };
}

function validate(options: CheckOptions): void {
  if (options.model !== undefined && !(modelIds as readonly string[]).includes(options.model))
    throw new RangeError(`unknown model '${options.model}': expected one of ${modelIds.join(', ')}`);
  if (options.host !== undefined && options.host !== 'vhe' && options.host !== 'nvhe')
    throw new RangeError(`unknown host '${options.host}': expected vhe or nvhe`);
  if (options.failOn !== undefined && !severities.includes(options.failOn))
    throw new RangeError(`unknown severity '${options.failOn}': expected one of ${severities.join(', ')}`);
  if (options.inputFormat !== undefined && !inputFormats.includes(options.inputFormat))
    throw new RangeError(`unknown input format '${options.inputFormat}': expected one of ${inputFormats.join(', ')}`);
  if (options.maxFindings !== undefined && !(Number.isInteger(options.maxFindings) && options.maxFindings >= 1))
    throw new RangeError(`maxFindings: expected a whole number from 1, found ${options.maxFindings}`);
  for (const id of Object.keys(options.rules ?? {}))
    if (!rules.some((rule) => rule.id === id)) throw new RangeError(`unknown rule '${id}'`);
}

async function* checkTrace(
  input: Input,
  options: CheckOptions,
  traces: TraceSummary[],
): AsyncGenerator<Fact, void, undefined> {
  let head: Uint8Array | undefined = new Uint8Array(0);
  let run: TraceRun | undefined;
  let reader: Reader | undefined;
  let spool: Spool | undefined;
  let file: RandomAccess | undefined;
  let bytes = 0;

  const begin = async (atEnd: boolean): Promise<boolean> => {
    const format = options.inputFormat ?? detectFormat(head as Uint8Array, atEnd);
    if (format === undefined) return false;
    run = new TraceRun(input.path, format, options, rules);
    run.facts.push({ type: 'trace-start', path: input.path, format });
    if (format === 'trace-dat') {
      file = seekable(input);
      if (file === undefined) spool = openSpool();
      spool?.append(head as Uint8Array);
    } else {
      reader = await createReader(format, catalogue, run);
      reader.push(head as Uint8Array);
    }
    head = undefined;
    return true;
  };

  try {
    for await (const chunk of wholePart(input, (message) => run?.condition('truncated-input', 1, 0, message))) {
      bytes += chunk.length;
      if (reader !== undefined) reader.push(chunk);
      else if (spool !== undefined) spool.append(chunk);
      else {
        head = concat(head as Uint8Array, chunk);
        if (!(await begin(head.length >= detectBytes))) continue;
      }
      if (file !== undefined) break;
      const current = run as unknown as TraceRun;
      yield* drain(current);
      yield { type: 'progress', path: input.path, bytes, events: current.records };
    }
    if (run === undefined && !(await begin(true))) throw new InputError('the format is not recognised');
    const ended = run as unknown as TraceRun;
    file ??= spool?.file();
    if (file !== undefined) yield* readFile(file, ended);
    (reader as Reader | undefined)?.end();
    const summary = ended.end();
    yield* drain(ended);
    traces.push(summary);
    yield { type: 'trace-end', path: input.path, summary };
  } finally {
    (file as RandomAccess | undefined)?.close();
    (spool as Spool | undefined)?.remove();
  }
}

/** The input's bytes for reading at any place, if they are those of the trace: a compressed file is opened on the way. */
function seekable(input: Input): RandomAccess | undefined {
  const file = input.openFile?.();
  if (file === undefined || isTraceDat(file)) return file;
  file.close();
  return undefined;
}

/** Reads a trace.dat, with a turn of the event loop now and then: an interrupt ends it like any other input. */
async function* readFile(file: RandomAccess, run: TraceRun): AsyncGenerator<Fact, void, undefined> {
  const { openTraceDat } = await import('../input/trace-dat/reader.js');
  const reader = await openTraceDat(file, catalogue, run);
  let turn = performance.now();
  for (const bytes of reader.slices()) {
    yield* drain(run);
    yield { type: 'progress', path: run.path, bytes, events: run.records };
    if (performance.now() - turn < longestTurn) continue;
    await setImmediate();
    turn = performance.now();
  }
}

/**
 * The chunks of an input up to where it is whole.
 *
 * @param truncated called when the input ends early, unless nothing of it could be used
 */
async function* wholePart(
  input: Input,
  truncated: (message: string) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  let used = false;
  try {
    for await (const chunk of input.open()) {
      used = true;
      yield chunk;
    }
  } catch (error) {
    if (!(error instanceof TruncatedInputError) || !used) throw error;
    truncated(error.message);
  }
}

function* drain(run: TraceRun): Generator<Fact> {
  yield* run.facts;
  run.facts.length = 0;
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function summariseRun(traces: readonly TraceSummary[], failures: readonly TraceFailure[]): RunSummary {
  const coverage: Record<string, RuleCoverage> = {};
  for (const trace of traces) {
    for (const [id, rule] of Object.entries(trace.rules)) {
      coverage[id] ??= { held: 0, violated: 0, undecided: 0, reasons: {} };
      const sum = coverage[id] as RuleCoverage;
      sum.held += rule.held;
      sum.violated += rule.violated;
      sum.undecided += rule.undecided;
      for (const [reason, count] of Object.entries(rule.reasons))
        sum.reasons[reason] = (sum.reasons[reason] ?? 0) + count;
    }
  }
  const verdicts = new Set(traces.map((trace) => trace.verdict));
  const verdict: Verdict = verdicts.has('violations')
    ? 'violations'
    : verdicts.has('inconclusive') || traces.length === 0
      ? 'inconclusive'
      : 'clean';
  const exitCode = verdict === 'violations' ? 1 : failures.length > 0 ? 3 : verdict === 'inconclusive' ? 4 : 0;
  return { verdict, exitCode, traces, failures, rules: coverage };
}
