import { InvalidArgumentError } from 'commander';
import { nearest } from '../../events/nearest.js';
import { type Rule, type Severity, severities } from '../../rules/rule.js';
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

/** What a misspelt or shortened id may have meant, at most three ids. */
function meantIds(id: string, ids: readonly string[]): string[] {
  const spelling = nearest(id, ids);
  return spelling === undefined ? ids.filter((candidate) => candidate.includes(id)).slice(0, 3) : [spelling];
}

/**
 * The rule with an id.
 * @throws UsageError when there is none
 */
export function findRule(rules: readonly Rule[], id: string): Rule {
  const rule = rules.find((candidate) => candidate.id === id);
  if (rule !== undefined) return rule;
  const list = "'timervet rules' lists all rules";
  const meant = meantIds(
    id,
    rules.map((candidate) => candidate.id),
  ).map((candidate) => `'${candidate}'`);
  throw new UsageError(
    `unknown rule '${id}'`,
    meant.length === 0 ? list : `did you mean ${meant.join(' or ')}? ${list}`,
  );
}
