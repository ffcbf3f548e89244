import type { Handler } from './context.js';

/**
 * Whether some handlers of a rule have anything to do. Most handlers only end what another one has begun, which is
 * seldom under way: as long as nothing is, the run does not even call them, and events of frequent kinds pass quickly.
 */
export class Occasion {
  /** Number of things that wait for the handlers. */
  count = 0;
}

/** An occasion that there is always. */
export const always = new Occasion();
always.count = 1;

/** A handler that is called only when there is an occasion for it. */
export interface HandlerWhen {
  readonly occasion: Occasion;
  readonly handler: Handler;
}

/** Leaves a handler out while there is no occasion: it must have nothing to do then. */
export function when(occasion: Occasion, handler: Handler): HandlerWhen {
  return { occasion, handler };
}

/** A set of small numbers (CPUs, vcpus), and the occasion that it is not empty. */
export class Marks {
  readonly occasion = new Occasion();
  readonly #marked: boolean[] = [];

  has(key: number): boolean {
    return this.#marked[key] === true;
  }

  add(key: number): void {
    if (this.#marked[key] === true) return;
    while (this.#marked.length < key) this.#marked.push(false);
    this.#marked[key] = true;
    this.occasion.count++;
  }

  /** @returns whether the number was in the set */
  delete(key: number): boolean {
    if (this.#marked[key] !== true) return false;
    this.#marked[key] = false;
    this.occasion.count--;
    return true;
  }
}
