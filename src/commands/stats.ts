import { type Command, Option } from 'commander';
import { type ModelId, modelIds } from '../models/model.js';
import type { Grouping } from '../stats/facts.js';
import type { CommandContext } from './support/context.js';

/** Options of `timervet stats` as the command line gives them. */
export interface StatsCommandOptions {
  readonly by: Grouping;
  readonly format: 'text' | 'json';
  readonly model?: ModelId;
  readonly host?: 'vhe' | 'nvhe';
  readonly inputFormat?: string;
}

const help = `
Of each vcpu (or VM, or CPU): how often it was entered, loaded, put, preempted and migrated; where its time went; exits by
reason with the time until the next entry; interrupts of its timers by where it was; how long its timers' steps took, from a
deadline to the entry. Shares are of the time in which the vcpu is known. No rule is checked.

Exit codes:
  0    every input could be read
  2    wrong usage
  3    an input could not be read
  70   internal error
  130  interrupted; what was read until then is shown

Examples:
  $ timervet stats trace.dat
  $ timervet stats --by cpu trace.dat
  $ timervet stats --format json traces/*.dat`;

/** `timervet stats TRACE...` */
export function registerStats(program: Command, context: CommandContext): void {
  program
    .command('stats')
    .summary('count and measure what vcpus and their timers do')
    .description('Counts and measures what vcpus and their timers do: exits, time by place, interrupts, latencies.')
    .argument('<trace...>', "recordings in any supported format; '-' is standard input")
    .addOption(new Option('--by <what>', 'what to take them by').choices(['vcpu', 'vm', 'cpu']).default('vcpu'))
    .addOption(new Option('--format <name>', 'how to print them').choices(['text', 'json']).default('text'))
    .addOption(new Option('--model <id>', 'kernel model (default: chosen by the trace)').choices(modelIds))
    .addOption(new Option('--host <type>', 'host type (default: chosen by the trace)').choices(['vhe', 'nvhe']))
    .option('--input-format <id>', 'format of the recordings (default: recognised by their content)')
    .addHelpText('after', help)
    .showHelpAfterError("hint: 'timervet stats --help' shows usage and examples")
    .action(async (paths: string[], options: StatsCommandOptions) => {
      const { runStats } = await import('./run/index.js');
      context.exitCode = await runStats(paths, options, context);
    });
}
