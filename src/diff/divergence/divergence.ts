import type { TraceSummary } from '../../check/facts.js';
import type { KindName } from '../../events/kinds.js';
import type { SideName } from '../facts.js';
import { chanceOfNone } from './chance.js';
import { Comparable } from './comparable.js';
import type { AlignmentSummary, Divergence, DivergentSide, FirstDivergence, Misalignment } from './facts.js';
import { choice, groupAt, kindOfChoice, type Occurrences, occurrences } from './groups.js';
import { type Guest, guestsOf, type Pair, pairGuests, shareOf } from './pairs.js';
import { otherPath } from './paths.js';
import { isGuestStep, segmentWords } from './segment.js';
import type { Steps } from './steps.js';

/** One recording: what its check says, and the steps that were kept of it. */
export interface SteppedSide {
  readonly summary: TraceSummary;
  readonly steps: Steps;
}

/** Share of the guest steps from which on two guests did the same. Other scenarios reach some 0.75 by chance. */
const enoughAlike = 0.8;
/** Fewest guest steps on both sides that tell anything. */
const fewest = 16;
/** Level of the test for all paths together (Bonferroni). */
const level = 0.001;
/** Times of one recording in two formats differ by no more, nanoseconds. */
const sameTime = 2000;
/** Share of the times of guest steps that two copies of one recording have in common. */
const sameTimes = 0.9;

/** Where the divergence is, for those who read the events there again. */
export interface Place {
  /** Index of the vcpu in its run. */
  readonly vcpu: number;
  /** Nanoseconds since the recording's first record: when the piece begins, and when the vcpu's next one does. */
  readonly from: number;
  readonly to: number;
  /** Where the two are in the input, see `TimerEvent.position`. */
  readonly position: number;
  readonly next: number;
}

/** A divergence, and its place in both recordings. */
export interface Located {
  readonly divergence: Divergence;
  readonly places: Readonly<Record<SideName, Place>> | null;
}

/** A place in both recordings: the pieces, by pair and number; null where one has none. */
interface Spot {
  readonly pair: Pair;
  readonly after: number;
  readonly old: number | null;
  readonly new: number | null;
  /** Where to look in a recording that has no such piece. */
  readonly near: Readonly<Record<SideName, number>>;
}

/** Finds the first place where two recordings of the same guest work behave differently. */
export function findDivergence(old: SteppedSide, next: SteppedSide): Located {
  const sides = { old, new: next };
  const hosts = [old, next].map(({ summary }) => summary.host.id);
  // A non-VHE host traps the guest's accesses to the physical timer, a VHE host does not.
  const trapsTimer = hosts[0] === hosts[1];
  const comparable = new Comparable(sides);
  const guests = (side: SideName) => guestsOf(sides[side].steps, side, comparable, trapsTimer);
  const pairs = pairGuests(guests('old'), guests('new'), enoughAlike);
  // Where the two record different kinds, what is derived from them differs as well.
  const oneRecording = comparable.leftOut.length === 0 && isOneRecording(pairs);
  const alignment = summariseAlignment(pairs, sides, oneRecording, comparable.leftOut);
  const nothing = { alignment, first: null, rare: 0, level };
  if (!alignment.aligned) return { divergence: nothing, places: null };
  return oneRecording ? inCopies(pairs, sides, comparable, nothing) : inRuns(pairs, sides, comparable, nothing);
}

/** Nanoseconds since the recording's first record. @param at number in the view */
function timeOf({ view }: Guest, at: number): number {
  return view.steps.time[view.piece[at]!]!;
}

/** Whether guest steps come at the same times since the first record: those of two runs never do. */
function isOneRecording(pairs: readonly Pair[]): boolean {
  let same = 0;
  let all = 0;
  for (const { old, new: next } of pairs) {
    let [i, j] = [0, 0];
    while (i < old.anchors.length && j < next.anchors.length) {
      const later = timeOf(next, next.anchors[j]!) - timeOf(old, old.anchors[i]!);
      if (Math.abs(later) <= sameTime) same++;
      all++;
      if (later >= -sameTime) i++;
      if (later <= sameTime) j++;
    }
  }
  return all > 0 && same / all >= sameTimes;
}

