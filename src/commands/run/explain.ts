import { bugsOfRule, findBugs } from '../../bugs/index.js';
import { check, type Rule, rules } from '../../index.js';
import { explainBugLines } from '../../report/text/bug.js';
import { type ExampleArgument, explainLines } from '../../report/text/explain.js';
import { createTheme } from '../../report/text/theme.js';
import type { ViolatingExample } from '../../rules/rule.js';
import type { CommandContext } from '../support/context.js';
import { findRule } from '../support/rule-options.js';

/**
 * The argument of the finding that an example leads to, found by checking the example. Should it lead to none,
 * the text of the message is given as it stands, its `{name}` places unfilled.
 */
async function argumentOf(rule: Rule, example: ViolatingExample): Promise<ExampleArgument> {
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

/** `timervet explain` */
export async function runExplain(id: string, context: CommandContext): Promise<void> {
  const output = context.stdout();
  const bugs = rules.some((rule) => rule.id === id) ? [] : findBugs(id);
  if (bugs.length > 0) {
    const theme = await createTheme(output.color);
    const pages = bugs.map((bug) => explainBugLines(bug, theme, output.columns).join('\n'));
    await output.write(`${pages.join('\n\n')}\n`);
    return;
  }
  const rule = findRule(rules, id);
  const found = await Promise.all(rule.examples.violating.map((example) => argumentOf(rule, example)));
  const theme = await createTheme(output.color);
  const lines = explainLines(rule, bugsOfRule(rule.id), (index) => found[index]!, theme, output.columns);
  await output.write(`${lines.join('\n')}\n`);
}
