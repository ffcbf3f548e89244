import { type Command, Option } from 'commander';
import { type NativeForm, nativeForms } from '../report/formats.js';
import type { CommandContext } from './support/context.js';

/** Options of `timervet convert` as the command line gives them. */
export interface ConvertCommandOptions {
  readonly to: NativeForm;
  readonly output: string;
  readonly inputFormat?: string;
  readonly quiet?: boolean;
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
  $ timervet convert trace.dat --to csv -o trace.csv
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
    .action(async (path: string, options: ConvertCommandOptions) => {
      const { runConvert } = await import('./run/index.js');
      context.exitCode = await runConvert(path, options, context);
    });
}
