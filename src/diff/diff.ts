import type { CheckOptions } from '../check/facts.js';
import type { Input } from '../check/read.js';
import { compareBehaviour } from './behaviour/compare.js';
import type { Diff, DiffFact, DiffVerdict, FindingsDiff } from './facts.js';
import { diffFindings } from './findings.js';
import { behaviourHighlights } from './highlights.js';
import { readSide, type Side } from './side.js';

/** Options of `diff`: those of the checks of both recordings. */
export interface DiffOptions
  extends Pick<CheckOptions, 'failOn' | 'allowLoss' | 'maxFindings' | 'maxLatency' | 'rules' | 'inputFormat'> {}

const exitCodes: Readonly<Record<DiffVerdict, number>> = { same: 0, changed: 0, failed: 1, inconclusive: 4 };

/**
 * Compares two recordings: the one before a change and the one after. Yields the facts of both checks, then the
 * difference; null instead of it when a recording could not be read. Memory does not grow with the recordings.
 *
 * @throws RangeError for an option whose value does not exist
 */
export async function* diff(
  old: Input,
  next: Input,
  options: DiffOptions = {},
): AsyncGenerator<DiffFact, void, undefined> {
  const first = yield* readSide(old, options);
  const second = yield* readSide(next, options);
  if (first === undefined || second === undefined) {
    yield { type: 'diff', diff: null, exitCode: 3 };
    return;
  }
  const result = compare(first, second, options);
  yield { type: 'diff', diff: result, exitCode: exitCodes[result.verdict] };
}

function compare(old: Side, next: Side, options: DiffOptions): Diff {
  const findings = diffFindings(old.summary, next.summary, options.failOn ?? 'warning');
  const behaviour = compareBehaviour(
    { summary: old.summary, behaviour: old.profile.behaviour },
    { summary: next.summary, behaviour: next.profile.behaviour },
  );
  const failures = failing(findings);
  const doubts = [old, next].flatMap(({ summary }) =>
    summary.verdict === 'inconclusive' ? summary.because.map((reason) => `${summary.path}: ${reason}`) : [],
  );
  const changes = [...changed(findings), ...behaviourHighlights(behaviour)];
  const verdict =
    failures.length > 0 ? 'failed' : doubts.length > 0 ? 'inconclusive' : changes.length > 0 ? 'changed' : 'same';
  return {
    verdict,
    because: [...failures, ...doubts, ...changes],
    old: old.summary,
    new: next.summary,
    findings,
    behaviour,
  };
}

/** What makes the diff fail, as sentences. */
function failing(findings: FindingsDiff): string[] {
  const fresh = findings.new.filter(({ fails }) => fails);
  return fresh.length === 0 ? [] : [counted(fresh.length, 'new finding')];
}

/** What differs, as sentences. */
function changed(findings: FindingsDiff): string[] {
  const below = findings.new.filter(({ fails }) => !fails);
  return [
    ...(below.length === 0 ? [] : [`${counted(below.length, 'new finding')} below the failing severity`]),
    ...(findings.gone.length === 0 ? [] : [`${counted(findings.gone.length, 'finding')} gone`]),
  ];
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
