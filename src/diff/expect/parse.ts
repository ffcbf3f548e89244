import type { z } from 'zod';
import { rules } from '../../rules/index.js';
import { didMean, ExpectationError, meant } from './error.js';
import type { Expectation, Expectations } from './facts.js';
import { expectSchema, formOf } from './schema.js';
import { isEvent, isFinding, isOccurrence } from './words.js';

const subjects = ['finding', 'event', 'cost', 'rate', 'latency'];

/** A value in a few characters. */
function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function at(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], root);
}

/** `expect[2].after[0]`. */
function place(path: readonly PropertyKey[]): string {
  return path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '');
}

/** What was expected where, what was found, and what to do. */
function refusal(
  source: string,
  root: unknown,
  path: readonly PropertyKey[],
  issue: z.core.$ZodIssue,
): ExpectationError {
  const whole = [...path, ...issue.path];
  const found = at(root, whole);
  const start = whole.length === 0 ? source : `${source}: ${place(whole)}`;
  const schema = 'schemas/expect.schema.json describes the file';
  if (issue.code === 'unrecognized_keys')
    return new ExpectationError(`${start}: unknown field '${issue.keys[0]}'`, schema);
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String);
    const text = found === undefined ? 'nothing' : brief(found);
    return new ExpectationError(
      `${start}: expected one of its values, found ${text}`,
      typeof found === 'string' ? meant(found, values) : `there are ${values.join(', ')}`,
    );
  }
  const expected = issue.code === 'invalid_type' ? `expected ${issue.expected}` : issue.message;
  return new ExpectationError(`${start}: ${expected}, found ${brief(found)}`, schema);
}

/** What a schema does not tell: that a finding can exist, and that `only` says where. */
function makesSense(expectation: Expectation, start: string): void {
  if (isFinding(expectation)) {
    const [id = '', diagnosis] = expectation.finding.split('/');
    const rule = rules.find((one) => one.id === id);
    if (rule === undefined)
      throw new ExpectationError(
        `${start}.finding: unknown rule '${id}'`,
        didMean(
          id,
          rules.map((one) => one.id),
        ) ?? "'timervet rules' lists all rules",
      );
    const diagnoses = Object.keys(rule.messages);
    if (diagnosis !== undefined && !diagnoses.includes(diagnosis))
      throw new ExpectationError(`${start}.finding: ${id} has no '${diagnosis}'`, meant(diagnosis, diagnoses));
    return;
  }
  if (!isEvent(expectation) && !isOccurrence(expectation)) return;
  const field = isEvent(expectation) ? 'after' : 'at';
  const where = isEvent(expectation) ? expectation.after : expectation.at;
  if (expectation.occurs === 'only' && where === undefined)
    throw new ExpectationError(`${start}: 'only' needs ${field}, found nothing`, `say where: "${field}": ["load"]`);
}

/**
 * Reads a file of expectations.
 *
 * @param source its name, for errors and reports
 * @throws ExpectationError that names the place in the file, what was expected, and what was found
 */
export function parseExpectations(text: string, source: string): Expectations {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (error) {
    throw new ExpectationError(`${source}: ${(error as Error).message}`, 'a file of expectations is JSON');
  }
  const list = (root as { expect?: unknown } | null)?.expect;
  if (Array.isArray(list)) {
    // Each with the form that it is meant to have: of all forms together no error could say what is wrong.
    list.forEach((value: unknown, index) => {
      const path = ['expect', index];
      const form = typeof value === 'object' && value !== null ? formOf(value) : undefined;
      if (form === undefined)
        throw new ExpectationError(
          `${source}: ${place(path)}: expected an object with one of ${subjects.join(', ')}, found ${brief(value)}`,
          'schemas/expect.schema.json describes the file',
        );
      const { error: wrong, data: expectation } = form.safeParse(value);
      const issue = wrong?.issues[0];
      if (issue !== undefined) throw refusal(source, root, path, issue);
      makesSense(expectation!, `${source}: ${place(path)}`);
    });
  }
  const { error, data } = expectSchema.safeParse(root);
  const issue = error?.issues[0];
  if (issue !== undefined) throw refusal(source, root, [], issue);
  return { source, expect: data!.expect as readonly Expectation[] };
}
