import type { CostExpectation, EventExpectation, Expectation, Figure, FindingExpectation } from './facts.js';

export function isFinding(expectation: Expectation): expectation is FindingExpectation {
  return 'finding' in expectation;
}

export function isEvent(expectation: Expectation): expectation is EventExpectation {
  return 'event' in expectation;
}

/** Whether it says when an operation happens, and not how often. */
export function isOccurrence(expectation: Expectation): expectation is CostExpectation {
  return 'cost' in expectation && 'occurs' in expectation;
}

/** A figure in words. */
export function figureWords(figure: Figure): string {
  if ('rate' in figure) return `${figure.rate} per ${figure.per ?? 'tick'}`;
  if ('cost' in figure) return `${figure.cost}${figure.at === undefined ? '' : ` at ${figure.at.join(', ')}`}`;
  return `${figure.quantile ?? 'p99'} of ${figure.latency}`;
}

const findingWords = {
  gone: 'is gone',
  new: 'is new',
  absent: 'is not in the new recording',
} as const;

/** An expectation as a sentence: its author's, or one made of its parts. */
export function expectationWords(expectation: Expectation): string {
  if (expectation.says !== undefined) return expectation.says;
  if (isFinding(expectation)) return `finding ${expectation.finding} ${findingWords[expectation.is]}`;
  if (isEvent(expectation)) {
    const { event, occurs, after, tolerance } = expectation;
    const where = after === undefined ? '' : ` after ${after.join(', ')}`;
    return `${event} ${occurs}${where}${tolerance === undefined ? '' : `, but for ${tolerance} %`}`;
  }
  if (isOccurrence(expectation)) {
    const { cost, occurs, at } = expectation;
    return `${cost} ${occurs}${at === undefined ? '' : ` at ${at.join(', ')}`}`;
  }
  const by = expectation.by === undefined ? '' : ` by ${expectation.by} %`;
  return `${figureWords(expectation)} is ${expectation.is}${by}`;
}
