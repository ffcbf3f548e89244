import type { Fact } from '../../check/facts.js';
import type { Output } from '../../report/output.js';
import type { AnyFact, Reporter } from '../../report/reporter.js';
import { type Severity, severities } from '../../rules/rule.js';
import { ExitCode } from './exit-codes.js';

/** A reporter and where it writes. */
export interface OpenReporter<F extends AnyFact = Fact> {
  readonly reporter: Reporter<F>;
  readonly output: Output;
}

export interface RunOptions<F extends AnyFact = Fact> {
  /** The reports that were asked for: when the readers of all of them have gone away, the run ends. */
  readonly reports: readonly OpenReporter<F>[];
  /** Reporters beside them that keep no run alive (progress, failures). They get each fact first. */
  readonly companions: readonly Reporter<F>[];
  /** How many inputs the run has. */
  readonly inputs: number;
  readonly failOn: Severity;
  /** Aborted when the user has interrupted the run. */
  readonly interrupted: AbortSignal;
}

/**
 * Exit code of a run whose reports nobody reads any more: what has been found counts, and what has not been
 * read has not been checked.
 */
function codeOfUnfinishedRun(violated: boolean, failed: boolean): number {
  if (violated) return ExitCode.violations;
  return failed ? ExitCode.unreadable : ExitCode.inconclusive;
}

/** The end of a run that the user has cut short has an exit code of its own. */
function asInterrupted<F extends AnyFact>(fact: F): F {
  if (fact.type === 'diff') return { ...fact, exitCode: ExitCode.interrupted };
  return fact.type === 'run-end' ? { ...fact, run: { ...fact.run, exitCode: ExitCode.interrupted } } : fact;
}

/**
 * Gives every fact of a run to the reporters, one after the other.
 * @returns the exit code of the run
 */
export async function runReporters<F extends AnyFact>(
  facts: AsyncIterable<F>,
  options: RunOptions<F>,
): Promise<number> {
  const { reports, companions, interrupted } = options;
  let finished: number | undefined;
  let unread = options.inputs;
  let violated = false;
  let failed = false;
  for await (const given of facts) {
    const fact = interrupted.aborted ? asInterrupted(given) : given;
    if (fact.type === 'run-end') finished = fact.run.exitCode;
    if (fact.type === 'diff') finished = fact.exitCode;
    if (fact.type === 'trace-end' || fact.type === 'trace-failed') unread -= 1;
    failed ||= fact.type === 'trace-failed';
    violated ||=
      fact.type === 'finding' && severities.indexOf(fact.finding.severity) >= severities.indexOf(options.failOn);
    for (const companion of companions) await companion.fact(fact);
    for (const { reporter, output } of reports) if (!output.closed) await reporter.fact(fact);
    // With every input read, the run's own answer is about to come.
    if (unread > 0 && reports.every(({ output }) => output.closed)) break;
  }
  for (const companion of companions) await companion.end();
  for (const { reporter, output } of reports) {
    if (!output.closed) await reporter.end();
    await output.close();
  }
  if (interrupted.aborted) return ExitCode.interrupted;
  return finished ?? codeOfUnfinishedRun(violated, failed);
}
