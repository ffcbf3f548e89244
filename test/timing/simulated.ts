import fc from 'fast-check';
import { TimerEvent } from '../../src/events/event.js';
import { Bounds } from '../../src/timing/bounds.js';
import { Evidence } from '../../src/timing/evidence.js';
import { FrequencySearch, Trial } from '../../src/timing/frequency.js';
import { Answer, Line, type Listener } from '../../src/timing/line.js';

/** One constraint as a trace would give it; times are nanoseconds, counts those of the true line. */
export interface Sample {
  readonly evidence: Evidence;
  readonly low: readonly [time: number, count: number] | undefined;
  readonly high: readonly [time: number, count: number] | undefined;
  /** When it was recorded, where that is not the time of a bound. */
  readonly at?: number;
  /** The hardware itself has said so. */
  readonly isHardware?: boolean;
  /** For when a callback has armed again: of no evidence that is judged. */
  readonly again?: number;
}

/** A true counter: `count = rate * time + start`, its clock running fast or slow by `skew`. */
export interface Counter {
  readonly rate: number;
  readonly start: number;
  readonly skew: number;
}

export function countAt({ rate, start, skew }: Counter, time: number): number {
  return start + rate * (1 + skew) * time;
}

export function timeOf({ rate, start, skew }: Counter, count: number): number {
  return (count - start) / (rate * (1 + skew));
}

const rounding = 1_000;

/** A vcpu that sleeps until a deadline, as the kernel records it: stalls and lateness of the recorder are random. */
export interface Sleep {
  /** Length, time between timer map and arming, lateness of the expiry, and of the load; nanoseconds. */
  readonly sleep: number;
  readonly stall: number;
  readonly late: number;
  readonly load: number;
}

export const sleepArbitrary: fc.Arbitrary<Sleep> = fc.record({
  sleep: fc.integer({ min: 1_000_000, max: 20_000_000 }),
  stall: fc.integer({ min: 0, max: 200_000 }),
  late: fc.integer({ min: 0, max: 5_000_000 }),
  load: fc.integer({ min: 10_000, max: 10_000_000 }),
});

export const counterArbitrary: fc.Arbitrary<Counter> = fc.record({
  rate: fc.constantFrom(0.0192, 0.024, 0.025, 0.05, 0.0625, 0.1, 0.121875, 0.0577, 1),
  start: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
  skew: fc.double({ min: -4e-4, max: 4e-4, noNaN: true }),
});

/** The constraints of some sleeps in a row: save, arming, expiry, level of the load, save. */
export function samplesOf(counter: Counter, sleeps: readonly Sleep[], from = 1e9): Sample[] {
  let now = from;
  return sleeps.flatMap(({ sleep, stall, late, load }) => {
    const deadline = Math.ceil(countAt(counter, now + sleep));
    const expires = timeOf(counter, deadline) + stall * 0.9;
    const saved: Sample = { evidence: Evidence.savedPending, low: undefined, high: [now - rounding, deadline] };
    const armed: Sample = {
      evidence: Evidence.armed,
      low: [expires + rounding, deadline],
      high: [expires - stall - rounding, deadline],
      at: now + stall,
    };
    const fired = expires + late;
    const loaded = fired + load;
    now = loaded + 50_000;
    return [
      saved,
      armed,
      { evidence: Evidence.fired, low: [fired, deadline], high: undefined },
      { evidence: Evidence.raised, low: [loaded, deadline], high: undefined },
    ] satisfies Sample[];
  });
}

/** What became of each constraint, by its number. */
export interface Verdicts {
  readonly answers: Map<number, Answer>;
  readonly by: Map<number, number>;
}

/** A line, and a frequency search where no rate is given, fed with samples. */
export class Solver {
  readonly line: Line;
  readonly verdicts: Verdicts = { answers: new Map(), by: new Map() };
  rate: number;
  readonly #search = new FrequencySearch();
  #serial = 0;

  constructor(rate = 0) {
    this.rate = rate;
    const listener: Listener = (event, answer, by) => {
      this.verdicts.answers.set(event.serial, answer);
      this.verdicts.by.set(event.serial, by);
    };
    this.line = new Line(
      0,
      true,
      Array.from({ length: 6 }, () => [listener]),
      { open: 0 },
    );
  }

  feed(samples: readonly Sample[], each?: (line: Line) => void): void {
    for (const { evidence, low, high, at, isHardware = false, again } of samples) {
      const constraint = new Bounds();
      if (low !== undefined) [constraint.lowTime, constraint.low] = low;
      if (high !== undefined) [constraint.highTime, constraint.high] = high;
      const event = TimerEvent.take();
      event.serial = ++this.#serial;
      event.time = low?.[0] ?? high?.[0] ?? 0;
      const now = at ?? event.time;
      if (again !== undefined) this.line.show(constraint, this.rate, again);
      else if (this.rate > 0) this.line.observe(constraint, this.rate, evidence, event, undefined, 0, now, isHardware);
      else this.#try(constraint);
      event.release();
      each?.(this.line);
    }
  }

  /** Numbers of the violated constraints, from 1. */
  get violated(): number[] {
    return [...this.verdicts.answers].filter(([, answer]) => answer === Answer.violated).map(([serial]) => serial);
  }

  #try(constraint: Bounds): void {
    this.line.trial ??= new Trial();
    const winner = this.#search.observe(this.line.trial, constraint);
    if (winner < 0) return;
    this.rate = this.#search.rate(winner);
    this.line.adopt(winner, true);
  }
}
