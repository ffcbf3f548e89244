import type { CheckOptions, TraceSummary } from '../check/facts.js';
import type { Input } from '../check/read.js';
import { compareBehaviour } from './behaviour/compare.js';
import { compareCosts } from './cost/compare.js';
import { costHighlights } from './cost/highlights.js';
import { readDivergence } from './divergence/reread.js';
import { evaluate, evaluateLimit, isNamed } from './expect/evaluate.js';
import { Figures } from './expect/figures.js';
import { undeclared } from './expect/undeclared.js';
import { isFinding } from './expect/words.js';
import type {
  Diff,
  DiffFact,
  DiffVerdict,
  Divergence,
  Expectations,
  ExpectationsDiff,
  FindingsDiff,
  Limit,
  LimitOutcome,
  LoneFinding,
} from './facts.js';
import { diffFindings } from './findings.js';
import { behaviourHighlights } from './highlights.js';
import { latencyHighlights } from './latency/highlights.js';
import { diffLatencies } from './latency/latency.js';
import { readSides, type Side } from './side.js';

/** Options of `diff`: those of the checks of both recordings. */
export interface DiffOptions
  extends Pick<CheckOptions, 'failOn' | 'allowLoss' | 'maxFindings' | 'maxLatency' | 'rules' | 'inputFormat'> {
  /** What the change is meant to do: an expectation that is not met fails the diff. */
  readonly expect?: Expectations | undefined;
  /** Figures that must not grow by more. */
  readonly limits?: readonly Limit[];
}

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
  const sides = yield* readSides(old, next, options);
  if (sides === undefined) {
    yield { type: 'diff', diff: null, exitCode: 3 };
    return;
  }
  const [first, second] = sides;
  const divergence = await readDivergence(first, second, { old, new: next }, options);
  const result = compare(first, second, divergence, options);
  yield { type: 'diff', diff: result, exitCode: exitCodes[result.verdict] };
}

function compare(old: Side, next: Side, divergence: Divergence, options: DiffOptions): Diff {
  const findings = diffFindings(old.summary, next.summary, options.failOn ?? 'warning');
  const behaviour = compareBehaviour({ ...old.profile, ...old }, { ...next.profile, ...next });
  const cost = compareCosts(old.profile, next.profile);
  const latency = diffLatencies(old.profile.stats, next.profile.stats);
  const figures = new Figures({ old, new: next }, latency);
  const { expect, limits: given = [] } = options;
  const expectations =
    expect === undefined
      ? null
      : {
          source: expect.source,
          declared: expect.expect.map((one) => evaluate(one, figures, findings, next.summary.rules)),
          undeclared: undeclared(expect.expect, { findings, behaviour, cost, latency }),
        };
  const limits = given.map((limit) => evaluateLimit(limit, figures));
  const failures = [...failing(findings, expect), ...broken(expectations, limits)];
  const doubts = [old, next].flatMap(({ summary }) =>
    doubtsOf(summary, options).map((reason) => `${summary.path}: ${reason}`),
  );
  const changes = [
    ...changed(findings),
    ...behaviourHighlights(behaviour),
    ...costHighlights(cost),
    ...latencyHighlights(latency),
    ...(divergence.first === null ? [] : [`the two go different ways at ${divergence.first.at}`]),
  ];
  const verdict =
    failures.length > 0 ? 'failed' : doubts.length > 0 ? 'inconclusive' : changes.length > 0 ? 'changed' : 'same';
  return {
    verdict,
    because: [...failures, ...doubts, ...changes],
    old: old.summary,
    new: next.summary,
    findings,
    behaviour,
    cost,
    latency,
    divergence,
    expectations,
    limits,
  };
}

/** Why a recording cannot be compared. Its violations come before its losses in its own verdict, but not here. */
function doubtsOf({ verdict, because, conditions }: TraceSummary, { allowLoss }: DiffOptions): readonly string[] {
  if (verdict === 'inconclusive') return because;
  const lost = conditions.some(({ severity }) => severity === 'loss');
  return lost && allowLoss !== true ? ['records were lost inside the trace (--allow-loss accepts that)'] : [];
}

/** What makes the diff fail, as sentences. */
function failing(findings: FindingsDiff, expect: Expectations | undefined): string[] {
  const isAllowed = ({ finding }: LoneFinding) =>
    expect?.expect.some((one) => isFinding(one) && one.is === 'new' && isNamed(one.finding, finding)) === true;
  const fresh = findings.new.filter((one) => one.fails && !isAllowed(one));
  return fresh.length === 0 ? [] : [counted(fresh.length, 'new finding')];
}

/** Expectations that are not met, and limits that are passed. */
function broken(expectations: ExpectationsDiff | null, limits: readonly LimitOutcome[]): string[] {
  const unmet = expectations?.declared.filter(({ outcome }) => outcome !== 'met') ?? [];
  return [
    ...unmet.map(({ says, outcome, because }) => `expectation ${outcome}: ${says}: ${because}`),
    ...limits.filter(({ failed }) => failed).map(({ text, because }) => `${text}: ${because}`),
  ];
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
