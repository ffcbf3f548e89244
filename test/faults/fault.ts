import type { Edit, Line } from './inject.js';
import type { Recording } from './structure.js';

/** One place of a recording that a fault can be put in. */
export interface Site {
  /** Line of the original recording; sites are chosen by where it stands. */
  readonly place: Line;
  /**
   * Puts the fault in and says between which lines of the result (the second included) the rule must answer; one line
   * where it can tell at once.
   */
  inject(edit: Edit): Line | readonly [Line, Line];
}

/** One kind of fault. */
export interface Fault {
  readonly id: string;
  /** What it does to the recording, as a sentence. */
  readonly does: string;
  /** Rules of which one must answer; none where nothing may be violated. */
  readonly rules: readonly string[];
  /** The message that the rule must give, where only one is right. */
  readonly diagnosis?: string;
  /** The rule answers, but with a finding of severity info only. */
  readonly info?: true;
  /** Most rules and occurrences of severity warning and error; 2 and 3 where the fault is one thing. */
  readonly limit?: { readonly rules?: number; readonly count?: number };
  /** It may also stand at the recording's beginning, where the state is not known yet. */
  readonly anywhere?: true;
  sites(recording: Recording): Site[];
}
