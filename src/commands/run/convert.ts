import type { ConditionSummary } from '../../check/facts.js';
import { type Conversion, convert, fileInput, InputError } from '../../index.js';
import { inputFormats } from '../../input/index.js';
import { NativeWriter } from '../../report/native/writer.js';
import type { Output } from '../../report/output.js';
import { counted, pathName } from '../../report/place.js';
import { printable } from '../../report/printable.js';
import type { ConvertCommandOptions } from '../convert.js';
import type { CommandContext } from '../support/context.js';
import { openDestination, refuseToOverwrite } from '../support/destinations.js';
import { ExitCode } from '../support/exit-codes.js';
import { refuseUnknownFormat } from '../support/inputs.js';
import { endingAt, interruptible } from '../support/interrupt.js';

/** Names of records that are listed one by one; the rest is only counted. */
const shownNames = 8;

function detailWords(condition: ConditionSummary): string {
  const details = Object.entries(condition.details).sort((a, b) => b[1] - a[1]);
  if (details.length === 0) return '';
  const shown = details.slice(0, shownNames).map(([detail, count]) => `${detail} ${count}`);
  const rest = details.length - shown.length;
  return `: ${shown.join(', ')}${rest > 0 ? `, and ${rest} more` : ''}`;
}

/** What was written, and what of the input is not in it. */
function summaryLines(path: string, conversion: Conversion): string[] {
  const { events, records, format } = conversion;
  return [
    `${pathName(path)} (${format}): ${counted(events, 'event')} of ${counted(records, 'record')} written`,
    ...conversion.conditions().map((item) => `  ${item.severity}  ${item.count}  ${item.kind}${detailWords(item)}`),
  ].map(printable);
}

/** `timervet convert`. @returns the exit code */
export async function runConvert(
  path: string,
  options: ConvertCommandOptions,
  context: CommandContext,
): Promise<number> {
  refuseUnknownFormat(options.inputFormat, inputFormats);
  refuseToOverwrite([path], [options.output], 'converted trace');
  return interruptible(async (signal) => {
    const [input] = endingAt(signal, [fileInput(path)]);
    const writer = new NativeWriter(options.to);
    // Opened with the first text, so that an input that cannot be read does not empty an older file.
    let output: Output | undefined;
    const flush = async () => {
      const text = writer.taken();
      if (text === '') return;
      output ??= openDestination({ file: options.output }, context.stdout);
      await output.write(text);
    };
    let conversion: Conversion | undefined;
    let failure: string | undefined;
    try {
      for await (conversion of convert(input!, writer, options.inputFormat)) {
        await flush();
        if (output?.closed === true) return ExitCode.clean;
      }
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      failure = error.message;
      await flush();
    } finally {
      await output?.close();
    }
    if (options.quiet !== true && conversion !== undefined) {
      if (signal.aborted) await context.stderr().write('interrupted: the trace ends there\n');
      await context.stderr().write(`${summaryLines(path, conversion).join('\n')}\n`);
    }
    if (failure !== undefined) {
      await context.stderr().write(`error: ${printable(pathName(path))}: ${printable(failure)}\n`);
      return ExitCode.unreadable;
    }
    return signal.aborted ? ExitCode.interrupted : ExitCode.clean;
  });
}
