import type { Fact } from '../check/facts.js';
import type { Severity } from '../rules/rule.js';
import type { ReportFormat } from './formats.js';
import { jsonReporter } from './json/reporter.js';
import { ktapReporter } from './ktap/reporter.js';
import type { Output } from './output.js';
import { textReporter } from './text/reporter.js';
import { createTheme } from './text/theme.js';

/** A fact of any run: those of a check, and what a command shows beside them. */
export type AnyFact = Fact | { readonly type: 'moment' } | { readonly type: 'diff'; readonly exitCode: number };

/**
 * A consumer of the facts of one run. It knows nothing of how they were computed, so a recorded stream can be
 * replayed into it.
 */
export interface Reporter<F extends { readonly type: string } = Fact> {
  /** Takes the next fact; the next one is not given before the promise has resolved. */
  fact(fact: F): void | Promise<void>;
  /** No fact follows. Without a `run-end` before it the run was cut short. */
  end(): void | Promise<void>;
}

/** What a reporter knows of a run before its first fact. */
export interface ReporterOptions {
  /** Version of the tool. */
  readonly version: string;
  /** How many inputs the run has. */
  readonly inputs: number;
  /** Least severity that fails a run, see `CheckOptions.failOn`. */
  readonly failOn: Severity;
  /** `quiet`: verdicts only. `verbose`: also why evaluations were undecided, and coverage by vcpu. */
  readonly detail: 'quiet' | 'normal' | 'verbose';
}

/** Makes a reporter. */
export async function createReporter(
  format: ReportFormat,
  output: Output,
  options: ReporterOptions,
): Promise<Reporter> {
  switch (format) {
    case 'text':
      return textReporter(output, await createTheme(output.color), options);
    case 'json':
      return jsonReporter(output, options);
    case 'ktap':
      return ktapReporter(output, options);
  }
}
