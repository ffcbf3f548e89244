import { addCounts, EpisodeCounter } from '../../cost/costs.js';
import type { Costs } from '../../cost/tally.js';
import { type ByBlock, mostBlocks } from '../noise/index.js';

const nothing = new Float64Array(0);

/** Counts operations by block of time. */
export class BlockCosts extends EpisodeCounter implements ByBlock {
  /** By block, how often each node was the end of an episode. */
  readonly #counts: Float64Array[] = new Array(mostBlocks).fill(nothing);
  /** The same of all blocks that are settled. */
  #settled: Float64Array = nothing;

  settle(block: number): void {
    const ends = this.episodes?.trie.ends ?? nothing;
    this.#counts[block] = addCounts(
      this.#counts[block]!,
      ends.map((count, node) => count - (this.#settled[node] ?? 0)),
    );
    this.#settled = ends.slice();
  }

  fold(): void {
    const half = mostBlocks / 2;
    for (let block = 0; block < half; block++)
      this.#counts[block] = addCounts(this.#counts[2 * block]!, this.#counts[2 * block + 1]!);
    this.#counts.fill(nothing, half);
  }

  /** The operations of a block; undefined when no model fits. To be asked after the end. */
  ofBlock(block: number): Costs | undefined {
    return this.costsOf(this.#counts[block]!);
  }

  /** Those of all blocks. */
  all(): Costs | undefined {
    return this.costsOf(this.#counts.reduce(addCounts, nothing.slice()));
  }
}
