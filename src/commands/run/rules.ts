import { type Rule, rules } from '../../index.js';
import { ruleListLines } from '../../report/text/rules.js';
import { createTheme } from '../../report/text/theme.js';
import type { CommandContext } from '../support/context.js';

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

/** `timervet rules` */
export async function runRules(format: 'text' | 'json', context: CommandContext): Promise<void> {
  const output = context.stdout();
  if (format === 'json') {
    await output.write(`${ruleList(rules, context.version)}\n`);
    return;
  }
  const lines = ruleListLines(rules, await createTheme(output.color), output.columns);
  await output.write(`${lines.join('\n')}\n`);
}
