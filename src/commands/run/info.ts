import type { Fact } from '../../check/facts.js';
import { check, fileInput } from '../../index.js';
import { inputFormats } from '../../input/index.js';
import { failureLines } from '../../report/failures.js';
import type { Output } from '../../report/output.js';
import { progressLine } from '../../report/progress.js';
import type { Reporter } from '../../report/reporter.js';
import { infoTextReporter } from '../../report/text/info.js';
import { createTheme } from '../../report/text/theme.js';
import type { InfoCommandOptions } from '../info.js';
import { lateOptimisation } from '../support/compiler.js';
import type { CommandContext } from '../support/context.js';
import { ExitCode } from '../support/exit-codes.js';
import { refuseStandardInputTwice, refuseUnknownFormat } from '../support/inputs.js';
import { endingAt, interruptible } from '../support/interrupt.js';
import { runReporters } from '../support/run-reporters.js';
import { withoutVerdict } from './without-verdict.js';

/** The schema library comes with the JSON report, so that is loaded only where it is asked for. */
async function createReporter(
  format: InfoCommandOptions['format'],
  output: Output,
  version: string,
): Promise<Reporter> {
  if (format === 'json') {
    const { infoJsonReporter } = await import('../../report/json/info.js');
    return infoJsonReporter(output, version);
  }
  return infoTextReporter(output, await createTheme(output.color));
}

/** What the rules found is no matter of this command. */
async function* readingOf(facts: AsyncIterable<Fact>): AsyncGenerator<Fact> {
  for await (const fact of facts) if (fact.type !== 'finding') yield fact;
}

/** `timervet info`. @returns the exit code */
export async function runInfo(
  paths: readonly string[],
  options: InfoCommandOptions,
  context: CommandContext,
): Promise<number> {
  refuseStandardInputTwice(paths);
  refuseUnknownFormat(options.inputFormat, inputFormats);
  const output = context.stdout();
  const reporter = await createReporter(options.format, output, context.version);
  const code = await interruptible((signal) => {
    const settings = { ...(options.inputFormat !== undefined && { inputFormat: options.inputFormat }) };
    return runReporters(withoutVerdict(readingOf(check(endingAt(signal, paths.map(fileInput)), settings))), {
      reports: [{ reporter, output }],
      companions: [
        lateOptimisation(paths),
        ...(context.interactive ? [progressLine(context.stderr())] : []),
        ...(options.format === 'text' ? [] : [failureLines(context.stderr())]),
      ],
      inputs: paths.length,
      failOn: 'error',
      interrupted: signal,
    });
  });
  // A reader of the output that goes away is no verdict here.
  return code === ExitCode.unreadable || code === ExitCode.interrupted ? code : ExitCode.clean;
}
