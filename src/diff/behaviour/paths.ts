import { type ByBlock, createSums, foldSums, type Sums } from '../noise/blocks.js';

/** Most steps of a path; what is longer is cut, and ends in an ellipsis where it is shown. */
const longestPath = 40;
/** A part of so many steps that repeats at once counts as one: loops are told without their count. */
const longestLoop = 4;

/** One path that was taken. */
export class Path {
  /** Trips that took it, by time block. */
  readonly trips: Sums = createSums();

  /** @param steps their numbers */
  constructor(readonly steps: Uint8Array) {}
}

/** Whether the last `size` of so many steps are a repetition of those before them. */
function repeats(steps: ArrayLike<number>, length: number, size: number): boolean {
  for (let back = 1; back <= size; back++) if (steps[length - back] !== steps[length - back - size]) return false;
  return true;
}

/** How many of so many steps are left when a repetition at their end is taken away. */
function withoutLoop(steps: ArrayLike<number>, length: number): number {
  for (let size = 1; size <= longestLoop && 2 * size <= length; size++)
    if (repeats(steps, length, size)) return length - size;
  return length;
}

/** A path without some of its steps, which may make a loop of what is left. */
export function filtered(path: Uint8Array, keeps: (step: number) => boolean): number[] {
  const left: number[] = [];
  for (const step of path) {
    if (!keeps(step)) continue;
    left.push(step);
    left.length = withoutLoop(left, left.length);
  }
  return left;
}

/**
 * The paths that a vcpu takes from one entry to the next, each with the number of its trips by time block. Memory is
 * bounded: of paths that come when there is no more room only the number of trips is kept.
 */
export class PathTable implements ByBlock {
  /** Trips of paths that found no room, by time block. */
  readonly others: Sums = createSums();
  readonly #paths = new Map<number, Path[]>();
  readonly #limit: number;
  readonly #steps = new Uint8Array(longestPath);
  #length = 0;
  #count = 0;

  /** @param limit most paths */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The trip goes on with a step. */
  add(step: number): void {
    if (this.#length === longestPath) return;
    this.#steps[this.#length++] = step;
    this.#length = withoutLoop(this.#steps, this.#length);
  }

  /** The trip has ended, and another one begins. @param block in which it ended; -1 when it was not seen whole */
  end(block: number): void {
    const length = this.#length;
    this.#length = 0;
    if (block < 0) return;
    let hash = length;
    for (let at = 0; at < length; at++) hash = (Math.imul(hash, 31) + this.#steps[at]!) | 0;
    let same = this.#paths.get(hash);
    if (same === undefined) {
      same = [];
      this.#paths.set(hash, same);
    }
    let path = same.find((one) => this.#is(one, length));
    if (path === undefined) {
      if (this.#count >= this.#limit) {
        this.others[block]!++;
        return;
      }
      this.#count++;
      path = new Path(this.#steps.slice(0, length));
      same.push(path);
    }
    path.trips[block]!++;
  }

  #is({ steps }: Path, length: number): boolean {
    if (steps.length !== length) return false;
    for (let at = 0; at < length; at++) if (steps[at] !== this.#steps[at]) return false;
    return true;
  }

  fold(): void {
    foldSums(this.others);
    for (const { trips } of this.all()) foldSums(trips);
  }

  /** Every path. */
  *all(): Generator<Path> {
    for (const same of this.#paths.values()) yield* same;
  }
}
