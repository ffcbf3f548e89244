import { type Command, Option } from 'commander';
import { type Severity, severities } from '../rules/rule.js';
import type { CommandContext } from './support/context.js';

/** Options of `timervet diff` as the command line gives them. */
export interface DiffCommandOptions {
  readonly format: 'text' | 'json';
  readonly failSeverity: Severity;
  readonly allowLoss?: boolean;
  readonly inputFormat?: string;
}

const help = `
OLD and NEW are two recordings: before and after a patch, of two kernels, of two hosts. Both are checked; then findings are
compared by fingerprint. Times, pids, addresses and the numbers of vcpus do not matter.

Exit codes:
  0    nothing new is wrong
  1    a new finding at or above the failing severity
  2    wrong usage
  3    a recording could not be read
  4    inconclusive: of a recording nothing was checked, or records were lost in it (--allow-loss accepts that)
  70   internal error
  130  interrupted

Examples:
  $ timervet diff before.dat after.dat
  $ timervet diff --format json before.dat after.dat > diff.json`;

/** `timervet diff OLD NEW` */
export function registerDiff(program: Command, context: CommandContext): void {
  program
    .command('diff')
    .summary('compare two recordings: what did a change do to the timer code')
    .description('Compares two recordings: findings, behaviour, cost and latency of old and new timer handling.')
    .argument('<old>', "recording before the change; '-' is standard input")
    .argument('<new>', 'recording after the change')
    .addOption(new Option('--format <name>', 'how to print the difference').choices(['text', 'json']).default('text'))
    .addOption(
      new Option('--fail-severity <severity>', 'least severity of a new finding that fails')
        .choices(severities)
        .default('warning'),
    )
    .option('--input-format <id>', 'format of the recordings (default: recognised by their content)')
    .option('--allow-loss', 'accept lost events: they no longer make the diff inconclusive')
    .addHelpText('after', help)
    .showHelpAfterError("hint: 'timervet diff --help' shows usage and examples")
    .action(async (old: string, next: string, options: DiffCommandOptions) => {
      const { runDiff } = await import('./run/index.js');
      context.exitCode = await runDiff(old, next, options, context);
    });
}
