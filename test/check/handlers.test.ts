import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { Handlers } from '../../src/check/handlers.js';
import { TimerEvent } from '../../src/events/event.js';
import { always, Marks, Occasion, when } from '../../src/rules/occasion.js';

/** Handlers that note their numbers, every third one for an occasion. */
function noting(count: number, occasion: Occasion): { handlers: Handlers; called: number[] } {
  const handlers = new Handlers();
  const called: number[] = [];
  for (let number = 0; number < count; number++) {
    const handler = () => called.push(number);
    handlers.add(number % 3 === 0 ? when(occasion, handler) : handler);
  }
  return { handlers, called };
}

describe.each([
  ['one by one', () => {}],
  ['put together', (handlers: Handlers) => handlers.putTogether()],
])('the handlers of a kind, %s,', (_, prepare) => {
  // Words of 32 bits: one word, its last bit, and handlers that find no room in it.
  it.each([0, 1, 31, 32, 33, 64, 70])('are called in order where there is an occasion: %i', (count) => {
    const occasion = new Occasion();
    const { handlers, called } = noting(count, occasion);
    prepare(handlers);
    const all = Array.from({ length: count }, (_, number) => number);
    handlers.call(new TimerEvent());
    expect(called.splice(0)).toEqual(all.filter((number) => number % 3 > 0));
    occasion.add();
    occasion.add();
    occasion.remove();
    handlers.call(new TimerEvent());
    expect(called.splice(0)).toEqual(all);
    occasion.set(false);
    handlers.call(new TimerEvent());
    expect(called).toEqual(all.filter((number) => number % 3 > 0));
  });

  it('may begin and end the occasions of those that follow', () => {
    const [ended, begun] = [new Marks(), new Marks()];
    ended.add(3);
    const called: string[] = [];
    const handlers = new Handlers();
    handlers.add(() => {
      called.push('first');
      ended.delete(3);
      begun.add(0);
    });
    handlers.add(when(ended.occasion, () => called.push('ended')));
    handlers.add(when(begun.occasion, () => called.push('begun')));
    prepare(handlers);
    handlers.call(new TimerEvent());
    expect(called).toEqual(['first', 'begun']);
    begun.clear();
    expect(begun.occasion.count).toBe(0);
  });

  it('may be put together between two events', () => {
    const occasion = new Occasion();
    const { handlers, called } = noting(40, occasion);
    handlers.call(new TimerEvent());
    const before = called.splice(0);
    prepare(handlers);
    handlers.call(new TimerEvent());
    expect(called).toEqual(before);
  });

  it('are not kept by the occasion that there is always', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const kept = (() => {
      const handlers = new Handlers();
      handlers.add(() => undefined);
      handlers.add(when(always, () => undefined));
      prepare(handlers);
      handlers.call(new TimerEvent());
      return new WeakRef(handlers);
    })();
    // A weak reference holds until the turn of the event loop in which it was made is over.
    await new Promise((resolve) => setTimeout(resolve));
    collect();
    expect(kept.deref()).toBeUndefined();
  });

  it('know an occasion that was there before they were', () => {
    const occasion = new Occasion();
    occasion.set(true);
    const { handlers, called } = noting(1, occasion);
    prepare(handlers);
    handlers.call(new TimerEvent());
    expect(called).toEqual([0]);
  });
});
