import type { DiffFact } from '../../diff/facts.js';
import { diff, fileInput, type Input } from '../../index.js';
import { inputFormats } from '../../input/index.js';
import { failureLines } from '../../report/failures.js';
import type { Output } from '../../report/output.js';
import { progressLine } from '../../report/progress.js';
import type { Reporter } from '../../report/reporter.js';
import { diffTextReporter } from '../../report/text/diff/reporter.js';
import { createTheme } from '../../report/text/theme.js';
import type { DiffCommandOptions } from '../diff.js';
import { lateOptimisation } from '../support/compiler.js';
import type { CommandContext } from '../support/context.js';
import { refuseStandardInputTwice, refuseUnknownFormat } from '../support/inputs.js';
import { endingAt, interruptible } from '../support/interrupt.js';
import { runReporters } from '../support/run-reporters.js';

/** The schema library comes with the JSON report, so that is loaded only where it is asked for. */
async function createReporter(
  format: DiffCommandOptions['format'],
  output: Output,
  version: string,
): Promise<Reporter<DiffFact>> {
  if (format === 'json') {
    const { diffJsonReporter } = await import('../../report/json/diff/reporter.js');
    return diffJsonReporter(output, version);
  }
  return diffTextReporter(output, await createTheme(output.color));
}

/** `timervet diff`. @returns the exit code */
export async function runDiff(
  old: string,
  next: string,
  options: DiffCommandOptions,
  context: CommandContext,
): Promise<number> {
  const paths = [old, next];
  refuseStandardInputTwice(paths);
  refuseUnknownFormat(options.inputFormat, inputFormats);
  const output = context.stdout();
  const { format, failSeverity, ...settings } = options;
  const reporter = await createReporter(format, output, context.version);
  return interruptible((signal) => {
    const [first, second] = endingAt(signal, paths.map(fileInput)) as [Input, Input];
    return runReporters(diff(first, second, { ...settings, failOn: failSeverity }), {
      reports: [{ reporter, output }],
      companions: [
        lateOptimisation(paths),
        ...(context.interactive ? [progressLine(context.stderr())] : []),
        ...(format === 'text' ? [] : [failureLines(context.stderr())]),
      ],
      inputs: 2,
      failOn: failSeverity,
      interrupted: signal,
    });
  });
}
