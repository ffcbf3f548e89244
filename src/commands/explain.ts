import type { Command } from 'commander';
import type { CommandContext } from './support/context.js';

const help = `
Examples:
  $ timervet explain restore-equals-last-save
  $ timervet explain bug-09   or W3, or the commit 36e5cfd410ad
  $ timervet rules            lists the ids of the rules`;

/** `timervet explain RULE`, or the name of a known bug */
export function registerExplain(program: Command, context: CommandContext): void {
  program
    .command('explain')
    .summary('explain a rule or a known bug')
    .description(
      'Prints what a rule states, why it matters, what it needs and where it comes from, which known bugs it catches, and examples; or of a known bug what went wrong, and by what a trace shows it.',
    )
    .argument('<rule>', 'id of the rule, or of a known bug: bug-01 to bug-29, W1 to W15, or a commit')
    .addHelpText('after', help)
    .showHelpAfterError("hint: 'timervet explain --help' shows usage and examples")
    .action(async (id: string) => {
      const { runExplain } = await import('./run/index.js');
      await runExplain(id, context);
    });
}