function summariseAlignment(
  pairs: readonly Pair[],
  sides: Readonly<Record<SideName, SteppedSide>>,
  oneRecording: boolean,
  leftOut: readonly KindName[],
): AlignmentSummary {
  const share = shareOf(pairs);
  const same = pairs.reduce((sum, { alignment }) => sum + alignment.length, 0);
  const percent = `${Math.floor(100 * share)} %`;
  const both = [sides.old, sides.new];
  const names = ['old', 'new'];
  const silent = names.filter((_, at) => !both[at]!.summary.recording.shown.includes('exit'));
  const lost = names.filter((_, at) => both[at]!.steps.lost);
  let reason: Misalignment | null = null;
  let because = oneRecording
    ? 'the two are one recording: guest steps come at the same times'
    : `${percent} of the guest steps (exits by a trap, in their order) are the same on both sides`;
  if (silent.length > 0) {
    reason = 'no-exits';
    because = `the ${silent.join(' and the ')} recording does not show why the guest was left: record kvm:kvm_exit`;
  } else if (share < enoughAlike && same >= fewest) {
    reason = lost.length > 0 ? 'lost-records' : 'other-work';
    const lack = lost.length > 0 ? `, and records were lost in the ${lost.join(' and the ')} recording` : '';
    because = `only ${percent} of the guest steps are the same, ${100 * enoughAlike} % are needed: the guests did not do the same${lack}`;
  } else if (same < fewest && !oneRecording) {
    reason = 'few-steps';
    because = `${same} guest steps (exits by a trap) are the same on both sides, ${fewest} are needed`;
  }
  return {
    aligned: reason === null,
    reason,
    because,
    share,
    oneRecording,
    complete: !both.some(({ steps }) => steps.cut),
    leftOut,
    vcpus: pairs.map(({ old, new: next, by, alignment }) => ({
      old: old.name,
      new: next.name,
      by,
      steps: alignment.reach,
      aligned: alignment.length,
    })),
  };
}

type Sides = Readonly<Record<SideName, SteppedSide>>;

/** Two copies of one recording: the first piece that is another one, by vcpu; the earliest of all. */
function inCopies(pairs: readonly Pair[], sides: Sides, comparable: Comparable, nothing: Divergence): Located {
  let first: { spot: Spot; kind: FirstDivergence['kind']; time: number } | undefined;
  for (const pair of pairs) {
    const a = pair.old.view;
    const b = pair.new.view;
    let after = 0;
    for (let at = 0; at < a.length && at < b.length; at++) {
      const isStep = a.kind[at] !== b.kind[at];
      // The end of a recording that was cut short, or a loss, leaves a path open.
      const isKnown = a.path[at] !== otherPath && b.path[at] !== otherPath;
      const isPath = isKnown && a.path[at] !== b.path[at];
      const isValue = isKnown && a.values[at] !== b.values[at];
      if (isStep || isPath || isValue) {
        const kind = isStep ? 'step' : isPath ? 'path' : 'values';
        const spot = { pair, after, old: at, new: at, near: { old: at, new: at } };
        const time = timeOf(pair.old, at);
        if (first === undefined || time < first.time) first = { spot, kind, time };
        break;
      }
      if (isGuestStep(a.kind[at]!, true)) after++;
    }
  }
  if (first === undefined) return { divergence: nothing, places: null };
  return located(nothing, pairs, sides, comparable, first.spot, first.kind, null, undefined);
}

/** Two runs: the first piece that goes a way which the other recording never goes, more often than chance explains. */
function inRuns(pairs: readonly Pair[], sides: Sides, comparable: Comparable, nothing: Divergence): Located {
  const counts = {
    old: occurrences(pairs, 'old'),
    new: occurrences(pairs, 'new'),
  };
  const groups = pairs.reduce((sum, { alignment }) => sum + alignment.length, 0);
  const lone = { old: new Map<number, number>(), new: new Map<number, number>() };
  const all = new Set([...counts.old.choices.keys(), ...counts.new.choices.keys()]);
  let rare = 0;
  for (const key of all) {
    const [a, b] = [counts.old.choices.get(key) ?? 0, counts.new.choices.get(key) ?? 0];
    if (a > 0 && b > 0) continue;
    const side = a > 0 ? 'old' : 'new';
    const other = a > 0 ? 'new' : 'old';
    const kind = kindOfChoice(key);
    const theirs = counts[other].kinds.get(kind) ?? 0;
    // Where the other never comes to this at all, every guest step was an occasion.
    const chance =
      theirs === 0 ? chanceOfNone(a + b, groups, groups) : chanceOfNone(a + b, counts[side].kinds.get(kind)!, theirs);
    if (chance * all.size <= level) lone[side].set(key, chance);
    else rare++;
  }
  let first: { spot: Spot; chance: number; time: number } | undefined;
  for (const pair of pairs) {
    const found = firstLone(pair, lone);
    if (found !== undefined && (first === undefined || found.time < first.time)) first = found;
  }
  if (first === undefined) return { divergence: { ...nothing, rare }, places: null };
  return located({ ...nothing, rare }, pairs, sides, comparable, first.spot, 'path', first.chance, counts);
}

