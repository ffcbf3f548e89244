/** Buckets to a doubling: a quantile is off by at most one part in 64. */
const perDoubling = 32;
const bits = 5;

/** What a distribution is told by. Durations in nanoseconds. */
export interface Distribution {
  readonly count: number;
  readonly total: number;
  readonly min: number;
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/**
 * A distribution of durations in memory that does not grow with their number: exact below 32 ns, above it in buckets of
 * 1/32 of a power of two.
 */
export class Histogram {
  count = 0;
  // Born as no integers, as `TimerEvent.time` is, so that V8 need not learn that they are doubles.
  total = Number.NaN;
  min = Number.NaN;
  max = Number.NaN;
  /** By bucket; only as long as the largest value needs. */
  #buckets = new Float64Array(perDoubling);

  constructor() {
    this.clear();
  }

  /** @param value nanoseconds; what is negative counts as 0 */
  add(value: number): void {
    const duration = value > 0 ? Math.round(value) : 0;
    this.count++;
    this.total += duration;
    if (duration < this.min) this.min = duration;
    if (duration > this.max) this.max = duration;
    const bucket = bucketOf(duration);
    const buckets = bucket < this.#buckets.length ? this.#buckets : this.#grow(bucket + 1);
    buckets[bucket]!++;
  }

  /** Adds all that another one holds. */
  merge(other: Histogram): void {
    if (other.count === 0) return;
    this.count += other.count;
    this.total += other.total;
    this.min = Math.min(this.min, other.min);
    this.max = Math.max(this.max, other.max);
    const last = bucketOf(other.max);
    if (last >= this.#buckets.length) this.#grow(last + 1);
    const [own, more] = [this.#buckets, other.#buckets];
    for (let bucket = bucketOf(other.min); bucket <= last; bucket++) own[bucket]! += more[bucket]!;
  }

  /** Forgets all values, and keeps the room for new ones. */
  clear(): void {
    if (this.count > 0) this.#buckets.fill(0, bucketOf(this.min), bucketOf(this.max) + 1);
    this.count = 0;
    this.total = 0;
    this.min = Number.POSITIVE_INFINITY;
    this.max = 0;
  }

  /** The value below which a share of all values lies: the middle of its bucket. @param share 0 to 1 */
  quantile(share: number): number {
    if (this.count === 0) return Number.NaN;
    let left = Math.max(1, Math.ceil(share * this.count));
    for (let bucket = 0; bucket < this.#buckets.length; bucket++) {
      left -= this.#buckets[bucket]!;
      if (left <= 0) return Math.min(this.max, Math.max(this.min, middleOf(bucket)));
    }
    return this.max;
  }

  /** Number of values in a bucket, see `middleOf`. */
  inBucket(bucket: number): number {
    return this.#buckets[bucket] ?? 0;
  }

  /** The first and the last bucket with values; of one without values, no bucket. */
  range(): readonly [first: number, last: number] {
    const isFilled = (count: number) => count > 0;
    return [this.#buckets.findIndex(isFilled), this.#buckets.findLastIndex(isFilled)];
  }

  /** Numbers of values by lower bound of their power of two, the empty ones between them included. */
  doublings(): { readonly from: number; readonly count: number }[] {
    const sums = new Map<number, number>();
    this.#buckets.forEach((count, bucket) => {
      const from = bucket < perDoubling ? 0 : perDoubling * 2 ** (Math.floor(bucket / perDoubling) - 1);
      sums.set(from, (sums.get(from) ?? 0) + count);
    });
    const all = [...sums].map(([from, count]) => ({ from, count }));
    const first = all.findIndex(({ count }) => count > 0);
    const last = all.findLastIndex(({ count }) => count > 0);
    return first < 0 ? [] : all.slice(first, last + 1);
  }

  /** Undefined when it is empty. */
  summary(): Distribution | undefined {
    if (this.count === 0) return undefined;
    const { count, total, min, max } = this;
    const quantile = (share: number) => Math.round(this.quantile(share));
    return { count, total, min, mean: total / count, p50: quantile(0.5), p90: quantile(0.9), p99: quantile(0.99), max };
  }

  #grow(length: number): Float64Array {
    const buckets = new Float64Array(Math.ceil(length / perDoubling) * perDoubling);
    buckets.set(this.#buckets);
    this.#buckets = buckets;
    return buckets;
  }
}

/** The bucket of a whole number. Values below 64 have a bucket each. */
function bucketOf(value: number): number {
  // Nearly every duration is below two seconds, and is placed with integers.
  if (value < 0x80000000) {
    const whole = value | 0;
    if (whole < perDoubling) return whole;
    const place = 31 - Math.clz32(whole) - bits;
    return place * perDoubling + (whole >>> place);
  }
  const exponent = Math.floor(Math.log2(value));
  // The logarithm of a number just below a power of two may be rounded up to it.
  const doubling = 2 ** exponent > value ? exponent - 1 : exponent;
  return ((doubling - bits) * perDoubling + Math.floor(value / 2 ** (doubling - bits))) | 0;
}

/** The middle of a bucket, nanoseconds. */
export function middleOf(bucket: number): number {
  if (bucket < perDoubling) return bucket;
  const doubling = Math.floor(bucket / perDoubling) - 1 + bits;
  const width = 2 ** (doubling - bits);
  return (perDoubling + (bucket % perDoubling)) * width + (width - 1) / 2;
}
