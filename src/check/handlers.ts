import type { TimerEvent } from '../events/event.js';
import type { Handler } from '../rules/context.js';
import { always, type Calls, type HandlerWhen } from '../rules/occasion.js';

/** Handlers that one word of bits has room for. */
const wordSize = 32;

/** Makes one function of handlers; `calls` says for which of them there is an occasion. */
type PutTogether = (calls: Calls, ...handlers: readonly Handler[]) => Handler;

/**
 * Handlers as one function, in which each has a place of its own where it is called: there V8 sees that it is always
 * the same one, and calls it directly or puts its code in place. Where one loop calls all handlers of all kinds, it
 * cannot know; and so it is where kinds, or traces, share a function because their handlers have the same shape. The
 * text of the function is made of the shape alone, and of nothing that a user gives.
 *
 * @param shape a letter for each handler: `a` for one that is always called, `w` for one that waits for an occasion
 */
function putTogether(shape: string): PutTogether {
  const names = Array.from(shape, (_, index) => `h${index}`);
  const body = names.map((name, index) =>
    shape[index] === 'a' ? `${name}(event);` : `if ((calls.active & ${1 << index}) !== 0) ${name}(event);`,
  );
  const text = `'use strict'; return (event) => { ${body.join(' ')} };`;
  return new Function('calls', ...names, text) as PutTogether;
}

/**
 * The handlers of one kind of event, in the order of the rules. One bit says of each whether there is an occasion for
 * it: of the handlers of a frequent kind more than half have none, and are passed over without a look at them.
 */
export class Handlers implements Calls {
  /** Bit i: there is an occasion for handler i. */
  active = 0;
  readonly #handlers: Handler[] = [];
  #shape = '';
  /** What calls them, once they are put together. */
  #together: Handler | undefined;
  /** Those that found no room here. */
  #rest: Handlers | undefined;

  add(handler: Handler | HandlerWhen): void {
    const index = this.#handlers.length;
    if (index === wordSize) {
      this.#rest ??= new Handlers();
      return this.#rest.add(handler);
    }
    if (this.#together !== undefined) throw new Error('a handler is added to those that are put together');
    const isPlain = typeof handler === 'function';
    this.#handlers.push(isPlain ? handler : handler.handler);
    this.#shape += isPlain ? 'a' : 'w';
    const occasion = isPlain ? always : handler.occasion;
    occasion.drive(this, 1 << index);
  }

  /** Calls those for which there is an occasion when it is their turn: a handler may end that of a later one. */
  call(event: TimerEvent): void {
    if (this.#together !== undefined) this.#together(event);
    else if (this.active !== 0) this.#callEach(event);
    if (this.#rest !== undefined) this.#rest.call(event);
  }

  /**
   * From now on they are called by a function of their own. To make one, and for V8 to optimise it, takes longer than it
   * saves in a short trace.
   */
  putTogether(): void {
    if (this.#handlers.length > 0) this.#together = putTogether(this.#shape)(this, ...this.#handlers);
    this.#rest?.putTogether();
  }

  #callEach(event: TimerEvent): void {
    const handlers = this.#handlers;
    let { active } = this;
    while (active !== 0) {
      const index = wordSize - 1 - Math.clz32(active & -active);
      (handlers[index] as Handler)(event);
      active = this.active & (-2 << index);
    }
  }
}
