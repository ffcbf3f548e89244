import type { KindName } from '../../events/kinds.js';
import type { BehaviourSide } from './compare.js';
import type { NotCompared } from './facts.js';
import { steps } from './step.js';

/** Kinds that, where they only follow from other records, are not quite what a probe records: a WFI need not block. */
const looselyDerived: readonly KindName[] = ['schedule', 'unschedule'];

/** Why a recording does not show a kind as it happened; undefined when it does. */
function lack({ summary, behaviour }: BehaviourSide, kind: KindName): string | undefined {
  const basis = behaviour.basis(kind);
  if (basis === 'approximate' || basis === 'unknown') return 'placed by neighbouring records only';
  if (basis === 'of no vcpu') return 'recorded, but of no vcpu that is known';
  if (basis === undefined && !summary.recording.shown.includes(kind)) return 'not recorded';
  return undefined;
}

/** Kinds that happened in one recording at least, and of which the other one does not tell the same. */
export function incomparable(old: BehaviourSide, next: BehaviourSide): NotCompared[] {
  return [...new Set(steps.map(({ kind }) => kind))].flatMap((kind) => {
    const [first, second] = [old.behaviour.basis(kind), next.behaviour.basis(kind)];
    if (first === undefined && second === undefined) return [];
    const counts = { old: old.behaviour.events(kind), new: next.behaviour.events(kind) };
    const ofOld = lack(old, kind);
    if (ofOld !== undefined) return [{ kind, side: 'old' as const, why: ofOld, ...counts }];
    const ofNew = lack(next, kind);
    if (ofNew !== undefined) return [{ kind, side: 'new' as const, why: ofNew, ...counts }];
    if (!looselyDerived.includes(kind) || first === second || first === undefined || second === undefined) return [];
    return [{ kind, side: first === 'derived' ? 'old' : 'new', why: 'follows from other records only', ...counts }];
  });
}
