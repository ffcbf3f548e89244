/**
 * How much a clock may run fast or slow against the counter, as a part of its rate. NTP slews CLOCK_MONOTONIC by at
 * most 500 ppm (specification §6).
 */
export const drift = 5e-4;

/**
 * What is known of a line n(time) = rate * (time - t0) + n0, the counter of a timer context against a clock: at one time
 * it was at least `low`, at another one at most `high`. Counts are relative to a count of the line's choice, so that
 * they are exact as doubles; times are nanoseconds. The further away from the time of a bound, the less it says, since
 * the clock may drift: so two bounds are all there is to keep.
 */
export class Bounds {
  // Born as no integers, as `TimerEvent.time` is, so that V8 need not learn that they are doubles.
  lowTime = Number.NaN;
  low = Number.NEGATIVE_INFINITY;
  highTime = Number.NaN;
  high = Number.POSITIVE_INFINITY;

  constructor() {
    this.lowTime = 0;
    this.highTime = 0;
  }

  /** Nothing is known. */
  clear(): void {
    this.low = Number.NEGATIVE_INFINITY;
    this.high = Number.POSITIVE_INFINITY;
  }

  copy(other: Bounds): void {
    this.lowTime = other.lowTime;
    this.low = other.low;
    this.highTime = other.highTime;
    this.high = other.high;
  }

  /** The least count at a time. @param rate counts per nanosecond */
  lowAt(time: number, rate: number): number {
    const passed = time - this.lowTime;
    return this.low + rate * (passed - drift * Math.abs(passed));
  }

  /** The greatest count at a time. */
  highAt(time: number, rate: number): number {
    const passed = time - this.highTime;
    return this.high + rate * (passed + drift * Math.abs(passed));
  }

  /** The latest time at which a line has a count. */
  latestAt(count: number, rate: number): number {
    const passed = (count - this.low) / rate;
    return this.lowTime + passed / (1 - drift * Math.sign(passed));
  }

  /** The earliest time at which a line has a count. */
  earliestAt(count: number, rate: number): number {
    const passed = (count - this.high) / rate;
    return this.highTime + passed / (1 + drift * Math.sign(passed));
  }

  /** Whether a line fits both this and the other's bounds. */
  admits(other: Bounds, rate: number): boolean {
    return (
      (other.low === Number.NEGATIVE_INFINITY || other.low <= this.highAt(other.lowTime, rate)) &&
      (other.high === Number.POSITIVE_INFINITY || other.high >= this.lowAt(other.highTime, rate))
    );
  }

  /** Nanoseconds by which another's bounds are late, or (negative) early, for every line that fits this one's. */
  distance(other: Bounds, rate: number): number {
    const early = (other.low - this.highAt(other.lowTime, rate)) / rate;
    if (early > 0) return -early;
    return (this.lowAt(other.highTime, rate) - other.high) / rate;
  }

  /** Takes over what the other knows better. */
  narrow(other: Bounds, rate: number): void {
    if (other.low > this.lowAt(other.lowTime, rate)) {
      this.lowTime = other.lowTime;
      this.low = other.low;
    }
    if (other.high < this.highAt(other.highTime, rate)) {
      this.highTime = other.highTime;
      this.high = other.high;
    }
  }

  /** The same bounds in a clock that shows `offset` less. */
  shift(offset: number): void {
    this.lowTime -= offset;
    this.highTime -= offset;
  }
}