function firstLone(
  pair: Pair,
  lone: Readonly<Record<SideName, ReadonlyMap<number, number>>>,
): { spot: Spot; chance: number; time: number } | undefined {
  for (let aligned = 0; aligned < pair.alignment.length; aligned++) {
    const groups = { old: groupAt(pair, 'old', aligned), new: groupAt(pair, 'new', aligned) };
    for (const [side, other] of [
      ['old', 'new'],
      ['new', 'old'],
    ] as const) {
      const { view } = pair[side];
      const [from, to] = groups[side];
      for (let at = from; at < to; at++) {
        const path = view.path[at]!;
        const chance = path === otherPath ? undefined : lone[side].get(choice(view.kind[at]!, path));
        if (chance === undefined) continue;
        const [start, end] = groups[other];
        let there: number | null = null;
        for (let i = start; i < end && there === null; i++) if (pair[other].view.kind[i] === view.kind[at]) there = i;
        const near = { [side]: at, [other]: there ?? start } as Record<SideName, number>;
        const spot = { pair, after: aligned, [side]: at, [other]: there, near } as unknown as Spot;
        return { spot, chance, time: timeOf(pair[side], at) };
      }
    }
  }
  return undefined;
}

function located(
  nothing: Divergence,
  pairs: readonly Pair[],
  sides: Sides,
  comparable: Comparable,
  spot: Spot,
  kind: FirstDivergence['kind'],
  chance: number | null,
  counts: Readonly<Record<SideName, Occurrences>> | undefined,
): Located {
  const { pair } = spot;
  const key = (side: SideName) => {
    const at = spot[side];
    const { view } = pair[side];
    return at === null || view.path[at] === otherPath ? undefined : choice(view.kind[at]!, view.path[at]!);
  };
  const known = key('old') ?? key('new');
  const sideOf = (side: SideName): DivergentSide => {
    const { view } = pair[side];
    const { naming } = sides[side].steps;
    const time = timeOf(pair[side], spot.near[side]);
    const own = key(side);
    return {
      time: naming.time(time),
      since: time / 1e9,
      position: naming.position(view.steps.position[view.piece[spot.near[side]]!]!),
      path: own === undefined ? null : comparable.words(own % 0x10000),
      usual: own === undefined && known !== undefined ? usual(kindOfChoice(known), counts?.[side], comparable) : null,
      times: own === undefined ? 0 : (counts?.[side].choices.get(own) ?? 1),
      of: known === undefined ? 0 : (counts?.[side].kinds.get(kindOfChoice(known)) ?? (counts === undefined ? 1 : 0)),
      events: [],
      before: {},
      after: {},
    };
  };
  const placeOf = (side: SideName): Place => {
    const { view, index } = pair[side];
    const at = spot.near[side];
    const { time, position } = view.steps;
    const piece = view.piece[at]!;
    const next = view.piece[at + 1];
    return {
      vcpu: index,
      from: time[piece]!,
      to: next === undefined ? Number.POSITIVE_INFINITY : time[next]!,
      position: position[piece]!,
      next: next === undefined ? -1 : position[next]!,
    };
  };
  return {
    divergence: {
      ...nothing,
      first: {
        kind,
        at: segmentWords(pair[spot.old === null ? 'new' : 'old'].view.kind[(spot.old ?? spot.new)!]!),
        vcpu: pairs.indexOf(pair),
        after: spot.after,
        old: sideOf('old'),
        new: sideOf('new'),
        chance,
      },
    },
    places: { old: placeOf('old'), new: placeOf('new') },
  };
}

/** The path that a recording takes most often at one kind of piece. */
function usual(kind: number, counts: Occurrences | undefined, comparable: Comparable): string[] | null {
  let best: readonly [number, number] | undefined;
  for (const entry of counts?.choices ?? [])
    if (kindOfChoice(entry[0]) === kind && (best === undefined || entry[1] > best[1])) best = entry;
  return best === undefined ? null : comparable.words(best[0] % 0x10000);
}
