import type { Diff } from '../facts.js';
import { isNamed } from './evaluate.js';
import type { Expectation } from './facts.js';
import { changeWords } from './figures.js';
import { synonyms } from './names.js';
import { isEvent, isFinding } from './words.js';

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const rate = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

/** The steps of behaviour that expectations speak of. */
function stepsOf(expect: readonly Expectation[]): ReadonlySet<string> {
  return new Set(
    expect.flatMap((one) => (isEvent(one) ? [one.event] : 'rate' in one ? [synonyms[one.rate] ?? one.rate] : [])),
  );
}

/** Differences that no expectation names, as sentences: what has a step or finding that one speaks of is declared. */
export function undeclared(expect: readonly Expectation[], diff: Pick<Diff, 'findings' | 'behaviour'>): string[] {
  const isDeclared = (finding: { readonly rule: string; readonly diagnosis: string }) =>
    expect.some((one) => isFinding(one) && isNamed(one.finding, finding));
  const lone = (of: Diff['findings']['new'], is: string) =>
    of.flatMap(({ finding }) => (isDeclared(finding) ? [] : [`finding ${finding.rule}/${finding.diagnosis} is ${is}`]));
  const known = stepsOf(expect);
  // What differs for single vcpus only is told by the section on behaviour.
  const ofAll = <T extends { readonly role: unknown }>(changes: readonly T[]) =>
    changes.filter(({ role }) => role === null);
  const { rates, placements, paths, sequences } = diff.behaviour;
  const inPaths = ofAll(paths).filter(({ steps }) => !steps.some((step) => known.has(step))).length;
  const inSequences = ofAll(sequences).filter(({ step, next }) => !known.has(step) && !known.has(next)).length;
  return [
    ...lone(diff.findings.new, 'new'),
    ...lone(diff.findings.gone, 'gone'),
    ...ofAll(rates).flatMap(({ what, per, rate: { old, new: next } }) =>
      known.has(what) ? [] : [`${what} per ${per}: ${changeWords(old, next, rate)}`],
    ),
    ...ofAll(placements).flatMap(({ step, anchor, share }) =>
      known.has(step) ? [] : [`${step} after ${anchor}: ${percent(share.old)} -> ${percent(share.new)}`],
    ),
    ...(inPaths === 0 ? [] : [`${inPaths} ${inPaths === 1 ? 'path has' : 'paths have'} other shares`]),
    ...(inSequences === 0 ? [] : [`${inSequences} ${inSequences === 1 ? 'step is' : 'steps are'} followed by others`]),
  ];
}
