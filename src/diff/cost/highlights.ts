import { costMeanings } from '../../cost/kinds.js';
import type { CostChange, CostDiff } from './facts.js';

/** Most sentences. */
const most = 4;

function sentence({ kind, per, cost }: CostChange): string {
  return `${costMeanings[kind][0]} per ${per}: ${cost.old.toFixed(2)} -> ${cost.new.toFixed(2)}`;
}

/** What changed most in what the kernel has to do, as sentences: each run of its code first. */
export function costHighlights({ perEvent, totals }: CostDiff): string[] {
  const size = ({ cost }: CostChange) => Math.abs(cost.new - cost.old);
  const told = (changes: readonly CostChange[]) =>
    changes.filter(({ differs }) => differs).sort((a, b) => size(b) - size(a));
  const changes = [...told(perEvent), ...told(totals.filter(({ per }) => per === 'tick'))];
  const left = changes.length - most;
  const sentences = changes.slice(0, most).map(sentence);
  return left <= 0 ? sentences : [...sentences, `${left} more costs`];
}
