import type { TimerEvent } from '../events/event.js';
import type { Handler } from '../rules/context.js';
import { always, type Calls, type HandlerWhen } from '../rules/occasion.js';

/** Handlers that one word of bits has room for. */
const wordSize = 32;

/**
 * The handlers of one kind of event, in the order of the rules. One bit says of each whether there is an occasion for
 * it: of the handlers of a frequent kind more than half have none, and are passed over without a look at them.
 */
export class Handlers implements Calls {
  /** Bit i: there is an occasion for handler i. */
  active = 0;
  readonly #handlers: Handler[] = [];
  /** Those that found no room here. */
  #rest: Handlers | undefined;

  add(handler: Handler | HandlerWhen): void {
    const index = this.#handlers.length;
    if (index === wordSize) {
      this.#rest ??= new Handlers();
      return this.#rest.add(handler);
    }
    const isPlain = typeof handler === 'function';
    this.#handlers.push(isPlain ? handler : handler.handler);
    const occasion = isPlain ? always : handler.occasion;
    occasion.drive(this, 1 << index);
  }

  /** Calls those for which there is an occasion when it is their turn: a handler may end that of a later one. */
  call(event: TimerEvent): void {
    let active = this.active;
    while (active !== 0) {
      const index = wordSize - 1 - Math.clz32(active & -active);
      (this.#handlers[index] as Handler)(event);
      active = this.active & (-2 << index);
    }
    if (this.#rest !== undefined) this.#rest.call(event);
  }
}
