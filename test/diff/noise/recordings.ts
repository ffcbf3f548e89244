import { createSums } from '../../../src/diff/noise/index.js';
import { randomNumbers } from '../../../src/diff/noise/random.js';
import { Histogram } from '../../../src/stats/histogram.js';

/** A made-up recording: how busy it is varies from block to block, as of real ones. */
export interface MadeUp {
  /** Events per thing. Default 0.5. */
  readonly rate?: number;
  /** Blocks with data. Default 24. */
  readonly blocks?: number;
  /** Median duration, nanoseconds. Default 100 us. */
  readonly median?: number;
  /** Things per block, on average. Default 100. */
  readonly things?: number;
}

/** Normally distributed with mean 0 and deviation 1. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

function moods(seed: number, { blocks = 24, things = 100 }: MadeUp) {
  const random = randomNumbers(seed * 7919);
  return Array.from({ length: blocks }, (_, block) => ({
    block,
    mood: Math.exp(normal(random) * 0.2),
    busy: 1 + Math.floor(2 * things * random()),
    random,
  }));
}

/** How often something happens in a made-up recording. */
export function ratio(seed: number, made: MadeUp = {}) {
  const [count, per] = [createSums(), createSums()];
  for (const { block, mood, busy, random } of moods(seed, made)) {
    per[block] = busy;
    for (let i = 0; i < busy; i++) if (random() < (made.rate ?? 0.5) * mood) count[block]!++;
  }
  return { count, per };
}

/** How long something takes in a made-up recording. */
export function times(seed: number, made: MadeUp = {}): Histogram[] {
  return moods(seed, made).map(({ mood, busy, random }) => {
    const histogram = new Histogram();
    for (let i = 0; i < busy; i++) histogram.add((made.median ?? 1e5) * mood * Math.exp(normal(random) * 0.5));
    return histogram;
  });
}
