import type { ModelsDiffFact } from '../../diff/models/facts.js';
import { diffModels, type Input } from '../../index.js';
import { inputFormats } from '../../input/index.js';
import type { Output } from '../../report/output.js';
import type { Reporter } from '../../report/reporter.js';
import { modelsDiffTextReporter } from '../../report/text/diff-models/reporter.js';
import { createTheme } from '../../report/text/theme.js';
import type { DiffCommandOptions } from '../diff.js';
import type { CommandContext } from '../support/context.js';
import { refuseStandardInputTwice, refuseUnknownFormat } from '../support/inputs.js';
import { runWithoutVerdict } from './without-verdict.js';

/** The schema library comes with the JSON report, so that is loaded only where it is asked for. */
async function createReporter(
  format: DiffCommandOptions['format'],
  output: Output,
  version: string,
): Promise<Reporter<ModelsDiffFact>> {
  if (format === 'json') {
    const { modelsDiffJsonReporter } = await import('../../report/json/diff-models/reporter.js');
    return modelsDiffJsonReporter(output, version);
  }
  return modelsDiffTextReporter(output, await createTheme(output.color));
}

/** `timervet diff --models`. @returns the exit code */
export async function runDiffModels(
  paths: readonly string[],
  models: readonly [string, string],
  options: Pick<DiffCommandOptions, 'format' | 'host' | 'inputFormat'>,
  context: CommandContext,
): Promise<number> {
  refuseStandardInputTwice(paths);
  refuseUnknownFormat(options.inputFormat, inputFormats);
  const output = context.stdout();
  const { format, host, inputFormat } = options;
  const settings = { ...(host !== undefined && { host }), ...(inputFormat !== undefined && { inputFormat }) };
  const reporter = await createReporter(format, output, context.version);
  const facts = (inputs: Input[]) => diffModels(inputs, models, settings);
  return runWithoutVerdict({ paths, facts, reporter, output, tellsFailures: format !== 'text' }, context);
}
