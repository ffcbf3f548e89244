import type { ModelsDiffFact } from '../../diff/models/facts.js';
import { diffModels, fileInput } from '../../index.js';
import { inputFormats } from '../../input/index.js';
import { failureLines } from '../../report/failures.js';
import type { Output } from '../../report/output.js';
import { progressLine } from '../../report/progress.js';
import type { Reporter } from '../../report/reporter.js';
import { modelsDiffTextReporter } from '../../report/text/diff-models/reporter.js';
import { createTheme } from '../../report/text/theme.js';
import type { DiffCommandOptions } from '../diff.js';
import { lateOptimisation } from '../support/compiler.js';
import type { CommandContext } from '../support/context.js';
import { ExitCode } from '../support/exit-codes.js';
import { refuseStandardInputTwice, refuseUnknownFormat } from '../support/inputs.js';
import { endingAt, interruptible } from '../support/interrupt.js';
import { runReporters } from '../support/run-reporters.js';
import { withoutVerdict } from './without-verdict.js';

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
  const code = await interruptible((signal) => {
    return runReporters(withoutVerdict(diffModels(endingAt(signal, paths.map(fileInput)), models, settings)), {
      reports: [{ reporter, output }],
      companions: [
        lateOptimisation(paths),
        ...(context.interactive ? [progressLine(context.stderr())] : []),
        ...(format === 'text' ? [] : [failureLines(context.stderr())]),
      ],
      inputs: paths.length,
      failOn: 'error',
      interrupted: signal,
    });
  });
  // A reader of the output that goes away is no verdict here.
  return code === ExitCode.unreadable || code === ExitCode.interrupted ? code : ExitCode.clean;
}
