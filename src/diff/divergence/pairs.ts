import type { VcpuName } from '../../check/facts.js';
import type { SideName } from '../facts.js';
import { type Alignment, align, share } from './align.js';
import type { Comparable, View } from './comparable.js';
import type { VcpuPair } from './facts.js';
import { isGuestStep } from './segment.js';
import type { Steps } from './steps.js';

/** Guest steps that are enough to tell vcpus apart. */
const sample = 512;
/** More vcpus than these are not told apart by their steps: each is compared with each. */
const mostCompared = 16;

/** The guest steps of one vcpu. */
export interface Guest {
  readonly index: number;
  readonly name: VcpuName;
  readonly view: View;
  /** Numbers of the view's pieces that begin with a guest step. */
  readonly anchors: Int32Array;
  readonly kinds: Uint16Array;
}

/** Two vcpus of the same role. */
export interface Pair {
  readonly old: Guest;
  readonly new: Guest;
  readonly by: VcpuPair['by'];
  readonly alignment: Alignment;
}

/** The vcpus of a recording that made guest steps. @param trapsTimer whether trapped system registers count */
export function guestsOf(
  { vcpus, names }: Steps,
  side: SideName,
  comparable: Comparable,
  trapsTimer: boolean,
): Guest[] {
  return vcpus.flatMap((steps, index) => {
    const name = names[index];
    if (steps === undefined || name === null || name === undefined) return [];
    const view = comparable.view(side, steps);
    const found = guestSteps(view, trapsTimer);
    return found.anchors.length === 0 ? [] : [{ index, name, view, ...found }];
  });
}

function guestSteps({ length, kind }: View, trapsTimer: boolean): Pick<Guest, 'anchors' | 'kinds'> {
  const anchors = new Int32Array(length);
  const kinds = new Uint16Array(length);
  let found = 0;
  for (let at = 0; at < length; at++) {
    if (!isGuestStep(kind[at]!, trapsTimer)) continue;
    anchors[found] = at;
    kinds[found++] = kind[at]!;
  }
  return { anchors: anchors.subarray(0, found), kinds: kinds.subarray(0, found) };
}

/** Share of the guest steps of all pairs that are the same, 0 to 1. */
export function shareOf(pairs: readonly Pair[]): number {
  const same = pairs.reduce((sum, { alignment }) => sum + alignment.length, 0);
  const reach = pairs.reduce((sum, { alignment }) => sum + alignment.reach[0] + alignment.reach[1], 0);
  return reach === 0 ? 0 : (2 * same) / reach;
}

function pair(old: Guest, next: Guest, by: Pair['by']): Pair {
  return { old, new: next, by, alignment: align(old.kinds, next.kinds) };
}

function byName(old: readonly Guest[], next: readonly Guest[]): Pair[] {
  return old.flatMap((one) => {
    const same = next.filter(({ name }) => name.vm === one.name.vm && name.id === one.name.id);
    return same.length === 1 ? [pair(one, same[0]!, 'name')] : [];
  });
}

/** Those whose steps are most alike, whatever their numbers. */
function bySteps(old: readonly Guest[], next: readonly Guest[]): Pair[] {
  if (old.length > mostCompared || next.length > mostCompared) return [];
  const candidates = old.flatMap((one) =>
    next.map((other) => {
      const alignment = align(one.kinds.subarray(0, sample), other.kinds.subarray(0, sample));
      return { one, other, likeness: share(alignment) * alignment.length };
    }),
  );
  candidates.sort((a, b) => b.likeness - a.likeness);
  const taken = new Set<Guest>();
  return candidates.flatMap(({ one, other }) => {
    if (taken.has(one) || taken.has(other)) return [];
    taken.add(one).add(other);
    return [pair(one, other, 'steps')];
  });
}

/** Which vcpu is which: by VM and vcpu id, or by what the guests do where that fits better. */
export function pairGuests(old: readonly Guest[], next: readonly Guest[], enough: number): Pair[] {
  const named = byName(old, next);
  const whole = named.length === Math.min(old.length, next.length);
  if (whole && shareOf(named) >= enough) return named;
  const alike = bySteps(old, next);
  return shareOf(alike) > shareOf(named) || alike.length > named.length ? alike : named;
}
