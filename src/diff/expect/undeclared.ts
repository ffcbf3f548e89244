import type { CostKind } from '../../cost/kinds.js';
import { words } from '../../stats/cell.js';
import type { Diff } from '../facts.js';
import { isNamed } from './evaluate.js';
import type { Expectation } from './facts.js';
import { changeWords, durationWords } from './figures.js';
import { costKindsOf, isReason, latencyKey, synonyms } from './names.js';
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
export function undeclared(
  expect: readonly Expectation[],
  diff: Pick<Diff, 'findings' | 'behaviour' | 'cost' | 'latency'>,
): string[] {
  const isDeclared = (finding: { readonly rule: string; readonly diagnosis: string }) =>
    expect.some((one) => isFinding(one) && isNamed(one.finding, finding));
  const lone = (of: Diff['findings']['new'], is: string) =>
    of.flatMap(({ finding }) => (isDeclared(finding) ? [] : [`finding ${finding.rule}/${finding.diagnosis} is ${is}`]));
  const known = stepsOf(expect);
  // What differs for single vcpus only is told by the section on behaviour.
  const ofAll = <T extends { readonly role: unknown }>(changes: readonly T[]) =>
    changes.filter(({ role }) => role === null);
  const { rates, placements, paths, sequences } = diff.behaviour;
  const ofCost = (kind: CostKind) => expect.some((one) => 'cost' in one && costKindsOf(one.cost).includes(kind));
  const ofLatency = (name: string) => expect.some((one) => 'latency' in one && latencyKey(one.latency) === name);
  const inPaths = ofAll(paths).filter(({ steps }) => !steps.some((step) => known.has(step))).length;
  const inSequences = ofAll(sequences).filter(({ step, next }) => !known.has(step) && !known.has(next)).length;
  return [
    ...lone(diff.findings.new, 'new'),
    ...lone(diff.findings.gone, 'gone'),
    ...ofAll(rates).flatMap(({ what, per, rate: { old, new: next } }) =>
      known.has(what) || expect.some((one) => 'rate' in one && isReason(one.rate, what))
        ? []
        : [`${what} per ${per}: ${changeWords(old, next, rate)}`],
    ),
    ...ofAll(placements).flatMap(({ step, anchor, share }) =>
      known.has(step) ? [] : [`${step} after ${anchor}: ${percent(share.old)} -> ${percent(share.new)}`],
    ),
    ...diff.cost.perEvent.flatMap(({ kind, per, cost, differs }) =>
      !differs || ofCost(kind) ? [] : [`${kind} each ${per}: ${changeWords(cost.old, cost.new, rate)}`],
    ),
    ...diff.latency.latencies.flatMap(({ name, judgement, quantiles }) =>
      judgement !== 'differs' || ofLatency(name)
        ? []
        : quantiles
            .filter((one) => one.judgement === 'differs')
            .map((one) => `${words(name)}, p${100 * one.share}: ${changeWords(one.old, one.new, durationWords)}`),
    ),
    ...(inPaths === 0 ? [] : [`${inPaths} ${inPaths === 1 ? 'path has' : 'paths have'} other shares`]),
    ...(inSequences === 0 ? [] : [`${inSequences} ${inSequences === 1 ? 'step is' : 'steps are'} followed by others`]),
  ];
}
