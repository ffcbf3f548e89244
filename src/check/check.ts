import { frequencyRange } from '../events/native-facts.js';
import { InputError } from '../input/errors.js';
import { inputFormats } from '../input/index.js';
import { modelIds } from '../models/model.js';
import { rules } from '../rules/index.js';
import { severities } from '../rules/rule.js';
import type { CheckOptions, Fact, RuleCoverage, RunSummary, TraceFailure, TraceSummary, Verdict } from './facts.js';
import { type Input, readInput } from './read.js';
import { TraceRun } from './trace-run.js';

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
  const { frequency, cntvoff } = options;
  if (frequency !== undefined && !(frequency >= frequencyRange.min && frequency <= frequencyRange.max))
    throw new RangeError(`frequency: expected ${frequencyRange.min} to ${frequencyRange.max} Hz, found ${frequency}`);
  if (cntvoff !== undefined && cntvoff !== BigInt.asUintN(64, cntvoff))
    throw new RangeError(`cntvoff: expected 0 to 0xffffffffffffffff, found ${cntvoff}`);
  for (const id of Object.keys(options.rules ?? {}))
    if (!rules.some((rule) => rule.id === id)) throw new RangeError(`unknown rule '${id}'`);
}

async function* checkTrace(
  input: Input,
  options: CheckOptions,
  traces: TraceSummary[],
): AsyncGenerator<Fact, void, undefined> {
  let run: TraceRun | undefined;
  const begin = (format: string): TraceRun => {
    run = new TraceRun(input.path, format, options, rules);
    run.facts.push({ type: 'trace-start', path: input.path, format });
    return run;
  };
  for await (const bytes of readInput(input, options.inputFormat, begin)) {
    const current = run as unknown as TraceRun;
    // Whoever reads a trace while it is recorded sees each finding at once.
    current.judgeBatch();
    yield* drain(current);
    yield { type: 'progress', path: input.path, bytes, events: current.records };
  }
  const ended = run as unknown as TraceRun;
  const summary = ended.end();
  yield* drain(ended);
  traces.push(summary);
  yield { type: 'trace-end', path: input.path, summary };
}

function* drain(run: TraceRun): Generator<Fact> {
  yield* run.facts;
  run.facts.length = 0;
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
