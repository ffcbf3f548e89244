import type { Naming } from '../check/findings.js';
import type { ObservedTrace, Observer } from '../check/observe.js';
import type { TimerEvent } from '../events/event.js';
import type { Machine } from '../machine/machine.js';
import { Cell } from '../stats/cell.js';
import { Collector } from '../stats/collector.js';
import { type Blocks, type ByBlock, foldMerged } from './noise/index.js';

/** What `stats` counts and measures, of all vcpus together and by block of time. */
export class BlockStats implements Observer, ByBlock {
  /** Undefined for a block in which nothing happened. */
  readonly cells: (Cell | undefined)[] = [];
  /** Of the block at hand, until it is settled. */
  readonly #current = new Cell();
  readonly #collector: Collector;

  constructor(naming: Naming, blocks: Blocks) {
    this.#collector = new Collector(naming, this.#current);
    blocks.keep(this);
  }

  /** See `Collector.deadlineError`. */
  get deadlineError(): number {
    return this.#collector.deadlineError;
  }

  begin(trace: ObservedTrace): void {
    this.#collector.begin(trace);
  }

  event(event: TimerEvent, machine: Machine): void {
    this.#collector.event(event, machine);
  }

  end(time: number): void {
    this.#collector.end(time);
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
