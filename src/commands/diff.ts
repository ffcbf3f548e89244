import { type Command, InvalidArgumentError, Option } from 'commander';
import { modelIds } from '../models/model.js';
import type { CommandContext } from './support/context.js';
import { UsageError } from './support/usage-error.js';

/** Options of `timervet diff` as the command line gives them. */
export interface DiffCommandOptions {
  /** Two designs, to be shown the guests of the recordings. */
  readonly models?: readonly [string, string];
  /** With `models`: kind of host on which both designs are run. */
  readonly host?: 'vhe' | 'nvhe';
  readonly format: 'text' | 'json';
  readonly expect?: string;
  readonly failOn?: readonly string[];
  readonly allowLoss?: boolean;
  readonly inputFormat?: string;
}

const help = `
OLD and NEW are two recordings: before and after a patch, of two kernels, of two hosts. Both are checked; then findings are
compared by fingerprint. Times, pids, addresses and the numbers of vcpus do not matter.

With --models A,B the recordings are shown to two designs instead: what the guest, the scheduler and userspace did is played
to the timer code of both, on the kind of host that recorded or the one of --host. Shown is what each makes of it: the promises
of the RFC with their figures, hazards (rules that fail under one design for this very schedule), interrupts and levels,
operations by kind of event, the first difference, and everything that had to be assumed. 'timervet models' lists the designs.

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
  $ timervet diff --format json before.dat after.dat > diff.json
  $ timervet diff --models world-switch,rfc-load-put trace.dat
  $ timervet diff --models world-switch,load-put-4.16 --host vhe traces/*.dat`;

/** @throws InvalidArgumentError unless it names two models */
function parseModels(text: string): readonly [string, string] {
  const names = text.split(',').map((name) => name.trim());
  const [first, second] = names;
  if (names.length !== 2 || first === undefined || second === undefined)
    throw new InvalidArgumentError('Expected two models, separated by a comma.');
  const unknown = names.find((name) => !(modelIds as readonly string[]).includes(name));
  if (unknown !== undefined)
    throw new InvalidArgumentError(`There is no model '${unknown}': models are ${modelIds.join(', ')}.`);
  return [first, second];
}

/** `timervet diff OLD NEW` */
export function registerDiff(program: Command, context: CommandContext): void {
  program
    .command('diff')
    .summary('compare two recordings: what did a change do to the timer code')
    .description('Compares two recordings: findings, behaviour, cost and latency of old and new timer handling.')
    .argument('<old>', "recording before the change; '-' is standard input")
    .argument('[new...]', 'recording after the change; with --models any number of further recordings')
    .addOption(new Option('--models <a,b>', 'show the recordings to two designs instead').argParser(parseModels))
    .addOption(
      new Option('--host <type>', 'with --models: host type (default: that of the recording)').choices(['vhe', 'nvhe']),
    )
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
    .action(async (old: string, others: string[], { models, host, ...options }: DiffCommandOptions) => {
      const { runDiff, runDiffModels } = await import('./run/index.js');
      if (models !== undefined) {
        const settings = { ...options, ...(host !== undefined && { host }) };
        context.exitCode = await runDiffModels([old, ...others], models, settings, context);
        return;
      }
      const [next] = others;
      if (next === undefined || others.length > 1)
        throw new UsageError(`expected two recordings, found ${others.length + 1}`, 'give the old one and the new one');
      if (host !== undefined)
        throw new UsageError('--host goes with --models', 'leave it out: the recordings show their hosts');
      context.exitCode = await runDiff(old, next, options, context);
    });
}
