import type { Category } from '../../cost/kinds.js';
import type { Anchor } from '../behaviour/step.js';

/** By what a rate is told. */
export const pers = ['entry', 'exit', 'tick'] as const;
export type Per = (typeof pers)[number];

/** Quantiles of latencies that can be named. */
export const quantiles = ['p50', 'p90', 'p99'] as const;
export type Quantile = (typeof quantiles)[number];

/** How a figure of the new recording stands to that of the old one. */
export const relations = ['lower', 'higher', 'same', 'not lower', 'not higher'] as const;
export type Relation = (typeof relations)[number];

/** Something that both recordings have a number for. */
export type Figure =
  | { readonly rate: string; readonly per?: Per | undefined }
  | { readonly cost: string; readonly at?: readonly Category[] | undefined }
  | { readonly latency: string; readonly quantile?: Quantile | undefined };

interface Said {
  /** The expectation in the author's words; else it is put in words from what follows. */
  readonly says?: string | undefined;
}

/** `gone`: in the old recording only. `new`: in the new one only, and allowed. `absent`: not in the new one. */
export const findingStates = ['gone', 'new', 'absent'] as const;

/** A finding, by rule or by rule and diagnosis. */
export interface FindingExpectation extends Said {
  readonly finding: string;
  readonly is: (typeof findingStates)[number];
}

/** Where an event of the new recording happens: the last of these anchors before it. */
export interface EventExpectation extends Said {
  /** A step of the behaviour: `update_irq 1`, `set_cntvoff`, `save (ptimer)`. */
  readonly event: string;
  readonly occurs: 'never' | 'only';
  readonly after?: readonly Anchor[] | undefined;
  /** Share of the event's occurrences, in percent, that may be elsewhere; default 0. */
  readonly tolerance?: number | undefined;
}

/** When an operation of the new recording happens, by the design that fits it. */
export interface CostExpectation extends Said {
  readonly cost: string;
  readonly occurs: 'never' | 'only';
  /** Occasions: `entry`, `exit`, `load`, `put`, …; all where none is named. */
  readonly at?: readonly Category[] | undefined;
}

/** How a figure changes. */
export type FigureExpectation = Said &
  Figure & {
    readonly is: Relation;
    /** Percent of the old figure by which it changes at least, or may change without being other; default 0. */
    readonly by?: number | undefined;
  };

/** One statement about what a change is meant to do. */
export type Expectation = FindingExpectation | EventExpectation | CostExpectation | FigureExpectation;

/** The expectations of one file. */
export interface Expectations {
  /** Where they come from, as the reports name it. */
  readonly source: string;
  readonly expect: readonly Expectation[];
}

/** `undecided`: the recordings do not show it. That is no pass. */
export type Outcome = 'met' | 'unmet' | 'undecided';

/** What became of one expectation. */
export interface Declared {
  readonly says: string;
  readonly outcome: Outcome;
  /** The figures, or why there are none. */
  readonly because: string;
}

/** What was declared, and what differs without having been declared. */
export interface ExpectationsDiff {
  readonly source: string;
  readonly declared: readonly Declared[];
  /** Differences that no expectation names, as sentences. */
  readonly undeclared: readonly string[];
}

/** A figure that must not grow by more. */
export interface Limit {
  /** As it was given: `rate:exits>10%`. */
  readonly text: string;
  readonly figure: Figure;
  /** Percent of the old figure. */
  readonly most: number;
}

/** What became of a limit. */
export interface LimitOutcome {
  readonly text: string;
  readonly failed: boolean;
  /** The figures, or why it cannot be told, which fails as well. */
  readonly because: string;
}
