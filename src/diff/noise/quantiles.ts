import { type Histogram, middleOf } from '../../stats/histogram.js';
import { because, type Comparison, fewestBlocks, type LeastEffect, level } from './level.js';
import { randomNumbers } from './random.js';
import { chance, type Estimate } from './welch.js';

/** A distribution by block; undefined where a block has no value. */
export type Histograms = readonly (Histogram | undefined)[];

/** One quantile of both recordings; the interval is that of the difference in the histograms' unit. */
export interface QuantileShift extends Comparison {
  /** 0 to 1. */
  readonly share: number;
  /** New by old, and its interval; undefined where not judged. */
  readonly factor: readonly [low: number, high: number] | undefined;
}

/** For durations: a tenth and 5 us. */
export const leastShift: LeastEffect = { relative: 0.1, absolute: 5_000 };

/** Resamplings of a recording's blocks. */
const resamplings = 999;
/** A quantile is told of only where so many values lie beyond it. */
const fewestBeyond = 10;
/** Any fixed number. */
const seed = 20_161_222;
/** Width of a histogram's bucket as a part of its value: the error of a quantile that never varies. */
const resolution = 1 / 32;

/** The blocks of one recording that have values, ready to be drawn from. */
class Sample {
  readonly blocks: number;
  readonly count: number;
  readonly #first: number;
  readonly #buckets: number;
  /** By bucket, and in it by block: values up to there. */
  readonly #upTo: Float64Array;
  readonly #weights: Float64Array;

