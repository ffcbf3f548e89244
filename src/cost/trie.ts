import { keyCount } from './key.js';
import { type Episode, episodes } from './situation.js';
import { symbolCount } from './symbols.js';

/** Symbols of a node, rounded up for shifting; one beyond the last stands for what was not seen, or is too much. */
const shift = 6;
const width = 1 << shift;
if (symbolCount >= width) throw new RangeError('too many symbols');

/** Most records of one episode, and most different episodes, that are told apart. */
const deepest = 40;
const mostNodes = 1 << 14;

/**
 * What episodes have shown: a node is an episode, what was known when it began, and the records so far. Few different
 * ones occur in however long a trace, so that counting nodes is all that has to be done for an event.
 */
export class Trie {
  /** By episode, where it has occurred: by key the first node, plus one. */
  readonly #roots: (Int32Array | undefined)[] = episodes.map(() => undefined);
  #next = new Int32Array(256 << shift);
  #parent = new Int32Array(256);
  #symbol = new Int16Array(256);
  #depth = new Uint8Array(256);
  /** How often each node was the end of an episode. */
  #ends = new Float64Array(256);
  #size = 0;
  readonly #origins = new Map<number, readonly [episode: Episode, key: number]>();

  /** Number of nodes. */
  get size(): number {
    return this.#size;
  }

  /** By node, how often it was the end of an episode so far; may have room for more. */
  get ends(): Float64Array {
    return this.#ends;
  }

  /** An episode ends. */
  end(node: number): void {
    this.#ends[node]!++;
  }

  /** The node of an episode without records. */
  root(episode: number, key: number): number {
    let roots = this.#roots[episode];
    if (roots === undefined) {
      roots = new Int32Array(keyCount);
      this.#roots[episode] = roots;
    }
    const known = roots[key] as number;
    if (known !== 0) return known - 1;
    const node = this.#add(-1, -1, 0);
    roots[key] = node + 1;
    this.#origins.set(node, [episodes[episode]!, key]);
    return node;
  }

  /** The node after one more record. */
  step(node: number, symbol: number): number {
    const at = (node << shift) + symbol;
    const known = this.#next[at] as number;
    return known !== 0 ? known : this.#grow(node, symbol);
  }

  /** The node for the case where not all records of the episode were seen: they are not compared with the design. */
  incomplete(node: number): number {
    return this.step(node, symbolCount);
  }

  #grow(node: number, symbol: number): number {
    const depth = (this.#depth[node] as number) + 1;
    // What is too long stays where it is, and is known as such.
    if (this.#symbol[node] === symbolCount) return node;
    const isLast = depth >= deepest || this.#size >= mostNodes;
    if (isLast && symbol !== symbolCount) return this.step(node, symbolCount);
    const added = this.#add(node, symbol, depth);
    this.#next[(node << shift) + symbol] = added;
    return added;
  }

  #add(parent: number, symbol: number, depth: number): number {
    if (this.#size === this.#parent.length) this.#enlarge();
    const node = this.#size++;
    this.#parent[node] = parent;
    this.#symbol[node] = symbol;
    this.#depth[node] = depth;
    return node;
  }

  #enlarge(): void {
    const size = this.#parent.length * 2;
    const copy = <T extends { set(from: T): void }>(to: T, from: T): T => {
      to.set(from);
      return to;
    };
    this.#next = copy(new Int32Array(size << shift), this.#next);
    this.#parent = copy(new Int32Array(size), this.#parent);
    this.#symbol = copy(new Int16Array(size), this.#symbol);
    this.#depth = copy(new Uint8Array(size), this.#depth);
    this.#ends = copy(new Float64Array(size), this.#ends);
  }

  isRoot(node: number): boolean {
    return this.#parent[node] === -1;
  }

  /** What a node stands for; `incomplete` when it had more records than were seen or are told apart. */
  read(node: number): { episode: Episode; key: number; symbols: number[]; incomplete: boolean } {
    const symbols: number[] = [];
    let at = node;
    for (; this.#parent[at] !== -1; at = this.#parent[at]!) symbols.unshift(this.#symbol[at]!);
    const [episode, key] = this.#origins.get(at)!;
    const incomplete = symbols[symbols.length - 1] === symbolCount;
    return { episode, key, symbols: incomplete ? symbols.slice(0, -1) : symbols, incomplete };
  }
}
