import type { TraceSummary } from '../../check/facts.js';
import { createSums, type Sums } from '../noise/blocks.js';
import { type Comparison, differing, type LeastEffect } from '../noise/level.js';
import { compareRatios, compareShares } from '../noise/ratio.js';
import { incomparable } from './comparable.js';
import type { BehaviourDiff, PathChange, PlacementChange, RateChange, Role, SequenceChange } from './facts.js';
import type { BehaviourRecorder } from './recorder.js';
import { pairVcpus } from './roles.js';
import type { Anchor } from './step.js';
import { steps } from './step.js';
import { View } from './view.js';

/** What of one recording is compared. */
export interface BehaviourSide {
  readonly summary: TraceSummary;
  readonly behaviour: BehaviourRecorder;
}

/** The least share of the trips of a path that only one recording has: a hundredth. */
const leastLonely: LeastEffect = { relative: 0, absolute: 0.01 };

/** Changes of one family, not yet judged. */
interface Candidate<T> {
  readonly key: string;
  readonly comparison: Comparison;
  readonly change: T;
}

/** Those of a family that differ beyond chance, the largest difference first. */
function judged<T>(family: readonly Candidate<T>[], size: (comparison: Comparison) => number): Candidate<T>[] {
  const differs = differing(family.map(({ comparison }) => comparison));
  return family.filter((_, at) => differs[at]).sort((a, b) => size(b.comparison) - size(a.comparison));
}

const byDifference = ({ old, new: next }: Comparison): number => Math.abs(next - old);
const byFactor = ({ old, new: next }: Comparison): number =>
  Math.abs(Math.log(Math.max(next, 1e-9) / Math.max(old, 1e-9)));

/** The steps that are told by how often they happen at each entry. */
const perEntry = [...new Set(steps.map(({ name }) => name))].filter((name) => !['entry', 'exit'].includes(name));
/** Those that are told by how often they happen at each tick of the guest. */
const perTick = ['entry', 'exit', 'vtimer_irq', 'update_irq 1', 'update_irq 0'];

/** A tick of the guest: its virtual timer's level goes high. */
const tick = 'update_irq 1';

function sum(sums: Sums): number {
  return sums.reduce((total, count) => total + count, 0);
}

function rates(role: Role | null, old: View, next: View): Candidate<RateChange>[] {
  const of = (names: readonly string[], per: 'entry' | 'tick', perStep: string) =>
    names.flatMap((what): Candidate<RateChange>[] => {
      if (what === perStep || sum(old.count(what)) + sum(next.count(what)) === 0) return [];
      const side = (view: View) => ({ count: view.count(what), per: view.count(perStep) });
      const rate = compareRatios(side(old), side(next));
      return [{ key: `${what} per ${per}`, comparison: rate, change: { role, what, per, rate } }];
    });
  return [...of(perEntry, 'entry', 'entry'), ...of(perTick, 'tick', tick)];
}

function placements(role: Role | null, old: View, next: View): Candidate<PlacementChange>[] {
  const pairs = new Map([...old.placements.pairs(), ...next.placements.pairs()].map((pair) => [pair.join(), pair]));
  return [...pairs].map(([key, [step, anchor]]) => {
    const share = compareShares(old.placements.ratio(step, anchor), next.placements.ratio(step, anchor));
    return { key, comparison: share, change: { role, step, anchor: anchor as Anchor, share } };
  });
}

function sequences(role: Role | null, old: View, next: View): Candidate<SequenceChange>[] {
  const pairs = new Map([...old.sequences.pairs(), ...next.sequences.pairs()].map((pair) => [pair.join(), pair]));
  return [...pairs].map(([key, [step, following]]) => {
    const share = compareShares(old.sequences.ratio(step, following), next.sequences.ratio(step, following));
    return { key, comparison: share, change: { role, step, next: following, share } };
  });
}

function paths(role: Role | null, old: View, next: View): Candidate<PathChange>[] {
  const all = new Map([...old.paths, ...next.paths].map(([key, { steps: names }]) => [key, names]));
  return [...all].map(([key, names]) => {
    const tripsOf = (view: View) => view.paths.get(key)?.trips;
    const [first, second] = [tripsOf(old), tripsOf(next)];
    const ratio = (view: View, trips: Sums = createSums()) => ({ count: trips, per: view.trips });
    const least = first === undefined || second === undefined ? leastLonely : undefined;
    const share = compareShares(ratio(old, first), ratio(next, second), least);
    const change = {
      role,
      steps: names,
      old: first === undefined ? 0 : sum(first),
      new: second === undefined ? 0 : sum(second),
      share,
    };
    return { key, comparison: share, change };
  });
}

/**
 * What the vcpus do in two recordings: how often, where in their lives, along which paths, and what follows what; all of
 * them together first, then what differs for one role only.
 */
export function compareBehaviour(old: BehaviourSide, next: BehaviourSide): BehaviourDiff {
  const notCompared = incomparable(old, next);
  const left = new Set(notCompared.map(({ kind }) => kind));
  const shows = (step: number) => !left.has(steps[step]!.kind);
  const whole = {
    old: new View(old.behaviour.vcpus, shows),
    new: new View(next.behaviour.vcpus, shows),
  };
  const pairs = pairVcpus(old.behaviour, next.behaviour, shows).map((pair) => ({
    role: pair.role,
    old: new View([pair.old], shows),
    new: new View([pair.new], shows),
  }));
  const changes = <T>(
    candidates: (role: Role | null, old: View, next: View) => Candidate<T>[],
    size: (comparison: Comparison) => number,
  ): T[] => {
    const all = judged(candidates(null, whole.old, whole.new), size);
    const told = new Set(all.map(({ key }) => key));
    const ofRoles = judged(
      pairs.length < 2 ? [] : pairs.flatMap((pair) => candidates(pair.role, pair.old, pair.new)),
      size,
    );
    return [...all, ...ofRoles.filter(({ key }) => !told.has(key))].map(({ change }) => change);
  };
  return {
    notCompared,
    rates: changes(rates, byFactor),
    placements: changes(placements, byDifference),
    paths: changes(paths, byDifference),
    sequences: changes(sequences, byDifference),
  };
}
