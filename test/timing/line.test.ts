import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Evidence } from '../../src/timing/evidence.js';
import { Answer, confirming, type Line } from '../../src/timing/line.js';
import { runs } from '../fuzz.js';
import {
  type Counter,
  countAt,
  counterArbitrary,
  type Sample,
  Solver,
  samplesOf,
  sleepArbitrary,
} from './simulated.js';

const many = (min: number, max: number) => fc.array(sleepArbitrary, { minLength: min, maxLength: max });

/** Whether the true line is among the feasible ones, everywhere around the samples. */
function expectFeasible(counter: Counter, line: Line, rate: number, times: readonly number[]): void {
  const wrong = times.filter((time) => {
    const count = countAt(counter, time);
    return line.bounds.lowAt(time, rate) > count + 1 || line.bounds.highAt(time, rate) < count - 1;
  });
  expect(wrong).toEqual([]);
}

const timesOf = (samples: readonly Sample[]) => samples.map(({ low, high }) => low?.[0] ?? high?.[0] ?? 0);

/** A callback that ran before its deadline, by so much. */
function early(counter: Counter, time: number, by: number): Sample {
  return { evidence: Evidence.fired, low: [time, Math.ceil(countAt(counter, time + by))], high: undefined };
}

describe('the line of a counter', () => {
  it('always admits the true one', () => {
    fc.assert(
      fc.property(counterArbitrary, many(5, 60), (counter, sleeps) => {
        const samples = samplesOf(counter, sleeps);
        const solver = new Solver(counter.rate);
        solver.feed(samples, (line) => expectFeasible(counter, line, counter.rate, timesOf(samples)));
        expect(solver.violated).toEqual([]);
        expect(solver.line.changes).toBe(0);
      }),
      runs(60),
    );
  });

  it('is known to a fraction of a millisecond where it was seen last', () => {
    fc.assert(
      fc.property(counterArbitrary, many(20, 40), (counter, sleeps) => {
        const samples = samplesOf(counter, sleeps);
        const solver = new Solver(counter.rate);
        solver.feed(samples);
        const time = samples.findLast(({ evidence }) => evidence === Evidence.armed)!.low![0];
        const { bounds } = solver.line;
        const width = (bounds.highAt(time, counter.rate) - bounds.lowAt(time, counter.rate)) / counter.rate;
        expect(width).toBeLessThan(300_000);
      }),
      runs(60),
    );
  });

  it('shows the one event that came too early, and no other', () => {
    const at = fc.integer({ min: confirming, max: 40 });
    const by = fc.integer({ min: 1_000_000, max: 200_000_000 });
    fc.assert(
      fc.property(counterArbitrary, many(80, 90), at, by, (counter, sleeps, place, advance) => {
        const samples = samplesOf(counter, sleeps);
        const number = place * 4;
        samples.splice(number, 0, early(counter, samples[number]!.high![0], advance));
        const solver = new Solver(counter.rate);
        solver.feed(samples);
        solver.line.end();
        expect(solver.violated).toEqual([number + 1]);
        expect(-solver.verdicts.by.get(number + 1)!).toBeGreaterThan(advance - 500_000);
        expect(solver.line.changes).toBe(0);
      }),
      runs(60),
    );
  });

  it('shows a background timer that is armed too late', () => {
    fc.assert(
      fc.property(
        counterArbitrary,
        many(80, 90),
        fc.integer({ min: 1_000_000, max: 1e9 }),
        (counter, sleeps, delay) => {
          const samples = samplesOf(counter, sleeps);
          const { low, high } = samples[161]!;
          samples[161] = {
            evidence: Evidence.armed,
            low: [low![0] + delay, low![1]],
            high: [high![0] + delay, high![1]],
          };
          const solver = new Solver(counter.rate);
          solver.feed(samples);
          solver.line.end();
          expect(solver.violated).toEqual([162]);
          expect(solver.verdicts.by.get(162)).toBeGreaterThan(0.998 * delay - 500_000);
        },
      ),
      runs(60),
    );
  });

  it('shows every third one, where a third is armed late', () => {
    const counter = { rate: 0.0625, start: 12_345, skew: 0 };
    const sleeps = Array.from({ length: 150 }, () => ({ sleep: 9e6, stall: 20_000, late: 50_000, load: 200_000 }));
    const samples = samplesOf(counter, sleeps).map((sample, index): Sample => {
      const { evidence, low, high } = sample;
      if (evidence !== Evidence.armed || Math.floor(index / 4) % 3 !== 1) return sample;
      return { evidence, low: [low![0] + 1e7, low![1]], high: [high![0] + 1e7, high![1]] };
    });
    const solver = new Solver(counter.rate);
    solver.feed(samples);
    expect(solver.line.changes).toBe(0);
    expect(solver.violated.length).toBeGreaterThan(30);
    for (const number of solver.violated) expect(Math.floor((number - 1) / 4) % 3).toBe(1);
  });

  /** The timer's interrupt in the running guest, 50 us after a deadline. */
  function interrupted(counter: Counter, time: number): Sample {
    const low = [time, Math.floor(countAt(counter, time - 50_000))] as const;
    return { evidence: Evidence.raised, low, high: undefined, isHardware: true };
  }

  /** Sleeps that end at their deadlines whatever was armed, each followed by an interrupt. */
  function interruptedSleeps(counter: Counter, late: (sleep: number) => number, from?: number): Sample[] {
    const sleeps = Array.from({ length: 80 }, () => ({ sleep: 9e6, stall: 20_000, late: 50_000, load: 200_000 }));
    return samplesOf(counter, sleeps, from).flatMap((sample, index): Sample[] => {
      const { evidence, low, high } = sample;
      if (evidence === Evidence.fired) return [];
      if (evidence === Evidence.raised) return [sample, interrupted(counter, low![0] + 40_000)];
      if (evidence !== Evidence.armed) return [sample];
      const by = late(Math.floor(index / 4));
      return [{ ...sample, low: [low![0] + by, low![1]], high: [high![0] + by, high![1]] }];
    });
  }

  it.each([
    ['every arming', () => true],
    ['two armings of three', (sleep: number) => sleep % 3 !== 0],
    ['every tenth arming', (sleep: number) => sleep % 10 === 5],
  ])('believes the timer itself, and not its background timer, where %s is late', (_, isLate) => {
    const counter = { rate: 0.0625, start: 12_345, skew: 0 };
    const solver = new Solver(counter.rate);
    solver.feed(interruptedSleeps(counter, (sleep) => (isLate(sleep) ? 4e6 : 0)));
    solver.line.end();
    expect(solver.violated.length).toBeGreaterThan(5);
    // Four samples a sleep: the arming is the second.
    for (const number of solver.violated) {
      expect((number - 1) % 4).toBe(1);
      expect(isLate(Math.floor((number - 1) / 4))).toBe(true);
      expect(solver.verdicts.by.get(number)).toBeGreaterThan(3.5e6);
    }
    expect(solver.line.changes).toBe(0);
  });

  it('believes a callback that arms again, and not the armings before it', () => {
    const counter = { rate: 0.0625, start: 12_345, skew: 0 };
    const samples = interruptedSleeps(counter, () => -1e6).flatMap((sample): Sample[] => {
      const { evidence, low } = sample;
      if (evidence !== Evidence.armed) return [sample];
      const high = [low![0] + 10_000, low![1]] as const;
      return [sample, { evidence: Evidence.fired, low: undefined, high, again: low![0] + 1e6 }];
    });
    const solver = new Solver(counter.rate);
    solver.feed(samples);
    solver.line.end();
    expect(solver.violated.length).toBeGreaterThan(50);
    for (const number of solver.violated) expect((number - 1) % 5).toBe(1);
    for (const number of solver.violated) expect(solver.verdicts.by.get(number)).toBeLessThan(-800_000);
  });

  it('takes no offense at a counter that is set back, and forth again', () => {
    const counter = { rate: 0.0625, start: 12_345, skew: 0 };
    const solver = new Solver(counter.rate);
    let from = 1e9;
    for (const counts of [0, -5e7, 0, -3e5, 0, -5e7]) {
      const samples = interruptedSleeps({ ...counter, start: counter.start + counts }, () => 0, from);
      solver.feed(samples);
      from = Math.max(...timesOf(samples)) + 1e6;
    }
    solver.line.end();
    expect(solver.violated).toEqual([]);
    expect(solver.line.changes).toBe(5);
  });

  it('takes no offense at a counter that userspace sets forth for two sleeps of eight', () => {
    const solver = new Solver(0.0625);
    let [from, sleep] = [1e9, 0];
    for (let stay = 0; stay < 50; stay++) {
      const counter = { rate: 0.0625, start: (stay % 2) * 3e5, skew: 0 };
      const sleeps = Array.from({ length: stay % 2 === 0 ? 6 : 2 }, () => ({
        sleep: 3e6 + ((sleep++ * 7) % 13) * 5e5,
        stall: 20_000,
        late: 50_000,
        load: 200_000,
      }));
      solver.line.userspace = from;
      const samples = samplesOf(counter, sleeps, from).flatMap((sample): Sample[] => {
        if (sample.evidence !== Evidence.raised) return [sample];
        const time = sample.low![0] + 40_000;
        const low = [time, Math.floor(countAt(counter, time - 50_000))] as const;
        return [sample, { evidence: Evidence.savedExpired, low, high: undefined, isHardware: true }];
      });
      solver.feed(samples);
      from = samples.at(-1)!.low![0] + 10_000;
    }
    solver.line.end();
    expect(solver.violated).toEqual([]);
  });

  it('finds and places a change of the offset, and is no violation', () => {
    const shift = fc.integer({ min: 2_000_000, max: 2 ** 40 }).chain((size) => fc.constantFrom(size, -size));
    fc.assert(
      fc.property(counterArbitrary, many(30, 40), many(30, 40), shift, (counter, before, after, counts) => {
        const first = samplesOf(counter, before);
        const changed = { ...counter, start: counter.start + counts };
        const second = samplesOf(changed, after, Math.max(...timesOf(first)) + 1e6);
        const solver = new Solver(counter.rate);
        solver.feed([...first, ...second]);
        solver.line.end();
        expect(solver.violated).toEqual([]);
        expect(solver.line.changes).toBe(1);
        const [{ event, counts: by }] = solver.line.changed as [(typeof solver.line.changed)[0]];
        expect(event.time).toBeGreaterThanOrEqual(Math.min(...timesOf(second)));
        expect(event.time).toBeLessThanOrEqual(timesOf(second)[8]!);
        expect(Math.abs(by - counts)).toBeLessThan(3e6 * counter.rate);
        expectFeasible(changed, solver.line, counter.rate, timesOf(second).slice(-4));
      }),
      runs(60),
    );
  });

  it('says nothing of an event that too few others surround', () => {
    const counter = { rate: 0.0625, start: 0, skew: 0 };
    const sleeps = Array.from({ length: 40 }, () => ({ sleep: 9e6, stall: 20_000, late: 50_000, load: 200_000 }));
    for (const number of [8, 152]) {
      const samples = samplesOf(counter, sleeps);
      samples.splice(number, 0, early(counter, samples[number]!.high![0], 5e6));
      const solver = new Solver(counter.rate);
      solver.feed(samples);
      solver.line.end();
      expect(solver.violated).toEqual([]);
      expect(solver.verdicts.answers.get(number + 1)).toBe(Answer.unknown);
    }
  });

  it.each([
    ['follow', 33],
    ['precede', 5],
  ])('believes three equalities that %s a wrong arming', (_, at) => {
    const counter = { rate: 0.0625, start: 12_345, skew: 0 };
    const sleeps = Array.from({ length: 40 }, () => ({ sleep: 9e6, stall: 20_000, late: 50_000, load: 200_000 }));
    for (const by of [-4.5e6, 5e5]) {
      const samples = samplesOf(counter, sleeps);
      const { evidence, low, high } = samples[at * 4 + 1]!;
      samples[at * 4 + 1] = { evidence, low: [low![0] + by, low![1]], high: [high![0] + by, high![1]] };
      const solver = new Solver(counter.rate);
      solver.feed(samples.slice(0, (at + 5) * 4));
      solver.line.end();
      expect(solver.violated).toEqual([at * 4 + 2]);
      expect(solver.line.changes).toBe(0);
    }
  });

  it('holds once the line is known, and is undecided before', () => {
    const counter = { rate: 0.0625, start: 0, skew: 0 };
    const sleeps = Array.from({ length: 10 }, () => ({ sleep: 9e6, stall: 20_000, late: 50_000, load: 200_000 }));
    const solver = new Solver(counter.rate);
    solver.feed(samplesOf(counter, sleeps));
    expect(solver.verdicts.answers.get(1)).toBe(Answer.unknown);
    expect([...solver.verdicts.answers.values()].slice(4)).toEqual(Array(36).fill(Answer.holds));
  });
});

