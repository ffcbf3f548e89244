import { type Command, Option } from 'commander';
import type { Fact } from '../check/facts.js';
import { failureLines } from '../report/failures.js';
import type { Output } from '../report/output.js';
import { progressLine } from '../report/progress.js';
import type { Reporter } from '../report/reporter.js';
import type { CommandContext } from './support/context.js';
import { ExitCode } from './support/exit-codes.js';
import { refuseStandardInputTwice, refuseUnknownFormat } from './support/inputs.js';
import { endingAt, interruptible } from './support/interrupt.js';
import { runReporters } from './support/run-reporters.js';

interface Options {
  readonly format: 'text' | 'json';
  readonly inputFormat?: string;
}

async function createReporter(format: Options['format'], output: Output, version: string): Promise<Reporter> {
  if (format === 'json') {
    const { infoJsonReporter } = await import('../report/json/info.js');
    return infoJsonReporter(output, version);
  }
  const [{ infoTextReporter }, { createTheme }] = await Promise.all([
    import('../report/text/info.js'),
    import('../report/text/theme.js'),
  ]);
  return infoTextReporter(output, await createTheme(output.color));
}

/** The facts of a check of which only the reading counts: what the rules found is no matter of this command. */
async function* readingOf(facts: AsyncIterable<Fact>): AsyncGenerator<Fact> {
  for await (const fact of facts) {
    if (fact.type === 'finding') continue;
    if (fact.type !== 'run-end') yield fact;
    else {
      const exitCode = fact.run.failures.length > 0 ? ExitCode.unreadable : ExitCode.clean;
      yield { ...fact, run: { ...fact.run, exitCode } };
    }
  }
}

async function runInfo(paths: readonly string[], options: Options, context: CommandContext): Promise<number> {
  refuseStandardInputTwice(paths);
  const [{ check, fileInput }, { inputFormats }] = await Promise.all([
    import('../index.js'),
    import('../input/index.js'),
  ]);
  refuseUnknownFormat(options.inputFormat, inputFormats);
  const output = context.stdout();
  const reporter = await createReporter(options.format, output, context.version);
  const code = await interruptible((signal) => {
    const settings = { ...(options.inputFormat !== undefined && { inputFormat: options.inputFormat }) };
    return runReporters(readingOf(check(endingAt(signal, paths.map(fileInput)), settings)), {
      reports: [{ reporter, output }],
      companions: [
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
  $ timervet info trace.txt
  $ timervet info --format json traces/*.txt
  $ trace-cmd report -N -t -i trace.dat | timervet info -`;

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
    .action(async (paths: string[], options: Options) => {
      context.exitCode = await runInfo(paths, options, context);
    });
}
