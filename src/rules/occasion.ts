import type { Handler } from './context.js';

/**
 * Whether some handlers of a rule have anything to do. Most handlers only end what another one has begun, which is
 * seldom under way: as long as nothing is, the run does not even call them, and events of frequent kinds pass quickly.
 */
export class Occasion {
  /** Number of things that wait for the handlers. */
  #count = 0;
  /** Whose bits are set while there are any, and the bit of each. */
  readonly #calls: Calls[] = [];
  readonly #bits: number[] = [];

  get count(): number {
    return this.#count;
  }

  /** One thing more waits. */
  add(): void {
    this.#count++;
    if (this.#count === 1) this.#turn(true);
  }

  /** One thing less waits. */
  remove(): void {
    this.#count--;
    if (this.#count === 0) this.#turn(false);
  }

  /** Whether anything waits, of which the number does not matter. */
  set(exists: boolean): void {
    if (exists !== this.#count > 0) this.#turn(exists);
    this.#count = exists ? 1 : 0;
  }

  /** Sets a bit while there is an occasion, from now on. */
  drive(calls: Calls, bit: number): void {
    if (this.#count > 0) calls.active |= bit;
    this.#calls.push(calls);
    this.#bits.push(bit);
  }

  #turn(on: boolean): void {
    const driven = this.#calls;
    const bits = this.#bits;
    for (let i = 0; i < bits.length; i++) {
      const calls = driven[i] as Calls;
      const bit = bits[i] as number;
      calls.active = on ? calls.active | bit : calls.active & ~bit;
    }
  }
}

/** Handlers of which bits say whether they are to be called. */
export interface Calls {
  active: number;
}

/** An occasion that all traces share and that never ends: of what it drives nothing is kept. */
class Permanent extends Occasion {
  override drive(calls: Calls, bit: number): void {
    calls.active |= bit;
  }
}

/** An occasion that there is always. */
export const always: Occasion = new Permanent();
always.add();

/** A handler that is called only when there is an occasion for it. */
export interface HandlerWhen {
  readonly occasion: Occasion;
  readonly handler: Handler;
}

/** Leaves a handler out while there is no occasion: it must have nothing to do then. */
export function when(occasion: Occasion, handler: Handler): HandlerWhen {
  return { occasion, handler };
}

/** A set of small numbers (CPUs, vcpus; 0 and up), and the occasion that it is not empty. */
export class Marks {
  readonly occasion = new Occasion();
  /** By number: 1 for those in the set. */
  #marked = new Uint8Array(16);

  has(key: number): boolean {
    return this.#marked[key] === 1;
  }

  add(key: number): void {
    if (this.#marked[key] === 1) return;
    if (key >= this.#marked.length) this.#grow(key);
    this.#marked[key] = 1;
    this.occasion.add();
  }

  /** @returns whether the number was in the set */
  delete(key: number): boolean {
    if (this.#marked[key] !== 1) return false;
    this.#marked[key] = 0;
    this.occasion.remove();
    return true;
  }

  clear(): void {
    for (let key = 0; key < this.#marked.length; key++) this.delete(key);
  }

  #grow(key: number): void {
    const marked = new Uint8Array(2 * key);
    marked.set(this.#marked);
    this.#marked = marked;
  }
}
