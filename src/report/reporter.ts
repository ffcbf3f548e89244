import type { Fact } from '../check/facts.js';
import type { Severity } from '../rules/rule.js';
import type { Output } from './output.js';

/**
 * A consumer of the facts of one run. It knows nothing of how they were computed, so a recorded stream can be
 * replayed into it.
 */
export interface Reporter {
  /** Takes the next fact; the next one is not given before the promise has resolved. */
  fact(fact: Fact): void | Promise<void>;
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

/** Names of the report formats. */
export const reportFormats = ['text', 'json', 'ktap'] as const;

export type ReportFormat = (typeof reportFormats)[number];

/** Makes a reporter; only the modules of the format asked for are loaded. */
export async function createReporter(
  format: ReportFormat,
  output: Output,
  options: ReporterOptions,
): Promise<Reporter> {
  switch (format) {
    case 'text': {
      const [{ textReporter }, { createTheme }] = await Promise.all([
        import('./text/reporter.js'),
        import('./text/theme.js'),
      ]);
      return textReporter(output, await createTheme(output.color), options);
    }
    case 'json': {
      const { jsonReporter } = await import('./json/reporter.js');
      return jsonReporter(output, options);
    }
    case 'ktap': {
      const { ktapReporter } = await import('./ktap/reporter.js');
      return ktapReporter(output, options);
    }
  }
}
