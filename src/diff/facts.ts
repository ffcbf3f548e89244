import type { Fact, Finding, TraceSummary } from '../check/facts.js';
import type { BehaviourDiff } from './behaviour/facts.js';

/**
 * `same`: nothing differs beyond noise. `changed`: something differs, and nothing says that it must not. `failed`: a
 * new finding, an unmet expectation, or a limit that was passed. `inconclusive`: one of the recordings is.
 */
export type DiffVerdict = 'same' | 'changed' | 'failed' | 'inconclusive';

/** Which recording: the one before the change, or the one after. */
export type SideName = 'old' | 'new';

/** A finding of one recording. */
export interface LoneFinding {
  readonly finding: Finding;
  /**
   * What became of its rule in the other recording: a rule that could not be decided there says nothing, so that a
   * finding may be gone, or new, only because nobody could see it.
   */
  readonly decidedInOther: boolean;
  /** At or above the severity that fails. */
  readonly fails: boolean;
}

/** A finding of both recordings. */
export interface CommonFinding {
  readonly old: Finding;
  readonly new: Finding;
  /** The same diagnosis is proven by another chain of events: the fingerprints differ. */
  readonly otherChain: boolean;
}

/** Findings by fingerprint; times, pids, addresses and vcpu numbers do not matter. */
export interface FindingsDiff {
  readonly new: readonly LoneFinding[];
  readonly gone: readonly LoneFinding[];
  readonly both: readonly CommonFinding[];
}

/** What differs between two recordings. */
export interface Diff {
  readonly verdict: DiffVerdict;
  /** Why the verdict is what it is, as sentences; the reasons of a failure first. */
  readonly because: readonly string[];
  readonly old: TraceSummary;
  readonly new: TraceSummary;
  readonly findings: FindingsDiff;
  readonly behaviour: BehaviourDiff;
}

type RunEnd = Extract<Fact, { type: 'run-end' }>;

/** The stream of facts of a diff: those of checking both recordings without their own end, then the difference. */
export type DiffFact =
  | Exclude<Fact, RunEnd>
  /** Null where a recording could not be read. The exit code is 0, 1, 3 or 4, see the design's table. */
  | { readonly type: 'diff'; readonly diff: Diff | null; readonly exitCode: number };
