/**
 * Unsigned 64-bit values as two 32-bit halves.
 *
 * A CVAL of `~0` is an everyday value and a JavaScript number holds only 53 bits of it, while a BigInt
 * costs an allocation per event. A half is a signed 32-bit integer (-2^31..2^31-1, as `x | 0` gives it): an unsigned one
 * above 2^31 would be no small integer, and V8 would keep it in an object of its own.
 */

/** The kernel's spelling of a 64-bit value: `0x` and lower-case hexadecimal digits without leading zeros. */
export function formatU64(hi: number, lo: number): string {
  const low = (lo >>> 0).toString(16);
  return hi === 0 ? `0x${low}` : `0x${(hi >>> 0).toString(16)}${low.padStart(8, '0')}`;
}

/**
 * Halves of a decimal or hexadecimal (`0x`) literal in 0..2^64-1.
 *
 * @returns undefined when the text is no such literal.
 */
export function parseU64(text: string): { hi: number; lo: number } | undefined {
  if (!/^(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20})$/.test(text)) return undefined;
  const value = BigInt(text);
  if (value > 0xffffffffffffffffn) return undefined;
  return { hi: Number(BigInt.asIntN(32, value >> 32n)), lo: Number(BigInt.asIntN(32, value)) };
}

/**
 * The unsigned number that a half stands for. V8 takes `half >>> 0` for a small integer until it meets the first one
 * above 2^31, and then throws away the optimised code of everything that compares counters: this one is no integer from
 * the first.
 */
function unsigned(half: number): number {
  const signed = half | 0;
  return signed + ((signed >> 31) & 1) * 0x100000000;
}

/** The value as a number: exact below 2^53. */
export function joinU64(hi: number, lo: number): number {
  return unsigned(hi) * 0x100000000 + unsigned(lo);
}

/** How much one value is more than another: exact up to 2^53 either way. */
export function differenceU64(hi: number, lo: number, otherHi: number, otherLo: number): number {
  return (unsigned(hi) - unsigned(otherHi)) * 0x100000000 + (unsigned(lo) - unsigned(otherLo));
}

/**
 * A map from unsigned 64-bit values (pointers), given as halves: looking one up allocates nothing, as a `Map` would
 * for a key that is no small integer. Open addressing with linear probing.
 */
export class U64Map<Value> {
  #hi = new Int32Array(16);
  #lo = new Int32Array(16);
  #values: (Value | undefined)[] = new Array<Value | undefined>(16).fill(undefined);
  #size = 0;

  /** Number of keys with a value. */
  get size(): number {
    return this.#size;
  }

  get(hi: number, lo: number): Value | undefined {
    return this.#values[this.#slot(hi, lo)];
  }

  set(hi: number, lo: number, value: Value): void {
    let slot = this.#slot(hi, lo);
    if (this.#values[slot] === undefined) {
      if ((this.#size + 1) * 2 > this.#values.length) {
        this.#grow();
        slot = this.#slot(hi, lo);
      }
      this.#size++;
      this.#hi[slot] = hi;
      this.#lo[slot] = lo;
    }
    this.#values[slot] = value;
  }

  delete(hi: number, lo: number): void {
    const mask = this.#values.length - 1;
    let free = this.#slot(hi, lo);
    if (this.#values[free] === undefined) return;
    this.#size--;
    this.#values[free] = undefined;
    // Whatever has been pushed beyond the free slot moves back, so that no probe ends too early.
    for (let slot = (free + 1) & mask; this.#values[slot] !== undefined; slot = (slot + 1) & mask) {
      const home = this.#home(this.#hi[slot] as number, this.#lo[slot] as number);
      if (((slot - home) & mask) < ((slot - free) & mask)) continue;
      this.#hi[free] = this.#hi[slot] as number;
      this.#lo[free] = this.#lo[slot] as number;
      this.#values[free] = this.#values[slot];
      this.#values[slot] = undefined;
      free = slot;
    }
  }

  #home(hi: number, lo: number): number {
    // Objects are aligned: the lowest bits of their addresses tell nothing.
    return (Math.imul(lo ^ Math.imul(hi, 0x9e3779b1), 0x85ebca6b) >>> 12) & (this.#values.length - 1);
  }

  /** The slot of a key, or the empty one where it would go. */
  #slot(hi: number, lo: number): number {
    const mask = this.#values.length - 1;
    let slot = this.#home(hi, lo);
    while (this.#values[slot] !== undefined && (this.#lo[slot] !== lo || this.#hi[slot] !== hi))
      slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const [hi, lo, values] = [this.#hi, this.#lo, this.#values];
    const length = values.length * 2;
    this.#hi = new Int32Array(length);
    this.#lo = new Int32Array(length);
    this.#values = new Array<Value | undefined>(length).fill(undefined);
    for (let old = 0; old < values.length; old++) {
      if (values[old] === undefined) continue;
      const slot = this.#slot(hi[old] as number, lo[old] as number);
      this.#hi[slot] = hi[old] as number;
      this.#lo[slot] = lo[old] as number;
      this.#values[slot] = values[old];
    }
  }
}
