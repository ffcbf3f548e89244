import { type Command, Option } from 'commander';
import type { CommandContext } from './support/context.js';

/** Options of `timervet info` as the command line gives them. */
export interface InfoCommandOptions {
  readonly format: 'text' | 'json';
  readonly inputFormat?: string;
}

const help = `
A trace is read as 'timervet check' reads it, so what is said here is what a check goes by; what its rules find is not
shown. Of each rule it says whether the trace can feed it, and where not, which tracepoint or probe would: the
commands at the end make a recording that has all that this one has, and what it lacks.

Exit codes:
  0    every input could be read
  2    wrong usage
  3    an input could not be read
  70   internal error
  130  interrupted; what was read until then is shown

Examples:
  $ timervet info trace.dat
  $ timervet info --format json traces/*.dat
  $ cat /sys/kernel/tracing/trace | timervet info -`;

/** `timervet info TRACE...` */
export function registerInfo(program: Command, context: CommandContext): void {
  program
    .command('info')
    .summary('describe recordings: what they hold, and what they can show')
    .description('Describes recordings: format, CPUs, events, vcpus, kernel model, and which rules they can feed.')
    .argument('<trace...>', "recordings in any supported format; '-' is standard input")
    .addOption(new Option('--format <name>', 'how to print it').choices(['text', 'json']).default('text'))
    .option('--input-format <id>', 'format of the recordings (default: recognised by their content)')
    .addHelpText('after', help)
    .showHelpAfterError("hint: 'timervet info --help' shows usage and examples")
    .action(async (paths: string[], options: InfoCommandOptions) => {
      const { runInfo } = await import('./run/index.js');
      context.exitCode = await runInfo(paths, options, context);
    });
}
