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
