import { InvalidArgumentError } from 'commander';
import { type Rule, type Severity, severities } from '../../rules/rule.js';
import { didYouMean } from './did-you-mean.js';
import { UsageError } from './usage-error.js';

/** Severities by rule id, as `--rule` gives them. */
export type RuleOverrides = Readonly<Record<string, Severity | 'off'>>;

/**
 * Reads one more `--rule ID=SEVERITY`; whether the rule exists is checked later, see `findRule`.
 * @throws InvalidArgumentError when the text has another shape
 */
export function addRuleOverride(text: string, earlier: RuleOverrides = {}): RuleOverrides {
  const separator = text.indexOf('=');
  const value = text.slice(separator + 1);
  const severity = (['off', ...severities] as const).find((candidate) => candidate === value);
  if (separator <= 0 || severity === undefined) {
    throw new InvalidArgumentError(`Expected ID=off, ID=${severities.join(', ID=')}.`);
  }
  return { ...earlier, [text.slice(0, separator)]: severity };
}

/**
 * The rule with an id.
 * @throws UsageError when there is none
 */
export function findRule(rules: readonly Rule[], id: string): Rule {
  const rule = rules.find((candidate) => candidate.id === id);
  if (rule !== undefined) return rule;
  const ids = rules.map((candidate) => candidate.id);
  throw new UsageError(`unknown rule '${id}'`, didYouMean(id, ids, "'timervet rules' lists all rules"));
}
