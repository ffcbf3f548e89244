import { type Command, InvalidArgumentError, Option } from 'commander';
import { frequencyRange } from '../events/native-facts.js';
import { parseU64 } from '../events/u64.js';
import { type ModelId, modelIds } from '../models/model.js';
import { type Severity, severities } from '../rules/rule.js';
import type { CommandContext } from './support/context.js';
import { addDestination, type Destination } from './support/destinations.js';
import { addRuleOverride, type RuleOverrides } from './support/rule-options.js';

/** Options of `timervet check` as the command line gives them. */
export interface CheckCommandOptions {
  readonly format?: readonly Destination[];
  readonly rule?: RuleOverrides;
  readonly failOn: Severity;
  readonly maxFindings: number;
  readonly maxLatency: number;
  readonly freq?: number;
  readonly cntvoff?: bigint;
  readonly model?: ModelId;
  readonly host?: 'vhe' | 'nvhe';
  readonly inputFormat?: string;
  readonly allowLoss?: boolean;
  readonly verbose?: boolean;
  readonly quiet?: boolean;
}

function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('Expected a number from 1.');
  return value;
}

function hertz(text: string): number {
  const value = Number(text);
  if (!(value >= frequencyRange.min && value <= frequencyRange.max))
    throw new InvalidArgumentError(`Expected a frequency in Hz, ${frequencyRange.min} to ${frequencyRange.max}.`);
  return value;
}

function counterOffset(text: string): bigint {
  const halves = parseU64(text);
  if (halves === undefined) throw new InvalidArgumentError('Expected a count from 0 to 0xffffffffffffffff.');
  return BigInt(text);
}

const help = `
A report of a file begins with its verdict. Standard input ('-') may never end: its findings are shown as they
occur, the verdict follows at its end.

Exit codes:
  0    clean: rules were exercised, none was violated at the failing severity, nothing was lost
  1    violations at or above the failing severity
  2    wrong usage
  3    an input could not be read
  4    inconclusive: nothing was checked, or events were lost (see --allow-loss)
  70   internal error
  130  interrupted; the report covers what was read until then
When the reader of the report goes away (| head), the run ends quietly with 1 if a violation had been found,
3 if an input had been unreadable, else 4, unless every input had been read.

Examples:
  $ timervet check trace.dat
  $ cat /sys/kernel/tracing/trace_pipe | timervet check -
  $ timervet check --format ktap --format json=report.json traces/*.txt
  $ timervet check --rule ctl-bits-valid=off --fail-on error trace.txt`;

/** `timervet check TRACE...` */
export function registerCheck(program: Command, context: CommandContext): void {
  program
    .command('check')
    .summary('replay recordings and check the invariants of the timer code')
    .description('Replays recorded vcpu timer events through a model of the kernel and checks its invariants.')
    .argument('<trace...>', "recordings in any supported format; '-' is standard input")
    .option(
      '--format <name[=file]>',
      'report as text, json or ktap, to a file or stdout; repeatable (default: text)',
      addDestination,
    )
    .option('--rule <id=severity>', 'set a rule to off, info, warning or error; repeatable', addRuleOverride)
    .addOption(new Option('--fail-on <severity>', 'least severity that fails').choices(severities).default('warning'))
    .option('--max-findings <count>', 'most distinct findings reported of a trace', positiveInteger, 100)
    .option(
      '--max-latency <ms>',
      'an interrupt or wakeup later than this is missing, milliseconds',
      positiveInteger,
      100,
    )
    .option('--freq <hz>', 'frequency of the system counter, Hz (default: inferred from the trace)', hertz)
    .option(
      '--cntvoff <count>',
      'CNTVOFF of all guests: makes one counter of their virtual and physical timers (default: inferred)',
      counterOffset,
    )
    .addOption(new Option('--model <id>', 'kernel model (default: chosen by the trace)').choices(modelIds))
    .addOption(new Option('--host <type>', 'host type (default: chosen by the trace)').choices(['vhe', 'nvhe']))
    .option('--input-format <id>', 'format of the recordings (default: recognised by their content)')
    .option('--allow-loss', 'accept lost events: they no longer make a trace inconclusive')
    .addOption(
      new Option('-v, --verbose', 'also why evaluations were undecided, and coverage by vcpu').conflicts('quiet'),
    )
    .option('-q, --quiet', 'verdicts only')
    .addHelpText('after', help)
    .showHelpAfterError("hint: 'timervet check --help' shows usage and examples")
    .action(async (paths: string[], options: CheckCommandOptions) => {
      const { runCheck } = await import('./run/check.js');
      context.exitCode = await runCheck(paths, options, context);
    });
}
