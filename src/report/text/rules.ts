import { type ModelId, modelIds } from '../../models/model.js';
import type { Rule } from '../../rules/rule.js';
import { paragraph } from './layout.js';
import type { Theme } from './theme.js';

/** Severity by model in few words: one word where all models agree. */
export function severityWords(rule: Rule): string {
  const given = modelIds.flatMap((model) => {
    const severity = rule.models[model];
    return severity === undefined ? [] : [[model, severity] as [ModelId, string]];
  });
  const values = new Set(given.map(([, severity]) => severity));
  if (values.size === 1 && given.length === modelIds.length) return [...values][0]!;
  return given.map(([model, severity]) => `${model}: ${severity}`).join(', ');
}

/** The list of rules: id, severity by model, statement. */
export function ruleListLines(rules: readonly Rule[], theme: Theme, width: number): string[] {
  return rules.flatMap((rule) => [
    `${theme.bold(rule.id)}  ${theme.dim(severityWords(rule))}`,
    ...paragraph(rule.statement, width, '    '),
  ]);
}
