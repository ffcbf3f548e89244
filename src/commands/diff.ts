import { type Command, Option } from 'commander';
import type { CommandContext } from './support/context.js';

/** Options of `timervet diff` as the command line gives them. */
export interface DiffCommandOptions {
  readonly format: 'text' | 'json';
  readonly expect?: string;
  readonly failOn?: readonly string[];
  readonly allowLoss?: boolean;
  readonly inputFormat?: string;
}

const help = `
OLD and NEW are two recordings: before and after a patch, of two kernels, of two hosts. Both are checked; then findings are
compared by fingerprint. Times, pids, addresses and the numbers of vcpus do not matter.

--expect FILE says what the change is meant to do. What of it is met, what is not, and every other difference is told:
  { "expect": [
      { "finding": "irq-not-repeated-while-level-high", "is": "gone" },
      { "event": "update_irq 1", "occurs": "never", "after": ["exit"], "says": "update_irq before exit" },
      { "cost": "distributor write", "occurs": "never", "at": ["entry"] },
      { "cost": "cntvoff_write", "occurs": "only", "at": ["load", "put"] },
      { "rate": "exits", "per": "tick", "is": "not higher", "by": 10 },
      { "latency": "deadline-to-entry", "quantile": "p99", "is": "not higher" } ] }

--fail-on takes, as often as wanted:
  info, warning, error   new findings of this severity or a higher one (default: warning)
  rate:NAME>10%          exits, 'exits WFx', interrupts, 'update_irq 1', … per tick; rate:NAME/entry>10% per entry, /exit per exit
  cost>5%                operations that hardware and hrtimers have to do, per tick; cost:NAME>5% of a kind or group of them,
                         cost:NAME@load>5% at each load (or entry, exit, put, block, interrupt, …)
  p99:NAME>20%           a latency's quantile, p50, p90 or p99: deadline-to-entry, wakeup-to-load, …
A figure fails when it grows by more than that, beyond noise, and when it cannot be evaluated.

Exit codes:
  0    nothing new is wrong
  1    a new finding that fails, an expectation that is not met, or a figure above its limit
  2    wrong usage, or a file of expectations that cannot be used
  3    a recording could not be read
  4    inconclusive: of a recording nothing was checked, or records were lost in it (--allow-loss accepts that)
  70   internal error
  130  interrupted

Examples:
  $ timervet diff before.dat after.dat
  $ timervet diff --expect patch.json --fail-on 'rate:exits>10%' before.dat after.dat
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
    .option('--expect <file>', 'what the change is meant to do (JSON, see schemas/expect.schema.json)')
    .addOption(
      new Option(
        '--fail-on <what>',
        'severity of new findings, or a figure that must not grow (may be repeated)',
      ).argParser((text: string, earlier: readonly string[] | undefined) => [...(earlier ?? []), text]),
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
