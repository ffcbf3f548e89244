import { Cell } from '../stats/cell.js';
import { Collector } from '../stats/collector.js';
import { type Blocks, type ByBlock, foldMerged } from './noise/index.js';

/** What `stats` counts and measures, of all vcpus together and by block of time. */
export class BlockStats extends Collector implements ByBlock {
  /** Undefined for a block in which nothing happened. */
  readonly cells: (Cell | undefined)[] = [];
  /** Of the block at hand, until it is settled. */
  readonly #current = new Cell();

  constructor(blocks: Blocks) {
    super();
    blocks.keep(this);
  }

  protected override cell(): Cell {
    return this.#current;
  }

  settle(block: number): void {
    while (this.cells.length <= block) this.cells.push(undefined);
    this.cells[block] ??= new Cell();
    this.cells[block].merge(this.#current);
    this.#current.clear();
  }

  fold(): void {
    foldMerged(this.cells);
  }
}
