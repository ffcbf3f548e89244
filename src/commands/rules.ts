import { type Command, Option } from 'commander';
import type { Rule } from '../rules/rule.js';
import type { CommandContext } from './support/context.js';

/** Version of the shape of `rules --format json`; it grows as the report's does. */
const schemaVersion = 1;

function ruleList(rules: readonly Rule[], version: string): string {
  const list = rules.map(({ id, statement, why, models, needs, source, messages }) => ({
    id,
    severity: models,
    statement,
    why,
    needs,
    source,
    diagnoses: Object.keys(messages),
  }));
  return JSON.stringify({ tool: 'timervet', version, schema: schemaVersion, rules: list }, null, 2);
}

async function runRules(format: 'text' | 'json', context: CommandContext): Promise<void> {
  const { rules } = await import('../rules/index.js');
  const output = context.stdout();
  if (format === 'json') {
    await output.write(`${ruleList(rules, context.version)}\n`);
    return;
  }
  const [{ ruleListLines }, { createTheme }] = await Promise.all([
    import('../report/text/rules.js'),
    import('../report/text/theme.js'),
  ]);
  const lines = ruleListLines(rules, await createTheme(output.color), output.columns);
  await output.write(`${lines.join('\n')}\n`);
}

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
    .action((options: { format: 'text' | 'json' }) => runRules(options.format, context));
}
