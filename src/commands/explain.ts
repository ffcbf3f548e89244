import type { Command } from 'commander';
import type { CommandContext } from './support/context.js';

const help = `
Examples:
  $ timervet explain restore-equals-last-save
  $ timervet rules            lists the ids`;

/** `timervet explain RULE` */
export function registerExplain(program: Command, context: CommandContext): void {
  program
    .command('explain')
    .summary('explain a rule')
    .description('Prints what a rule states, why it matters, what it needs and where it comes from, with examples.')
    .argument('<rule>', 'id of the rule')
    .addHelpText('after', help)
    .showHelpAfterError("hint: 'timervet explain --help' shows usage and examples")
    .action(async (id: string) => {
      const { runExplain } = await import('./run/index.js');
      await runExplain(id, context);
    });
}
