import { type Severity, severities } from '../../rules/rule.js';
import { ExpectationError, meant } from './error.js';
import { type Figure, type Limit, type Per, pers, type Quantile, quantiles } from './facts.js';
import { categoryNames, costNames, latencyNames, rateNames } from './names.js';

/** What a diff fails on: new findings from a severity on, and figures that grow by more than they may. */
export interface FailOn {
  readonly severity: Severity;
  readonly limits: readonly Limit[];
}

const forms =
  'info, warning, error, cost>5%, cost:NAME>5%, cost:NAME@load>5%, rate:exits>10%, p99:deadline-to-entry>20%';

/** @throws ExpectationError when a name is none of those there are */
function named<T extends string>(text: string, what: string, name: string, known: readonly T[]): T {
  const found = known.find((one) => one === name);
  if (found === undefined)
    throw new ExpectationError(`--fail-on ${text}: unknown ${what} '${name}'`, meant(name, known));
  return found;
}

function figureOf(text: string, measure: string): Figure {
  const separator = measure.indexOf(':');
  const [kind, name] = separator < 0 ? [measure, ''] : [measure.slice(0, separator), measure.slice(separator + 1)];
  if (kind === 'cost') {
    if (name === '') return { cost: 'all' };
    const [cost, at] = name.split('@');
    const found = named(text, 'operation', cost!, costNames);
    return at === undefined ? { cost: found } : { cost: found, at: [named(text, 'occasion', at, categoryNames)] };
  }
  if (kind === 'rate') {
    const [rate, per] = name.split('/');
    const found = named(text, 'event', rate!, rateNames);
    return per === undefined ? { rate: found } : { rate: found, per: named<Per>(text, 'measure', per, pers) };
  }
  if ((quantiles as readonly string[]).includes(kind))
    return { latency: named(text, 'latency', name, latencyNames), quantile: kind as Quantile };
  throw new ExpectationError(
    `--fail-on ${text}: unknown measure '${kind}'`,
    meant(kind, ['finding', 'cost', 'rate', ...quantiles]),
  );
}

/**
 * Reads what `--fail-on` names: a severity of new findings, or `MEASURE>PERCENT%`.
 *
 * @throws ExpectationError when it has another form, or names something that there is not
 */
export function parseFailOn(text: string): Severity | Limit {
  const severity = /^finding:(.*)$/.exec(text)?.[1];
  if (severity !== undefined) return named(text, 'severity', severity, severities);
  if ((severities as readonly string[]).includes(text)) return text as Severity;
  const [, measure, most] = /^(.*)>\s*(\d+(?:\.\d+)?)\s*%$/.exec(text) ?? [];
  if (measure === undefined || most === undefined)
    throw new ExpectationError(
      `--fail-on ${text}: expected a severity or MEASURE>PERCENT%`,
      text.includes('>') || text.includes(':')
        ? `it has one of these forms: ${forms}`
        : meant(text, [...severities, 'cost>5%']),
    );
  return { text, figure: figureOf(text, measure), most: Number(most) };
}

/**
 * All that a diff fails on; of several severities the least one counts.
 *
 * @throws ExpectationError as `parseFailOn`
 */
export function failsOn(words: readonly string[]): FailOn {
  const all = words.map(parseFailOn);
  const named = severities.filter((severity) => all.includes(severity));
  return { severity: named[0] ?? 'warning', limits: all.filter((one): one is Limit => typeof one !== 'string') };
}
