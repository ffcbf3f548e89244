import { describe, expect, it } from 'vitest';
import { Assumptions } from '../../../src/diff/models/assumptions.js';
import { StimulusQueue } from '../../../src/diff/models/queue.js';
import { GuestTimer } from '../../../src/diff/models/registers.js';
import { Act, Stimulus } from '../../../src/diff/models/stimulus.js';

const us = 1000;

/** A timer, and the stays of its guest, each of which ends so many microseconds after the beginning. */
function guest() {
  const assumptions = new Assumptions();
  const timer = new GuestTimer(assumptions);
  const stay = (time: number, expired = false) => {
    const stimulus = new Stimulus(Act.exit, time * us, 0);
    timer.stay(stimulus, expired);
    return stimulus;
  };
  return { assumptions, timer, stay };
}

/** What a stay wrote: CTL, and the deadline in microseconds. */
const written = ({ ctl, deadline }: Stimulus) => [ctl, deadline === undefined ? undefined : deadline.time / us];

describe('what a guest wrote to its timer', () => {
  it('is what the next save shows, written in the first stay before it; it expires when an interrupt says so', () => {
    const { assumptions, timer, stay } = guest();
    const stays = [stay(10), stay(20)];
    timer.shown(1, 0, 500, 30 * us, 30 * us);
    expect(stays.map(({ settled }) => settled)).toEqual([false, true]);
    timer.expired(90 * us, false);
    expect(stays.map(written)).toEqual([
      [1, 90],
      [-1, undefined],
    ]);
    expect([assumptions.count('registers-placed'), assumptions.count('deadline-at-expiry')]).toEqual([1, 1]);
  });

  it('is nothing where a save shows what was there before', () => {
    const { timer, stay } = guest();
    stay(10);
    timer.shown(1, 0, 500, 30 * us, 30 * us);
    const second = stay(40);
    timer.shown(1, 0, 500, 50 * us, 50 * us);
    expect(written(second)).toEqual([-1, undefined]);
    expect(second.settled).toBe(true);
  });

  it('has expired before the save where that shows ISTATUS', () => {
    const { timer, stay } = guest();
    const only = stay(10);
    timer.shown(5, 0, 500, 25 * us, 30 * us);
    expect(written(only)).toEqual([1, 25]);
  });

  it('needs no deadline while it cannot fire', () => {
    const { timer, stay } = guest();
    const only = stay(10);
    timer.shown(3, 0, 500, 30 * us, 30 * us);
    expect([only.settled, only.ctl]).toEqual([true, 3]);
  });

  it('is placed by an interrupt alone, where no record shows registers', () => {
    const { timer, stay } = guest();
    const first = stay(10);
    timer.expired(70 * us, false);
    expect(written(first)).toEqual([1, 70]);
    // The stay that the interrupt ends has not written anything; the next one has.
    const ended = stay(75, true);
    const next = stay(80);
    timer.expired(150 * us, false);
    expect([written(ended), written(next)]).toEqual([
      [-1, undefined],
      [1, 150],
    ]);
  });

  it('is written and expires in one stay, where that is all there is', () => {
    const { timer, stay } = guest();
    timer.expired(60 * us, true);
    expect(written(stay(65, true))).toEqual([1, 60]);
  });

  it('was given up where other values follow before it expired', () => {
    const { assumptions, timer, stay } = guest();
    const first = stay(10);
    timer.shown(1, 0, 500, 30 * us, 30 * us);
    const second = stay(40);
    timer.shown(0, 0, 900, 50 * us, 50 * us);
    expect(first.settled).toBe(true);
    expect(first.deadline!.time).toBeGreaterThan(1_000_000 * us);
    expect(second.ctl).toBe(0);
    expect(assumptions.count('deadline-beyond')).toBe(1);
  });

  it('was not the guest, where it has not run: userspace', () => {
    const { timer, stay } = guest();
    stay(10);
    timer.shown(1, 0, 500, 30 * us, 30 * us);
    expect(timer.shown(1, 0, 700, 60 * us, 60 * us)).toBeDefined();
    expect(timer.shown(0, 0, 700, 70 * us, 70 * us)).toBe('off');
  });

  it('comes back where the kernel lost what userspace wrote', () => {
    const { assumptions, timer, stay } = guest();
    stay(10);
    timer.shown(1, 0, 500, 30 * us, 30 * us);
    timer.userWrite(0, 0, 0, 40 * us);
    expect(timer.shown(1, 0, 500, 50 * us, 50 * us)).toBeUndefined();
    expect(assumptions.count('write-lost')).toBe(1);
    timer.userWrite(undefined, 0, 900, 60 * us);
    expect(timer.shown(1, 0, 900, 70 * us, 70 * us)).toBeUndefined();
    expect(assumptions.count('write-lost')).toBe(1);
  });
});

describe('stimuli that wait', () => {
  const queue = () => {
    const given: number[] = [];
    const assumptions = new Assumptions();
    return { given, assumptions, queue: new StimulusQueue(({ time }) => given.push(time), assumptions) };
  };

  it('keep their order: a later one waits for an earlier one', () => {
    const { given, queue: waiting } = queue();
    const first = new Stimulus(Act.exit, 1, 0);
    first.open = true;
    waiting.add(first);
    waiting.add(new Stimulus(Act.entry, 2, 1));
    expect(given).toEqual([]);
    first.open = false;
    waiting.release();
    expect(given).toEqual([1, 2]);
  });

  it('are bounded: what is not known in time is assumed', () => {
    const { given, assumptions, queue: waiting } = queue();
    const first = new Stimulus(Act.exit, 0, 0);
    first.open = true;
    waiting.add(first);
    for (let time = 1; time <= 40_000; time++) waiting.add(new Stimulus(Act.entry, time, 0));
    expect(given.length).toBe(40_001);
    expect(first.given).toBe(true);
    expect(assumptions.count('registers-unknown')).toBe(1);
  });
});
