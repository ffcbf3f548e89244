import type { Fact } from '../../check/facts.js';
import { fileInput, type Input } from '../../index.js';
import { failureLines } from '../../report/failures.js';
import type { Output } from '../../report/output.js';
import { progressLine } from '../../report/progress.js';
import type { AnyFact, Reporter } from '../../report/reporter.js';
import { lateOptimisation } from '../support/compiler.js';
import type { CommandContext } from '../support/context.js';
import { ExitCode } from '../support/exit-codes.js';
import { endingAt, interruptible } from '../support/interrupt.js';
import { runReporters } from '../support/run-reporters.js';

/** The facts of a run that is no check: only what could not be read counts. */
export async function* withoutVerdict<F extends { readonly type: string }>(facts: AsyncIterable<F>): AsyncGenerator<F> {
  for await (const fact of facts) yield isEnd(fact) ? { ...fact, run: { ...fact.run, exitCode: codeOf(fact) } } : fact;
}

type RunEnd = Extract<Fact, { type: 'run-end' }>;

function isEnd<F extends { readonly type: string }>(fact: F): fact is F & RunEnd {
  return fact.type === 'run-end';
}

function codeOf({ run }: RunEnd): number {
  return run.failures.length > 0 ? ExitCode.unreadable : ExitCode.clean;
}

/** What a run that is no check reads, and how it is shown. */
export interface PlainRun<F extends AnyFact> {
  readonly paths: readonly string[];
  facts(inputs: Input[]): AsyncIterable<F>;
  readonly reporter: Reporter<F>;
  readonly output: Output;
  /** The report is not for people: what could not be read is told on stderr as well. */
  readonly tellsFailures: boolean;
}

/** Runs a command that reads recordings and judges nothing. @returns the exit code */
export async function runWithoutVerdict<F extends AnyFact>(run: PlainRun<F>, context: CommandContext): Promise<number> {
  const { paths, reporter, output } = run;
  const code = await interruptible((signal) =>
    runReporters<F>(withoutVerdict(run.facts(endingAt(signal, paths.map(fileInput)))), {
      reports: [{ reporter, output }],
      companions: [
        lateOptimisation(paths),
        ...(context.interactive ? [progressLine(context.stderr())] : []),
        ...(run.tellsFailures ? [failureLines(context.stderr())] : []),
      ],
      inputs: paths.length,
      failOn: 'error',
      interrupted: signal,
    }),
  );
  // A reader of the output that goes away is no verdict here.
  return code === ExitCode.unreadable || code === ExitCode.interrupted ? code : ExitCode.clean;
}
