import { textOf } from './bytes.js';

/** Beyond this many different names the rest share one entry and are looked up each time: a hostile input must not grow memory without end. */
const mostNames = 20_000;

/** A name longer than this is cut: the kernel's own limit for event and symbol names is 512. */
const longestName = 512;

const otherNames = '(other names)';

/**
 * Names seen in the input, found by their bytes. A name becomes a string only when it is seen for the first
 * time; its `value` is then asked for once and kept.
 */
export class NameTable {
  /** Names in order of first appearance. */
  readonly names: string[] = [];
  /** What `resolve` said, by entry. */
  readonly values: number[] = [];
  private readonly resolve: (name: string) => number;
  /** The names' bytes, by entry. */
  private readonly bytes: Uint8Array[] = [];
  private readonly hashes: number[] = [];
  private slots = new Int32Array(512);
  private mask = 511;
  private other = -1;

  /** @param resolve gives the value of a name that was not seen before */
  constructor(resolve: (name: string) => number) {
    this.resolve = resolve;
  }

  /** Hash of [from, to) as `entry` wants it; a scanner that walks over the name anyway may compute it itself. */
  static hash(bytes: Uint8Array, from: number, to: number): number {
    let hash = 0;
    for (let at = from; at < to; at++) hash = (Math.imul(hash, 31) + bytes[at]!) | 0;
    return hash;
  }

  /** Entry of the name in [from, to), new or old; `hash` as by `NameTable.hash`. */
  entry(bytes: Uint8Array, from: number, to: number, hash: number): number {
    let probe = (hash ^ (hash >>> 15)) & this.mask;
    for (;;) {
      const entry = this.slots[probe]! - 1;
      if (entry < 0) return this.add(bytes, from, to, hash);
      if (this.hashes[entry] === hash && this.same(entry, bytes, from, to)) return entry;
      probe = (probe + 1) & this.mask;
    }
  }

  /** Whether an entry stands for one name only, whose value never changes. */
  isOneName(entry: number): boolean {
    return entry !== this.other;
  }

  private same(entry: number, bytes: Uint8Array, from: number, to: number): boolean {
    const name = this.bytes[entry]!;
    const length = name.length;
    if (length !== to - from) return false;
    for (let i = 0; i < length; i++) if (name[i] !== bytes[from + i]) return false;
    return true;
  }

  private add(bytes: Uint8Array, from: number, to: number, hash: number): number {
    if (this.names.length >= mostNames || to - from > longestName) {
      if (this.other < 0) this.other = this.append(otherNames, new Uint8Array(0), 0);
      // Not remembered, but a wanted name is still recognised.
      this.values[this.other] = this.resolve(textOf(bytes, from, to, longestName));
      return this.other;
    }
    const entry = this.append(textOf(bytes, from, to, longestName), copyOf(bytes, from, to), hash);
    if (this.names.length * 2 > this.mask) this.grow();
    else this.place(entry);
    return entry;
  }

  private append(name: string, bytes: Uint8Array, hash: number): number {
    this.names.push(name);
    this.bytes.push(bytes);
    this.hashes.push(hash);
    this.values.push(this.resolve(name));
    return this.names.length - 1;
  }

  private grow(): void {
    this.slots = new Int32Array(this.slots.length * 2);
    this.mask = this.slots.length - 1;
    for (let entry = 0; entry < this.names.length; entry++) if (entry !== this.other) this.place(entry);
  }

  private place(entry: number): void {
    const hash = this.hashes[entry]!;
    let probe = (hash ^ (hash >>> 15)) & this.mask;
    while (this.slots[probe] !== 0) probe = (probe + 1) & this.mask;
    this.slots[probe] = entry + 1;
  }
}

/** The bytes of [from, to) on their own: a Buffer's `slice` would be a view of the caller's chunk. */
function copyOf(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return new Uint8Array(bytes.subarray(from, to));
}
