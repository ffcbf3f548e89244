import { Command, CommanderError } from 'commander';
import { registerCheck } from './commands/check.js';
import { registerConvert } from './commands/convert.js';
import { registerDiff } from './commands/diff.js';
import { registerExplain } from './commands/explain.js';
import { registerInfo } from './commands/info.js';
import { registerModels } from './commands/models.js';
import { registerReplay } from './commands/replay.js';
import { registerRules } from './commands/rules.js';
import { registerStats } from './commands/stats.js';
import { type CommandContext, processContext } from './commands/support/context.js';
import { ExitCode } from './commands/support/exit-codes.js';
import type { UsageError } from './commands/support/usage-error.js';
import type { OutputError } from './report/output.js';

const help = `
Examples:
  $ timervet check trace.dat
  $ timervet diff before.dat after.dat
  $ timervet info trace.dat
  $ timervet check --format json=report.json --format ktap trace.txt
  $ timervet explain restore-equals-last-save`;

/** The program with all its commands; texts that commander prints are collected in `printed`. */
function createProgram(context: CommandContext, printed: Promise<void>[]): Command {
  const program = new Command('timervet')
    .description('Checks recorded KVM/arm64 vcpu timer events against a model of the kernel timer code.')
    .version(context.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .option('--color', 'use colours (default: on a terminal; NO_COLOR and FORCE_COLOR are respected)')
    .option('--no-color', 'use no colours')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => printed.push(context.stdout().write(text)),
      writeErr: (text) => printed.push(context.stderr().write(text)),
    })
    .exitOverride()
    .addHelpText('after', help)
    .showHelpAfterError("hint: 'timervet --help' lists commands and options")
    .hook('preAction', (_, command) => {
      context.color = command.optsWithGlobals<{ color?: boolean }>().color;
    });
  registerCheck(program, context);
  registerDiff(program, context);
  registerInfo(program, context);
  registerStats(program, context);
  registerReplay(program, context);
  registerConvert(program, context);
  registerExplain(program, context);
  registerModels(program, context);
  registerRules(program, context);
  return program;
}

/** What the commands do is bundled apart from the command line, so a class may exist twice: its name tells. */
function isNamed<Known extends Error>(error: unknown, name: Known['name']): error is Known {
  return error instanceof Error && error.name === name;
}

/** Reports what ended the program early; known errors in one line, unknown ones with their stack. */
async function fail(error: unknown, context: CommandContext): Promise<number> {
  // Commander has printed its message already; help and version arrive here as well, with code 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : ExitCode.usage;
  if (isNamed<UsageError>(error, 'UsageError')) {
    await context.stderr().write(`error: ${error.message}\nhint: ${error.hint}\n`);
    return ExitCode.usage;
  }
  if (isNamed<OutputError>(error, 'OutputError')) {
    await context.stderr().write(`error: ${error.message}\n`);
    return ExitCode.usage;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  await context
    .stderr()
    .write(
      `${stack}\n\nThis is a bug in timervet ${context.version}. Please report it with the lines above, ` +
        'the command line and, if possible, the trace.\n',
    );
  return ExitCode.internal;
}

/**
 * Runs the program.
 * @param argv the command line without the interpreter and the script
 * @param version the package's
 * @returns the exit code; everything has been written by then
 */
export async function main(argv: readonly string[], version: string): Promise<number> {
  const context = processContext(version);
  const printed: Promise<void>[] = [];
  // An error outside of the awaited work, such as a listener's: the same answer as for any other bug.
  process.once('uncaughtException', (error) => {
    fail(error, context).finally(() => process.exit(ExitCode.internal));
  });
  // Nothing is left to wait for, and the run has no answer yet: it must not pass for a clean one.
  const ranDry = () => {
    process.exitCode = ExitCode.internal;
    fail(new Error('the run ended without an answer'), context).finally(() => process.exit(ExitCode.internal));
  };
  process.once('beforeExit', ranDry);
  try {
    await createProgram(context, printed).parseAsync(argv, { from: 'user' });
    return context.exitCode;
  } catch (error) {
    return await fail(error, context);
  } finally {
    await Promise.allSettled(printed);
    process.removeListener('beforeExit', ranDry);
  }
}
