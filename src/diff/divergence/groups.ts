import type { SideName } from '../facts.js';
import type { Pair } from './pairs.js';
import { otherPath } from './paths.js';

/** Tells a path of one kind of piece. */
export function choice(kind: number, path: number): number {
  return kind * 0x10000 + path;
}

/** The kind of a `choice`. */
export function kindOfChoice(key: number): number {
  return Math.floor(key / 0x10000);
}

/** How often a recording is at a kind of piece and how often it takes each path: an aligned guest step counts once. */
export interface Occurrences {
  readonly kinds: Map<number, number>;
  readonly choices: Map<number, number>;
}

/** First and last piece, exclusive, of what belongs to an aligned guest step: up to the vcpu's next guest step. */
export function groupAt(pair: Pair, side: SideName, aligned: number): readonly [from: number, to: number] {
  const { anchors, view } = pair[side];
  const at = (side === 'old' ? pair.alignment.first : pair.alignment.second)[aligned]!;
  return [anchors[at]!, anchors[at + 1] ?? view.length];
}

function add(counts: Map<number, number>, key: number): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** Counts one recording's pieces at the aligned guest steps. */
export function occurrences(pairs: readonly Pair[], side: SideName): Occurrences {
  const kinds = new Map<number, number>();
  const choices = new Map<number, number>();
  const seen = new Set<number>();
  for (const pair of pairs) {
    const { view } = pair[side];
    for (let aligned = 0; aligned < pair.alignment.length; aligned++) {
      const [from, to] = groupAt(pair, side, aligned);
      seen.clear();
      for (let at = from; at < to; at++) {
        const path = view.path[at]!;
        if (path === otherPath) continue;
        const kind = view.kind[at]!;
        const key = choice(kind, path);
        // A kind alone is below every choice of kind 1 and above: told apart by its sign.
        if (!seen.has(-1 - kind)) add(kinds, kind);
        if (!seen.has(key)) add(choices, key);
        seen.add(-1 - kind).add(key);
      }
    }
  }
  return { kinds, choices };
}
