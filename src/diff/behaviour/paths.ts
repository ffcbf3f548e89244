import { type ByBlock, createSums, foldSums, type Sums } from '../noise/blocks.js';
import { steps as allSteps } from './step.js';

/** Most steps of a path; what is longer is cut, and ends in an ellipsis where it is shown. */
const longestPath = 40;
/** A part of so many steps that repeats at once counts as one: loops are told without their count. */
const longestLoop = 4;

/** One path that was taken. */
export class Path {
  /** Trips that took it, by time block. */
  readonly trips: Sums = createSums();
  /** Those of the block at hand, until it is settled. */
  current = 0;

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

/** Steps of a node, rounded up for shifting. */
const shift = 6;
if (allSteps.length > 1 << shift) throw new RangeError('too many steps');

/** Most beginnings of paths that are told apart: those of all vcpus are few, however long a recording is. */
const mostNodes = 1 << 15;

/** The node of a path that has only begun, and the one of a path that found no room, which it does not leave. */
const root = 0;
const outside = 1;

/**
 * Every beginning of a path that a trip had, as a node of a tree: where the next step leads, to a longer path or, at the
 * end of a loop, back to a shorter one, is found out once.
 */
export class PathTree {
  /** By node and step the next node, 0 where that is not known; nothing leads back to the root but a loop. */
  #next = new Int32Array(256 << shift);
  #parent = new Int32Array(256);
  #step = new Uint8Array(256);
  #size = 2;

  /** The node after one more step. */
  after(node: number, step: number): number {
    const next = this.#next[(node << shift) | step]!;
    return next !== 0 ? next : this.#find(node, step);
  }

  /** The steps that lead to a node. */
  steps(node: number): Uint8Array {
    const steps: number[] = [];
    for (let at = node; at !== root; at = this.#parent[at]!) steps.push(this.#step[at]!);
    return Uint8Array.from(steps.reverse());
  }

  #find(node: number, step: number): number {
    if (node === outside) return outside;
    const steps = [...this.steps(node), step];
    // What is too long stays where it is.
    if (steps.length > longestPath) return node;
    const left = withoutLoop(steps, steps.length);
    let next = node;
    if (left === steps.length) next = this.#size < mostNodes ? this.#add(node, step) : outside;
    else for (let length = steps.length - 1; length > left; length--) next = this.#parent[next]!;
    this.#next[(node << shift) | step] = next;
    return next;
  }

  #add(parent: number, step: number): number {
    if (this.#size === this.#parent.length) this.#enlarge();
    this.#parent[this.#size] = parent;
    this.#step[this.#size] = step;
    return this.#size++;
  }

  #enlarge(): void {
    const size = 2 * this.#size;
    const larger = <T extends { set(from: T): void }>(to: T, from: T): T => {
      to.set(from);
      return to;
    };
    this.#next = larger(new Int32Array(size << shift), this.#next);
    this.#parent = larger(new Int32Array(size), this.#parent);
    this.#step = larger(new Uint8Array(size), this.#step);
  }
}

/**
 * The paths that a vcpu takes from one entry to the next, each with the number of its trips by time block. Memory is
 * bounded: of paths that come when there is no more room only the number of trips is kept.
 */
export class PathTable implements ByBlock {
  /** Trips of paths that found no room, by time block. */
  readonly others: Sums = createSums();
  readonly #tree: PathTree;
  readonly #limit: number;
  readonly #paths: Path[] = [];
  /** By node, the number of the path that ends there, plus one; 0 for none. */
  #numbers = new Uint16Array(256);
  /** Where the trip under way is. */
  #node = root;
  /** Trips of the block at hand that found no room. */
  #others = 0;

  /** @param limit most paths */
  constructor(tree: PathTree, limit: number) {
    this.#tree = tree;
    this.#limit = limit;
  }

  /** The trip goes on with a step. */
  add(step: number): void {
    this.#node = this.#tree.after(this.#node, step);
  }

  /** The trip has ended, and another one begins. @param isWhole whether it was seen from its beginning on */
  end(isWhole: boolean): void {
    const node = this.#node;
    this.#node = root;
    if (!isWhole) return;
    const number = this.#numbers[node] ?? 0;
    if (number > 0) (this.#paths[number - 1] as Path).current++;
    else this.#begin(node);
  }

  /** A path that has not been taken before, if there is room. */
  #begin(node: number): void {
    if (node === outside || this.#paths.length >= this.#limit) {
      this.#others++;
      return;
    }
    const path = new Path(this.#tree.steps(node));
    path.current++;
    const number = this.#paths.push(path);
    if (node >= this.#numbers.length) {
      const longer = new Uint16Array(2 * node);
      longer.set(this.#numbers);
      this.#numbers = longer;
    }
    this.#numbers[node] = number;
  }

  settle(block: number): void {
    this.others[block]! += this.#others;
    this.#others = 0;
    for (const path of this.#paths) {
      path.trips[block]! += path.current;
      path.current = 0;
    }
  }

  fold(): void {
    foldSums(this.others);
    for (const { trips } of this.all()) foldSums(trips);
  }

  /** Every path. */
  all(): Iterable<Path> {
    return this.#paths;
  }
}
