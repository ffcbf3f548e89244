import { type Category, categories } from '../../cost/kinds.js';
import type { Anchor } from '../behaviour/step.js';
import { anchors, stepNamed, steps } from '../behaviour/step.js';
import type { FindingsDiff } from '../facts.js';
import type {
  CostExpectation,
  Declared,
  EventExpectation,
  Expectation,
  FigureExpectation,
  FindingExpectation,
  Limit,
  LimitOutcome,
  Relation,
} from './facts.js';
import { type Change, type Figures, sum } from './figures.js';
import { costKindsOf } from './names.js';
import { expectationWords, isEvent, isFinding, isOccurrence } from './words.js';

type Answer = Omit<Declared, 'says'>;

const met = (because: string): Answer => ({ outcome: 'met', because });
const unmet = (because: string): Answer => ({ outcome: 'unmet', because });
const undecided = (because: string): Answer => ({ outcome: 'undecided', because });

/** Whether a finding is the one that an expectation names: a rule, or a rule and its diagnosis. */
export function isNamed(
  name: string,
  { rule, diagnosis }: { readonly rule: string; readonly diagnosis: string },
): boolean {
  return name === rule || name === `${rule}/${diagnosis}`;
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

function answerFinding({ finding: name, is }: FindingExpectation, findings: FindingsDiff): Answer {
  const named = (of: readonly { readonly finding: { readonly rule: string; readonly diagnosis: string } }[]) =>
    of.filter(({ finding }) => isNamed(name, finding));
  const fresh = named(findings.new).length;
  const both = findings.both.filter(({ new: finding }) => isNamed(name, finding)).length;
  const gone = findings.gone.filter(({ finding }) => isNamed(name, finding));
  const inOld = gone.length + both;
  const inNew = fresh + both;
  const found = `${inOld} in the old recording, ${inNew} in the new one`;
  if (is === 'new') return fresh > 0 ? met(found) : unmet(found);
  if (inNew > 0) return unmet(found);
  if (is === 'gone' && inOld === 0) return unmet(`${found}: there was none to go`);
  if (gone.some(({ decidedInOther }) => !decidedInOther))
    return undecided(`${found}, but there the rule decided nothing`);
  return met(found);
}

/** Whether the rule of a finding that is in neither recording was decided in the new one. */
function wasDecided(name: string, rules: Readonly<Record<string, { held: number; violated: number }>>): boolean {
  const rule = rules[name.split('/')[0]!];
  return rule !== undefined && rule.held + rule.violated > 0;
}

function answerEvent({ event, occurs, after, tolerance = 0 }: EventExpectation, figures: Figures): Answer {
  const { kind } = steps[stepNamed(event)]!;
  // What is last before an event is known only where all of these are.
  const needed = after === undefined ? (['entry'] as const) : (['entry', 'exit', 'load', 'put'] as const);
  for (const one of new Set([kind, ...needed, ...(after ?? [])])) {
    const why = figures.lack('new', one);
    if (why !== undefined) return undecided(why);
  }
  const count = figures.count('new', event);
  const before = `${times(figures.count('old', event))} in the old recording`;
  if (after === undefined)
    return count === 0 ? met(`${before}, none in the new one`) : unmet(`${before}, ${times(count)} in the new one`);
  if (count === 0) return undecided(`there is no ${event} in the new recording`);
  const { after: placed, unplaced } = figures.placed('new', event);
  const named = anchors.filter((anchor) => after.includes(anchor) === (occurs === 'never'));
  const wrong = named.reduce((total, anchor) => total + placed.get(anchor)!, 0);
  const all = anchors.reduce((total, anchor) => total + placed.get(anchor)!, 0);
  if (all === 0) return undecided(`of no ${event} in the new recording it is known what came before`);
  const where = placeWords(placed);
  const rest = unplaced > 0 ? `; of ${unplaced} more the place is not known` : '';
  const figuresText = `new recording: ${where}${rest}`;
  if (wrong > (tolerance / 100) * all) return unmet(figuresText);
  return unplaced > all / 10 ? undecided(figuresText) : met(figuresText);
}

/** `load 203, exit 2`. */
function placeWords(placed: ReadonlyMap<Anchor, number>): string {
  return [...placed].flatMap(([anchor, count]) => (count === 0 ? [] : [`${count} after ${anchor}`])).join(', ');
}

/** Operations are counted by the design that fits the recording: what a guard would tell and nothing shows is assumed. */
function answerCost({ cost, occurs, at }: CostExpectation, figures: Figures): Answer {
  const costs = figures.costs('new');
  if ('missing' in costs) return undecided(costs.missing);
  const kinds = costKindsOf(cost);
  const counts = categories
    .filter((category) => sum(costs.events(category)) > 0)
    .map((category) => ({
      category,
      count: kinds.reduce((total, kind) => total + sum(costs.operations(kind, category)), 0),
      events: sum(costs.events(category)),
    }));
  const absent = at?.find((category) => !counts.some((one) => one.category === category));
  if (absent !== undefined && occurs === 'never') return undecided(`the new recording has no ${absent}`);
  const some = counts.filter(({ count }) => count > 0);
  const words = some.map(({ category, count, events }) => `${count} in ${times(events)} ${category}`).join(', ');
  const found = `new recording, by model ${costs.basis.model}: ${words === '' ? 'none' : words}`;
  const isWrong = (category: Category) => (at === undefined || at.includes(category)) === (occurs === 'never');
  if (some.some(({ category }) => isWrong(category))) return unmet(found);
  if (occurs === 'only' && some.length === 0) return undecided(found);
  return met(found);
}

const allowed: Readonly<Record<Relation, readonly Change[]>> = {
  lower: ['lower'],
  higher: ['higher'],
  same: ['same'],
  'not lower': ['same', 'higher'],
  'not higher': ['same', 'lower'],
};

function answerFigure(expectation: FigureExpectation, figures: Figures): Answer {
  const measured = figures.measure(expectation);
  if ('missing' in measured) return undecided(measured.missing);
  const change = measured.change(expectation.by ?? 0);
  if (typeof change !== 'string') return undecided(`${measured.words}: ${change.unknown}`);
  const noise = change === 'same' && measured.old !== measured.new ? ', not beyond that and noise' : '';
  return (allowed[expectation.is].includes(change) ? met : unmet)(`${measured.words}${noise}`);
}

/** What becomes of an expectation. @param rules of the new recording */
export function evaluate(
  expectation: Expectation,
  figures: Figures,
  findings: FindingsDiff,
  rules: Readonly<Record<string, { held: number; violated: number }>>,
): Declared {
  const says = expectationWords(expectation);
  if (isFinding(expectation)) {
    const answer = answerFinding(expectation, findings);
    const isOpen = answer.outcome === 'met' && expectation.is === 'absent' && !wasDecided(expectation.finding, rules);
    return { says, ...(isOpen ? undecided('its rule decided nothing in the new recording') : answer) };
  }
  if (isEvent(expectation)) return { says, ...answerEvent(expectation, figures) };
  if (isOccurrence(expectation)) return { says, ...answerCost(expectation, figures) };
  return { says, ...answerFigure(expectation, figures) };
}

/** Whether a limit is kept; one that cannot be evaluated is not. */
export function evaluateLimit({ text, figure, most }: Limit, figures: Figures): LimitOutcome {
  const measured = figures.measure(figure);
  if ('missing' in measured) return { text, failed: true, because: `cannot be evaluated: ${measured.missing}` };
  // Nothing has to be known of chance where it is not above the limit at all.
  if (measured.new <= measured.old * (1 + most / 100)) return { text, failed: false, because: measured.words };
  const change = measured.change(most);
  if (typeof change !== 'string')
    return { text, failed: true, because: `${measured.words}, cannot be told from chance: ${change.unknown}` };
  const failed = change === 'higher';
  return { text, failed, because: failed ? measured.words : `${measured.words}, not beyond noise` };
}
