import { describe, expect, it } from 'vitest';
import { Learned } from '../../src/decode/learned.js';
import { Context, Timer, TimerEvent } from '../../src/events/event.js';

function report(irq: number, level: number, context: number): TimerEvent {
  const event = new TimerEvent();
  event.cpu = 0;
  event.irq = irq;
  event.level = level;
  event.context = context;
  return event;
}

describe('the timer of an interrupt that only a probe on the handler shows', () => {
  it('is unknown until a handler reports', () => {
    expect(new Learned().handler(0, 12)).toBe(Timer.unknown);
  });

  it('is that of the level which the handler reports, and the other irq is the other timer', () => {
    const learned = new Learned();
    learned.handler(0, 12);
    learned.reported(report(27, 1, Context.hardirq));
    expect([learned.handler(1, 12), learned.handler(1, 11)]).toEqual([Timer.vtimer, Timer.ptimer]);
  });

  it.each([
    ['a load', report(27, 1, Context.task)],
    ['a report of level 0', report(27, 0, Context.hardirq)],
    ['another interrupt', report(40, 1, Context.hardirq)],
  ])('is not told by %s', (_, event) => {
    const learned = new Learned();
    learned.handler(0, 12);
    learned.reported(event);
    expect(learned.handler(0, 12)).toBe(Timer.unknown);
  });

  it('is not told by the callback of a soft timer', () => {
    const learned = new Learned();
    learned.handler(0, 12);
    learned.callback(0);
    learned.reported(report(30, 1, Context.hardirq));
    expect(learned.handler(0, 12)).toBe(Timer.unknown);
  });
});

describe('CLOCK_MONOTONIC at an expiry', () => {
  it('is not known without a tick', () => {
    expect(new Learned().monotonic(1_000)).toBe(-1);
  });

  it('is told by the tick that was recorded soonest, for a tenth of a second', () => {
    const learned = new Learned();
    learned.ticked(5_000_300_000, 3_000_000_000);
    learned.ticked(5_004_010_000, 3_004_000_000);
    learned.ticked(5_008_250_000, 3_008_000_000);
    expect(learned.monotonic(5_008_400_000)).toBe(3_008_390_000);
    expect(learned.monotonic(5_104_010_000)).toBe(-1);
    learned.ticked(5_108_500_000, 3_108_000_000);
    expect(learned.monotonic(5_108_600_000)).toBe(3_108_100_000);
  });
});
