import { type Command, Option } from 'commander';
import type { CommandContext } from './support/context.js';

const help = `
Examples:
  $ timervet rules
  $ timervet rules --format json`;

/** `timervet rules` */
export function registerRules(program: Command, context: CommandContext): void {
  program
    .command('rules')
    .summary('list the rules')
    .description('Lists the rules with their severity by kernel model.')
    .addOption(new Option('--format <name>', 'how to print them').choices(['text', 'json']).default('text'))
    .addHelpText('after', help)
    .showHelpAfterError("hint: 'timervet rules --help' shows usage and examples")
    .action(async (options: { format: 'text' | 'json' }) => {
      const { runRules } = await import('./run/index.js');
      await runRules(options.format, context);
    });
}
