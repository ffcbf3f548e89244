import { type Command, Option } from 'commander';
import type { Conversion } from '../check/convert.js';
import type { ConditionSummary } from '../check/facts.js';
import { InputError } from '../input/errors.js';
import { type NativeForm, NativeWriter, nativeForms } from '../report/native/writer.js';
import type { Output } from '../report/output.js';
import { counted, pathName } from '../report/place.js';
import { printable } from '../report/printable.js';
import type { CommandContext } from './support/context.js';
import { openDestination, refuseToOverwrite } from './support/destinations.js';
import { ExitCode } from './support/exit-codes.js';
import { refuseUnknownFormat } from './support/inputs.js';
import { endingAt, interruptible } from './support/interrupt.js';

interface Options {
  readonly to: NativeForm;
  readonly output: string;
  readonly inputFormat?: string;
  readonly quiet?: boolean;
}

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

async function runConvert(path: string, options: Options, context: CommandContext): Promise<number> {
  const [{ convert, fileInput }, { inputFormats }] = await Promise.all([
    import('../index.js'),
    import('../input/index.js'),
  ]);
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

const help = `
The native notation has one canonical timer event a row, and beside the rows what is known of the recording, so that
'timervet check' says the same of the converted trace as of the recording. It is written as it is read: standard
input ('-') may never end. Records that no rule uses are left out; a summary on stderr says how many, what was lost,
and what was strange.

Exit codes:
  0    converted
  2    wrong usage
  3    the input could not be read; what came before the place was written
  70   internal error
  130  interrupted; the trace ends there

Examples:
  $ timervet convert trace.txt --to csv -o trace.csv
  $ timervet convert trace.txt.gz --to jsonl | jq -c 'select(.event == "save")'
  $ cat /sys/kernel/tracing/trace_pipe | timervet convert - --to csv | grep ,set_active,`;

/** `timervet convert TRACE --to csv|jsonl` */
export function registerConvert(program: Command, context: CommandContext): void {
  program
    .command('convert')
    .summary('write the timer events of a recording in the native notation')
    .description('Writes the canonical timer events of a recording in the native notation, as CSV or JSON Lines.')
    .argument('<trace>', "a recording in any supported format; '-' is standard input")
    .addOption(new Option('--to <form>', 'form of the notation').choices(nativeForms).makeOptionMandatory())
    .option('-o, --output <file>', 'file to write', '-')
    .option('--input-format <id>', 'format of the recording (default: recognised by its content)')
    .option('-q, --quiet', 'no summary')
    .addHelpText('after', help)
    .showHelpAfterError("hint: 'timervet convert --help' shows usage and examples")
    .action(async (path: string, options: Options) => {
      context.exitCode = await runConvert(path, options, context);
    });
}
