import type { Fact } from '../../check/facts.js';
import { ExitCode } from '../support/exit-codes.js';

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
