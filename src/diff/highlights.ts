import type { BehaviourDiff, PlacementChange, RateChange } from './behaviour/facts.js';

/** Most sentences of each kind. */
const most = 4;

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

/** Where a step has moved from and to, told by the two places whose shares changed most. */
function moves(placements: readonly PlacementChange[]): string[] {
  const bySteps = new Map<string, PlacementChange[]>();
  for (const change of placements) bySteps.set(change.step, [...(bySteps.get(change.step) ?? []), change]);
  return [...bySteps].map(([step, changes]) => {
    const from = changes.find(({ share }) => share.new < share.old);
    const to = changes.find(({ share }) => share.new > share.old);
    const place = (change: PlacementChange) =>
      `after ${change.anchor} ${percent(change.share.old)} -> ${percent(change.share.new)}`;
    return `${step}: ${[from, to].flatMap((change) => (change === undefined ? [] : [place(change)])).join(', ')}`;
  });
}

function rateSentence({ what, per, rate }: RateChange): string {
  const change = rate.old === 0 ? 'appears' : rate.new === 0 ? 'disappears' : undefined;
  const values = `${rate.old.toPrecision(3)} -> ${rate.new.toPrecision(3)}`;
  return change === undefined ? `${what} per ${per}: ${values}` : `${what} ${change}: per ${per} ${values}`;
}

/** What changed most, as sentences: of all vcpus together, or where nothing changed for all, of single ones. */
export function behaviourHighlights({ rates, placements, paths, sequences }: BehaviourDiff): string[] {
  const ofAll = <T extends { readonly role: unknown }>(changes: readonly T[]) =>
    changes.filter(({ role }) => role === null);
  const sentences = [...moves(ofAll(placements)).slice(0, most), ...ofAll(rates).slice(0, most).map(rateSentence)];
  if (sentences.length > 0) return sentences;
  const count = rates.length + placements.length + paths.length + sequences.length;
  return count === 0 ? [] : [`behaviour: ${count} ${count === 1 ? 'change' : 'changes'}`];
}
