import { type Input, stats } from '../../index.js';
import { inputFormats } from '../../input/index.js';
import type { Output } from '../../report/output.js';
import type { Reporter } from '../../report/reporter.js';
import { statsTextReporter } from '../../report/text/stats.js';
import { createTheme } from '../../report/text/theme.js';
import type { StatsFact } from '../../stats/facts.js';
import type { StatsCommandOptions } from '../stats.js';
import type { CommandContext } from '../support/context.js';
import { refuseStandardInputTwice, refuseUnknownFormat } from '../support/inputs.js';
import { runWithoutVerdict } from './without-verdict.js';

/** The schema library comes with the JSON report, so that is loaded only where it is asked for. */
async function createReporter(
  format: StatsCommandOptions['format'],
  output: Output,
  version: string,
): Promise<Reporter<StatsFact>> {
  if (format === 'json') {
    const { statsJsonReporter } = await import('../../report/json/stats.js');
    return statsJsonReporter(output, version);
  }
  return statsTextReporter(output, await createTheme(output.color));
}

/** `timervet stats`. @returns the exit code */
export async function runStats(
  paths: readonly string[],
  options: StatsCommandOptions,
  context: CommandContext,
): Promise<number> {
  refuseStandardInputTwice(paths);
  refuseUnknownFormat(options.inputFormat, inputFormats);
  const output = context.stdout();
  const { format, ...settings } = options;
  const reporter = await createReporter(format, output, context.version);
  const facts = (inputs: Input[]) => stats(inputs, settings);
  return runWithoutVerdict({ paths, facts, reporter, output, tellsFailures: format !== 'text' }, context);
}
