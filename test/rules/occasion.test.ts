import { describe, expect, it } from 'vitest';
import { TimerEvent } from '../../src/events/event.js';
import { Marks, Occasion } from '../../src/rules/occasion.js';
import { Slots } from '../../src/rules/support.js';

describe('an occasion', () => {
  it('is there while a slot keeps anything, however often it was set', () => {
    const slots = new Slots();
    slots.set(3, new TimerEvent());
    slots.set(3, new TimerEvent());
    slots.set(5, new TimerEvent());
    expect(slots.occasion.count).toBe(2);
    slots.take(3);
    slots.clear(3);
    slots.clear(5);
    expect(slots.occasion.count).toBe(0);
    expect(slots.isEmpty).toBe(true);
  });

  it('is shared by slots that are asked together', () => {
    const occasion = new Occasion();
    const [one, other] = [new Slots(occasion), new Slots(occasion)];
    one.set(0, new TimerEvent());
    other.set(0, new TimerEvent());
    one.clear(0);
    expect(occasion.count).toBe(1);
    expect(one.isEmpty).toBe(true);
    other.each((_, key) => other.clear(key));
    expect(occasion.count).toBe(0);
  });

  it('is there while a set has a member', () => {
    const marks = new Marks();
    marks.add(4);
    marks.add(4);
    marks.add(0);
    expect([marks.has(4), marks.has(2), marks.has(-1)]).toEqual([true, false, false]);
    expect([marks.delete(4), marks.delete(4), marks.delete(9), marks.delete(-1)]).toEqual([true, false, false, false]);
    expect(marks.occasion.count).toBe(1);
    expect(marks.delete(0)).toBe(true);
    expect(marks.occasion.count).toBe(0);
  });
});
