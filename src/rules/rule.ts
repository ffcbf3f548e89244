import type { KindName } from '../events/kinds.js';
import type { ModelId } from '../models/model.js';
import type { RuleContext, RuleHandlers } from './context.js';

/** What a violation means (specification §4.0). */
export type Severity = 'info' | 'warning' | 'error';

/** The severities from harmless to harmful. */
export const severities: readonly Severity[] = ['info', 'warning', 'error'];

/**
 * A violation's text, as an argument: these events are given, then this must hold, but that happened,
 * therefore this follows. `{name}` is replaced by the data that the rule reports with the violation.
 */
export interface Message {
  /** One sentence for a list; the finding's headline. */
  readonly headline: string;
  readonly given: string;
  readonly must: string;
  readonly but: string;
  readonly therefore: string;
  /**
   * For a violation that goes on (`RuleContext.begin`): sentences on what ended it, by the word given to `Ongoing.end`.
   * Its texts may use `{times}` (once, twice, 12 times) and `{duration}`, which are known at its end.
   */
  readonly ends?: Readonly<Record<string, string>>;
}

/** A trace in the native notation that shows the rule; the tests execute it and `explain` prints it. */
export interface Example {
  /** What the trace shows, as a sentence. */
  readonly title: string;
  readonly model: ModelId;
  readonly host?: 'vhe' | 'nvhe';
  /** Native CSV, header included. */
  readonly trace: string;
}

/** A violating example also says where and under which message the rule answers. */
export interface ViolatingExample extends Example {
  /** Message id of the finding. */
  readonly message: string;
  /** Line of the trace (from 1, header included) at which the rule answers. */
  readonly line: number;
}

/** What a rule has to say nothing to, and what it has to find. */
export interface RuleExamples {
  readonly legal: readonly Example[];
  readonly violating: readonly ViolatingExample[];
}

/** One invariant of the catalogue (specification §4): everything that is known of it, in one place. */
export interface Rule {
  /** The catalogue's id; the file's name, and what `explain` and `--rule` take. */
  readonly id: string;
  /** The invariant in one sentence. */
  readonly statement: string;
  /** What goes wrong for the guest or the host when it does not hold. */
  readonly why: string;
  /** Severity by model; a model that is not named has no such rule. */
  readonly models: Partial<Record<ModelId, Severity>>;
  /** Event kinds that must occur in a trace before the rule can say anything; an inner list means one of them. */
  readonly needs: readonly (KindName | readonly KindName[])[];
  /** Where the invariant comes from: specification section, kernel function or commit. */
  readonly source: string;
  /** Texts of its violations, by message id; the sub-diagnoses of the catalogue are message ids. */
  readonly messages: Readonly<Record<string, Message>>;
  readonly examples: RuleExamples;
  /** Makes the handlers for one trace; state that the machine does not keep lives in this closure. */
  create(context: RuleContext): RuleHandlers;
}

/** Declares a rule; the identity function, for its types. */
export function defineRule(rule: Rule): Rule {
  return rule;
}