  constructor(histograms: Histograms) {
    const filled = histograms.filter((one): one is Histogram => one !== undefined && one.count > 0);
    const ranges = filled.map((one) => one.range());
    this.blocks = filled.length;
    this.count = filled.reduce((sum, one) => sum + one.count, 0);
    this.#first = Math.min(...ranges.map(([first]) => first));
    this.#buckets = this.blocks === 0 ? 0 : Math.max(...ranges.map(([, last]) => last)) - this.#first + 1;
    this.#upTo = new Float64Array(this.blocks * this.#buckets);
    this.#weights = new Float64Array(this.blocks);
    filled.forEach((one, block) => {
      let sum = 0;
      for (let bucket = 0; bucket < this.#buckets; bucket++) {
        sum += one.inBucket(this.#first + bucket);
        this.#upTo[bucket * this.blocks + block] = sum;
      }
    });
  }

  /** The quantile of the recording itself. */
  quantile(share: number): number {
    this.#weights.fill(1);
    return middleOf(this.#first + this.#reaches(share * this.#below(this.#buckets - 1), 0));
  }

  /**
   * Quantiles of recordings made of this one's blocks, drawn two neighbours at a time since neighbours are alike.
   *
   * @returns for each share, one value for each resampling
   */
  draw(shares: readonly number[], random: () => number): Float64Array[] {
    const drawn = shares.map(() => new Float64Array(resamplings));
    const last = shares.map(() => 0);
    for (let round = 0; round < resamplings; round++) {
      this.#weights.fill(0);
      for (let pair = 0; pair < this.blocks / 2; pair++) {
        const block = Math.floor(random() * this.blocks);
        this.#weights[block]!++;
        this.#weights[(block + 1) % this.blocks]!++;
      }
      const all = this.#below(this.#buckets - 1);
      for (let i = 0; i < shares.length; i++) {
        last[i] = this.#reaches(shares[i]! * all, last[i]!);
        drawn[i]![round] = middleOf(this.#first + last[i]!);
      }
    }
    return drawn;
  }

  /**
   * The first bucket up to which there are so many values, weighted. It is looked for from a near one on, in steps that
   * double: a quantile varies little from one drawing to the next.
   */
  #reaches(values: number, near: number): number {
    const target = Math.max(1, Math.ceil(values));
    let [low, high] = [0, this.#buckets - 1];
    let bucket = near;
    for (let step = 1; low < high; step *= 2) {
      const isEnough = this.#below(bucket) >= target;
      if (isEnough) high = bucket;
      else low = bucket + 1;
      bucket += isEnough ? -step : step;
      if (bucket < low || bucket >= high) bucket = (low + high) >> 1;
    }
    return low;
  }

  /** Weighted number of values up to a bucket. */
  #below(bucket: number): number {
    const weights = this.#weights;
    const upTo = this.#upTo;
    let sum = 0;
    for (let block = 0, at = bucket * this.blocks; block < this.blocks; block++, at++)
      sum += weights[block]! * upTo[at]!;
    return sum;
  }
}

function variance(values: Float64Array): number {
  let [sum, squares] = [0, 0];
  for (const value of values) sum += value;
  for (const value of values) squares += (value - sum / values.length) ** 2;
  return squares / (values.length - 1);
}

/** The inner part of sorted values, without `level` of them. */
function inner(values: Float64Array): readonly [low: number, high: number] {
  values.sort();
  const cut = Math.floor((level / 2) * values.length);
  return [values[cut]!, values[values.length - 1 - cut]!];
}

/** Durations are compared by their logarithms; those below a nanosecond count as one. */
function logarithm(value: number): number {
  return Math.log(Math.max(1, value));
}

/**
 * Compares quantiles of two distributions. Their errors are found by drawing blocks of each recording again and again;
 * the draws are the same at every run. A shift is a difference of logarithms.
 *
 * @param shares which quantiles, 0 to 1
 * @param least by quantile, the shift that counts
 */
export function compareQuantiles(
  old: Histograms,
  next: Histograms,
  shares: readonly number[],
  least: (share: number) => LeastEffect = () => leastShift,
): QuantileShift[] {
  const [first, second] = [new Sample(old), new Sample(next)];
  const blocks = Math.min(first.blocks, second.blocks);
  const count = Math.min(first.count, second.count);
  const short = count === 0 ? because.none : blocks < fewestBlocks ? because.short : undefined;
  const value = (sample: Sample, share: number) => (sample.count === 0 ? Number.NaN : sample.quantile(share));
  const random = randomNumbers(seed);
  const draws = short === undefined ? [first.draw(shares, random), second.draw(shares, random)] : [[], []];
  return shares.map((share, index) => {
    const values = { share, old: value(first, share), new: value(second, share) };
    const few = count * Math.min(share, 1 - share) < fewestBeyond ? because.few : undefined;
    const unjudged = short ?? few;
    if (unjudged !== undefined) return { ...values, interval: undefined, factor: undefined, p: 1, unjudged };
    return { ...values, ...shift(values.old, values.new, blocks, draws[0]![index]!, draws[1]![index]!, least(share)) };
  });
}

function shift(
  old: number,
  next: number,
  blocks: number,
  before: Float64Array,
  after: Float64Array,
  { relative, absolute }: LeastEffect,
): Omit<QuantileShift, 'share' | 'old' | 'new'> {
  const estimate = (value: number, draws: Float64Array): Estimate => ({
    value: logarithm(value),
    variance: Math.max(resolution ** 2 / 12, variance(draws.map(logarithm))),
    df: blocks - 1,
  });
  const smaller = Math.max(1, Math.min(old, next));
  const margin = Math.log(((1 + relative) * smaller + absolute) / smaller);
  const factor = inner(after.map((value, round) => logarithm(value) - logarithm(before[round]!)));
  const p = chance(estimate(old, before), estimate(next, after), { relative: 0, absolute: margin });
  return {
    interval: inner(after.map((value, round) => value - before[round]!)),
    factor: [Math.exp(factor[0]), Math.exp(factor[1])],
    // Where the draws themselves do not all lie beyond nothing, their spread says too little.
    p: factor[0] <= 0 && factor[1] >= 0 ? 1 : p,
    unjudged: undefined,
  };
}
