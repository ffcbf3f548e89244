import type { Naming } from '../check/findings.js';
import type { ObservedTrace, Observer } from '../check/observe.js';
import type { CostCounter } from '../cost/costs.js';
import type { TimerEvent } from '../events/event.js';
import type { Machine } from '../machine/machine.js';
import { Cell } from '../stats/cell.js';
import { Collector } from '../stats/collector.js';
import { type Blocks, foldMerged } from './noise/index.js';

/** What `stats` counts and measures, of all vcpus together and by block of time. */
export class BlockStats implements Observer {
  /** Undefined for a block in which nothing happened. */
  readonly cells: (Cell | undefined)[] = [];
  readonly #collector: Collector;

  constructor(naming: Naming, blocks: Blocks) {
    this.#collector = new Collector(naming, {
      cell: () => {
        this.cells[blocks.current] ??= new Cell();
        return this.cells[blocks.current]!;
      },
      place: () => blocks.current,
    });
    blocks.keep({
      fold: () => {
        foldMerged(this.cells);
        this.#collector.costs.fold();
      },
    });
  }

  /** By vcpu and block. */
  get costs(): CostCounter {
    return this.#collector.costs;
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
}
