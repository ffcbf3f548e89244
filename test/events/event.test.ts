import { expect, it } from 'vitest';
import { TimerEvent } from '../../src/events/event.js';

it('a new event is as one that was filled and cleared', () => {
  const used = new TimerEvent();
  const fields = used as unknown as Record<string, number | boolean>;
  for (const [name, value] of Object.entries(used)) fields[name] = typeof value === 'boolean' ? true : 99;
  expect(used).not.toEqual(new TimerEvent());
  expect(used.clear()).toEqual(new TimerEvent());
  expect(TimerEvent.take()).toEqual(used);
});

it('an event is filled anew once the last who keeps it has released it, and not before', () => {
  const event = TimerEvent.take().retain();
  event.release();
  expect(TimerEvent.take()).not.toBe(event);
  event.irq = 27;
  event.release();
  const again = TimerEvent.take();
  expect(again).toBe(event);
  expect(again).toEqual(new TimerEvent());
});

it('as many events exist as are kept', () => {
  const kept = new Set(Array.from({ length: 1000 }, () => TimerEvent.take()));
  expect(kept.size).toBe(1000);
  for (const event of kept) event.release();
  const taken = Array.from({ length: 1000 }, () => TimerEvent.take());
  expect(taken.every((event) => kept.has(event))).toBe(true);
});
