/** Most blocks that a recording is divided into. */
export const mostBlocks = 32;

/** Width of the first blocks, nanoseconds: more than a guest's tick of 100 Hz, so that each holds all that recurs. */
const firstWidth = 2 ** 24;

/** Something that is kept for each block. */
export interface ByBlock {
  /**
   * A block ends, or is left for an earlier one. What counts for the block at hand apart, so that an event need not look
   * for the block's place, puts it there now.
   */
  settle?(block: number): void;
  /** Blocks 2i and 2i+1 have become block i. */
  fold(): void;
}

/**
 * Divides a recording into blocks of equal time while it is read, whatever its length: when all are full, each two
 * become one, and blocks are twice as wide from then on. What varies from block to block within a recording is how much
 * of a difference between two recordings is chance. A recording of more than half a second has 17 to 32 of them.
 */
export class Blocks {
  /** The block of the event at hand. */
  current = 0;
  /** Born as no integer, as `TimerEvent.time` is. */
  #width = Number.NaN;
  /** Times of the trace at which the current block begins and ends. */
  #from = Number.NaN;
  #until = Number.NaN;
  #start = Number.NaN;
  readonly #kept: ByBlock[] = [];

  constructor() {
    this.#width = firstWidth;
  }

  /** Has something folded with the blocks. */
  keep<T extends ByBlock>(kept: T): T {
    this.#kept.push(kept);
    return kept;
  }

  /** Nanoseconds that a block lasts. */
  get width(): number {
    return this.#width;
  }

  /** Goes to the block of an event. @param time nanoseconds since the first record of the trace */
  advance(time: number): void {
    if (time < this.#from || !(time < this.#until)) this.#turn(time);
  }

  /** The recording has ended. */
  end(): void {
    this.#settle();
  }

  #turn(time: number): void {
    if (Number.isNaN(this.#start)) this.#start = time;
    const since = Math.max(0, time - this.#start);
    if (Math.floor(since / this.#width) !== this.current) this.#settle();
    while (since >= mostBlocks * this.#width) {
      this.#width *= 2;
      for (const kept of this.#kept) kept.fold();
    }
    this.current = Math.floor(since / this.#width);
    this.#from = this.#start + this.current * this.#width;
    this.#until = this.#from + this.#width;
  }

  #settle(): void {
    for (const kept of this.#kept) kept.settle?.(this.current);
  }
}

/** A number for each block. */
export type Sums = Float64Array;

export function createSums(): Sums {
  return new Float64Array(mostBlocks);
}

/** Folds sums as `ByBlock.fold` asks. */
export function foldSums(sums: Sums): void {
  const half = sums.length / 2;
  for (let block = 0; block < half; block++) sums[block] = sums[2 * block]! + sums[2 * block + 1]!;
  sums.fill(0, half);
}

/** As `foldSums`, for what has a merge of its own. A place that is undefined was never used. */
export function foldMerged<T extends { merge(other: T): void }>(values: (T | undefined)[]): void {
  const half = mostBlocks / 2;
  for (let block = 0; block < half; block++) {
    const [first, second] = [values[2 * block], values[2 * block + 1]];
    if (first !== undefined && second !== undefined) first.merge(second);
    values[block] = first ?? second;
  }
  values.length = Math.min(values.length, half);
}