describe('the frequency of the counter', () => {
  it('is found, be it a usual one or not', () => {
    const rates = fc.oneof(
      fc.constantFrom(0.0192, 0.024, 0.025, 0.0625, 0.1, 1),
      fc.integer({ min: 5_000, max: 1_000_000 }).map((kilohertz) => kilohertz / 1e6),
    );
    const equal = fc.record({ rate: rates, start: fc.integer({ min: -1e12, max: 1e12 }), skew: fc.constant(0) });
    fc.assert(
      fc.property(equal, many(60, 80), (counter, sleeps) => {
        const solver = new Solver();
        solver.feed(samplesOf(counter, sleeps));
        expect(Math.abs(solver.rate - counter.rate) / counter.rate).toBeLessThan(2.1e-3);
        expect(solver.violated).toEqual([]);
      }),
      runs(60),
    );
  });

  it('is found from bounds alone where they are tight enough', () => {
    const counter = { rate: 0.0625, start: 777, skew: 0 };
    const sleeps = Array.from({ length: 300 }, () => ({ sleep: 2e6, stall: 0, late: 50_000, load: 20_000 }));
    const solver = new Solver();
    solver.feed(samplesOf(counter, sleeps).filter(({ evidence }) => evidence !== Evidence.armed));
    expect(solver.rate).toBe(0.0625);
  });

  it('is not guessed where the bounds are on one side only', () => {
    const counter = { rate: 0.0625, start: 777, skew: 0 };
    const sleeps = Array.from({ length: 300 }, () => ({ sleep: 2e6, stall: 0, late: 50_000, load: 20_000 }));
    const solver = new Solver();
    solver.feed(samplesOf(counter, sleeps).filter(({ high }) => high === undefined));
    expect(solver.rate).toBe(0);
  });

  it('is found although a third of the background timers is armed late', () => {
    const counter = { rate: 0.0625, start: 777, skew: 0 };
    const sleeps = Array.from({ length: 60 }, () => ({ sleep: 9e6, stall: 20_000, late: 50_000, load: 200_000 }));
    const samples = samplesOf(counter, sleeps).map((sample, index): Sample => {
      const { evidence, low, high } = sample;
      if (evidence !== Evidence.armed || Math.floor(index / 4) % 3 !== 1) return sample;
      return { evidence, low: [low![0] + 1e7, low![1]], high: [high![0] + 1e7, high![1]] };
    });
    const solver = new Solver();
    solver.feed(samples);
    expect(solver.rate).toBe(0.0625);
  });

  it('is found although every fifth background timer is armed for half, the first among them', () => {
    const counter = { rate: 0.0625, start: 777, skew: 0 };
    const sleeps = Array.from({ length: 40 }, (_, at) => ({
      sleep: 1e6 + ((at * 7) % 13) * 3e5,
      stall: 60_000,
      late: 50_000,
      load: 9_900_000,
    }));
    const samples = samplesOf(counter, sleeps)
      .filter(({ evidence }) => evidence === Evidence.armed)
      .map((sample, index): Sample => {
        const { evidence, low, high } = sample;
        if (index % 5 !== 0) return sample;
        const by = -sleeps[index]!.sleep / 2;
        return { evidence, low: [low![0] + by, low![1]], high: [high![0] + by, high![1]] };
      });
    const solver = new Solver();
    solver.feed(samples);
    expect(solver.rate).toBe(0.0625);
  });
});
