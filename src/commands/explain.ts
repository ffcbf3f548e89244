import type { Command } from 'commander';
import type { ExampleArgument } from '../report/text/explain.js';
import type { Rule, ViolatingExample } from '../rules/rule.js';
import type { CommandContext } from './support/context.js';
import { findRule } from './support/rule-options.js';

/**
 * The argument of the finding that an example leads to, found by checking the example. Should it lead to none,
 * the text of the message is given as it stands, its `{name}` places unfilled.
 */
async function argumentOf(rule: Rule, example: ViolatingExample): Promise<ExampleArgument> {
  const { check } = await import('../index.js');
  const input = {
    path: 'example',
    async *open() {
      yield new TextEncoder().encode(example.trace);
    },
  };
  const options = { model: example.model, ...(example.host !== undefined && { host: example.host }) };
  for await (const fact of check([input], options)) {
    if (fact.type !== 'finding') continue;
    const { finding } = fact;
    if (finding.rule === rule.id && finding.diagnosis === example.message) {
      return { headline: finding.message, ...finding.argument };
    }
  }
  return rule.messages[example.message]!;
}

async function runExplain(id: string, context: CommandContext): Promise<void> {
  const { rules } = await import('../rules/index.js');
  const rule = findRule(rules, id);
  const found = await Promise.all(rule.examples.violating.map((example) => argumentOf(rule, example)));
  const [{ explainLines }, { createTheme }] = await Promise.all([
    import('../report/text/explain.js'),
    import('../report/text/theme.js'),
  ]);
  const output = context.stdout();
  const lines = explainLines(rule, (index) => found[index]!, await createTheme(output.color), output.columns);
  await output.write(`${lines.join('\n')}\n`);
}

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
    .action((id: string) => runExplain(id, context));
}
