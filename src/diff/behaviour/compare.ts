import type { TraceSummary } from '../../check/facts.js';
import { type Cell, Count } from '../../stats/cell.js';
import { reasonName } from '../../stats/reason.js';
import { createSums, type Sums } from '../noise/blocks.js';
import { type Comparison, differing, type LeastEffect } from '../noise/level.js';
import { compareRatios, compareShares } from '../noise/ratio.js';
import type { BlockStats } from '../stats.js';
import { incomparable } from './comparable.js';
import type { BehaviourDiff, PathChange, PlacementChange, RateChange, Role, SequenceChange } from './facts.js';
import type { BehaviourRecorder } from './recorder.js';
import { pairVcpus } from './roles.js';
import type { Anchor } from './step.js';
import { steps } from './step.js';
import { type Shares, View } from './view.js';

/** What of one recording is compared. */
export interface BehaviourSide {
  readonly summary: TraceSummary;
  readonly behaviour: BehaviourRecorder;
  readonly stats: BlockStats;
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
const perEntry = steps.map(({ name }) => name).filter((name) => !['entry', 'exit'].includes(name));
/** Those that are told by how often they happen at each tick of the guest. */
const perTick = ['entry', 'exit', 'vtimer_irq', 'update_irq 1', 'update_irq 0'];

function sum(sums: Sums): number {
  return sums.reduce((total, count) => total + count, 0);
}

function rates(role: Role | null, old: View, next: View): Candidate<RateChange>[] {
  const of = (names: readonly string[], per: 'entry' | 'tick', whole: (view: View) => Sums) =>
    names.flatMap((what): Candidate<RateChange>[] => {
      if (sum(old.count(what)) + sum(next.count(what)) === 0) return [];
      const side = (view: View) => ({ count: view.count(what), per: whole(view) });
      const rate = compareRatios(side(old), side(next));
      return [{ key: `${what} per ${per}`, comparison: rate, change: { role, what, per, rate } }];
    });
  return [...of(perEntry, 'entry', (view) => view.count('entry')), ...of(perTick, 'tick', ({ ticks }) => ticks)];
}

/** Where the interrupts of the guest's timers find the vcpu, and which of them raise nothing. */
const interrupts = [
  ['interrupts in the guest', Count.interruptsInGuest],
  ['interrupts while loaded', Count.interruptsLoaded],
  ['late interrupts', Count.interruptsLate],
  ['spurious interrupts', Count.interruptsSpurious],
] as const;

/** Interrupts per tick, and exits by reason as a share of all exits, of all vcpus together. */
function statsRates(old: BlockStats, next: BlockStats, comparesInterrupts: boolean): Candidate<RateChange>[] {
  const counted = ({ cells }: BlockStats, of: (cell: Cell) => number): Sums => {
    const sums = createSums();
    cells.forEach((cell, block) => {
      if (cell !== undefined) sums[block] = of(cell);
    });
    return sums;
  };
  const rate = (what: string, per: RateChange['per'], of: (cell: Cell) => number, whole: (cell: Cell) => number) => {
    const side = (stats: BlockStats) => ({ count: counted(stats, of), per: counted(stats, whole) });
    const [first, second] = [side(old), side(next)];
    if (sum(first.count) + sum(second.count) === 0) return [];
    const comparison = per === 'exit' ? compareShares(first, second) : compareRatios(first, second);
    return [{ key: `${what} per ${per}`, comparison, change: { role: null, what, per, rate: comparison } }];
  };
  const reasons = new Set([...old.cells, ...next.cells].flatMap((cell) => [...(cell?.exits.keys() ?? [])]));
  const taken = comparesInterrupts ? interrupts : [];
  return [
    ...taken.flatMap(([what, count]) =>
      rate(
        what,
        'tick',
        (cell) => cell.counts[count]!,
        (cell) => cell.counts[Count.ticks]!,
      ),
    ),
    ...[...reasons].flatMap((reason) =>
      rate(
        reasonName(reason),
        'exit',
        (cell) => cell.exits.get(reason)?.count ?? 0,
        (cell) => [...cell.exits.values()].reduce((total, { count }) => total + count, 0),
      ),
    ),
  ];
}

/** Each part of each whole, in either recording. */
function shares<T>(
  [old, next]: readonly [Shares, Shares],
  change: (whole: string, part: string, share: Comparison) => T,
): Candidate<T>[] {
  const pairs = new Map([...old.pairs(), ...next.pairs()].map((pair) => [pair.join(), pair]));
  return [...pairs].map(([key, [whole, part]]) => {
    const share = compareShares(old.ratio(whole, part), next.ratio(whole, part));
    return { key, comparison: share, change: change(whole, part, share) };
  });
}

function placements(role: Role | null, old: View, next: View): Candidate<PlacementChange>[] {
  return shares([old.placements, next.placements], (step, anchor, share) => ({
    role,
    step,
    anchor: anchor as Anchor,
    share,
  }));
}

function sequences(role: Role | null, old: View, next: View): Candidate<SequenceChange>[] {
  return shares([old.sequences, next.sequences], (step, following, share) => ({ role, step, next: following, share }));
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
    rates: [
      ...changes(rates, byFactor),
      ...judged(statsRates(old.stats, next.stats, !left.has('vtimer_irq')), byFactor).map(({ change }) => change),
    ],
    placements: changes(placements, byDifference),
    paths: changes(paths, byDifference),
    sequences: changes(sequences, byDifference),
  };
}
