import { models } from '../models/index.js';
import type { ModelId } from '../models/model.js';
import type { KnownBug } from './bug.js';
import { earlyBugs } from './early.js';
import { loadPutBugs } from './load-put.js';
import { timerMapBugs } from './timer-map.js';
import { weakPoints } from './weak-points.js';

/** Every known bug: the entries of specification §5, then the weak points of the RFC (§2b). */
export const knownBugs: readonly KnownBug[] = [...earlyBugs, ...loadPutBugs, ...timerMapBugs, ...weakPoints];

/** What a rule has answered, and in what trace. */
export interface Answer {
  readonly rule: string;
  readonly diagnosis: string;
  /** Name of the timer context, where the answer is about one. */
  readonly timer?: string;
  /** The models that the trace may be of. */
  readonly candidates: readonly ModelId[];
  /** Kernel release, where the trace names it. */
  readonly release: string | undefined;
}

/** `6.1.0-50-arm64` as 6001. */
function version(release: string): number | undefined {
  const match = /^(\d+)\.(\d+)/.exec(release);
  return match === null ? undefined : Number(match[1]) * 1000 + Number(match[2]);
}

/** Whether a trace may be of a kernel that has the bug. */
function applies({ span, candidatesOnly, models: of }: KnownBug, { candidates, release }: Answer): boolean {
  const possible = candidates.filter((id) => of.includes(id));
  if (possible.length === 0) return false;
  if (span === undefined) return true;
  const [first, last] = span;
  const kernel = release === undefined ? undefined : version(release);
  if (kernel !== undefined) {
    if (candidatesOnly === true && !/-rc\d/.test(release!)) return false;
    return first <= kernel && kernel <= last;
  }
  return possible.some((id) => models[id].span[0] <= last && first <= models[id].span[1]);
}

/**
 * The bugs of which an answer is the known sign, in kernels that the trace may be of. A sign is no proof: another
 * defect may have the same one, and several bugs may share it.
 */
export function bugsBehind(answer: Answer): readonly KnownBug[] {
  const { rule, diagnosis, timer } = answer;
  return knownBugs.filter(
    (bug) =>
      bug.signs.some(
        (sign) =>
          sign.rule === rule &&
          sign.diagnoses.includes(diagnosis) &&
          (sign.timer === undefined || sign.timer === timer),
      ) && applies(bug, answer),
  );
}

/** The bugs that a rule catches. */
export function bugsOfRule(rule: string): readonly KnownBug[] {
  return knownBugs.filter(({ signs }) => signs.some((sign) => sign.rule === rule));
}

/** Fewest characters of a commit by which a bug is found. */
const shortestCommit = 7;

/** The bugs with an id (`bug-09`, `9`, `W3`, in any case), or with a commit that begins so. */
export function findBugs(name: string): readonly KnownBug[] {
  const lower = name.toLowerCase();
  const byId = knownBugs.filter(({ id }) => id.toLowerCase() === lower || id === `bug-${name.padStart(2, '0')}`);
  if (byId.length > 0 || lower.length < shortestCommit) return byId;
  return knownBugs.filter(({ commits }) =>
    commits.some((commit) => commit.startsWith(lower) || lower.startsWith(commit)),
  );
}
