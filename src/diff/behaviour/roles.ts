import type { VcpuName } from '../../check/facts.js';
import type { Sums } from '../noise/blocks.js';
import type { Role } from './facts.js';
import type { BehaviourRecorder, VcpuBehaviour } from './recorder.js';
import { stepNamed } from './step.js';

const entry = stepNamed('entry');

/** How much closer vcpus with the same number count as. */
const namesakes = 0.9;

/** A vcpu of a recording. */
interface Known {
  readonly name: VcpuName;
  readonly behaviour: VcpuBehaviour;
}

/** A vcpu of the old recording and the one that has its part in the new one. */
export interface Pair {
  readonly role: Role;
  readonly old: VcpuBehaviour;
  readonly new: VcpuBehaviour;
}

function knownVcpus({ vcpus, names }: BehaviourRecorder): Known[] {
  return vcpus.flatMap((behaviour, index) => {
    const name = names[index] ?? null;
    return name === null ? [] : [{ name, behaviour }];
  });
}

/** How often a vcpu does what at each of its trips. */
function habitsOf({ behaviour }: Known, shows: (step: number) => boolean): number[] {
  const sum = (sums: Sums | undefined) => sums?.reduce((total, count) => total + count, 0) ?? 0;
  const entries = sum(behaviour.counts[entry]) || 1;
  return behaviour.counts.map((counts, step) => (shows(step) ? sum(counts) / entries : 0));
}

/** Square roots weigh what one never does above what both do often. */
function distance(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, rate, step) => sum + Math.abs(Math.sqrt(rate) - Math.sqrt(b[step]!)), 0);
}

function pairOf(old: Known, next: Known): Pair {
  const of = ({ name: { vm, id } }: Known) => ({ vm, id });
  return { role: { old: of(old), new: of(next) }, old: old.behaviour, new: next.behaviour };
}

/**
 * Which vcpu of the new recording has the part of which of the old one: those that behave most alike, the closest first.
 * Of two that are about as close it is the one with the same number.
 */
export function pairVcpus(
  old: BehaviourRecorder,
  next: BehaviourRecorder,
  shows: (step: number) => boolean,
): readonly Pair[] {
  const habits = (known: Known) => ({ known, habits: habitsOf(known, shows) });
  const [left, right] = [knownVcpus(old).map(habits), knownVcpus(next).map(habits)];
  const all = left.flatMap(({ known: a, habits: ofA }) =>
    right.map(({ known: b, habits: ofB }) => {
      const isNamesake = a.name.vm === b.name.vm && a.name.id === b.name.id;
      return { a, b, distance: distance(ofA, ofB) * (isNamesake ? namesakes : 1) };
    }),
  );
  const taken = new Set<Known>();
  return all
    .sort((one, other) => one.distance - other.distance)
    .flatMap(({ a, b }) => {
      if (taken.has(a) || taken.has(b)) return [];
      taken.add(a).add(b);
      return [pairOf(a, b)];
    })
    .sort((one, other) => one.role.old.vm - other.role.old.vm || one.role.old.id - other.role.old.id);
}
