/** Expiries that must have been seen before the least of them is believed. */
const fewest = 4;
/** Expiries after which an older least one is forgotten: the clocks may drift apart. */
const period = 16;
/** Most nanoseconds that the best of some expiries is late. */
const latency = 200_000;
/** An expiry so much later than all before shows that the trace's clock has been set, nanoseconds. */
const jump = 10_000_000_000;
/**
 * Longest that the host's tick keeps an expiry behind it in the same interrupt waiting, nanoseconds: where ticks tell more,
 * the trace's clock stood still.
 */
const longestTick = 1_000_000;
/** The same as `latency` where the trace's clock is CLOCK_MONOTONIC itself: only the reading takes time. */
const reading = 5_000;

/**
 * The trace's clock against CLOCK_MONOTONIC. hrtimer_expire_entry tells the time at which the interrupt began, `now`,
 * and is itself recorded a little later: the least difference of some is the clocks' own.
 */
export class ClockMap {
  /** Trace time less CLOCK_MONOTONIC, nanoseconds, at most: zero until it is known. */
  offset = 0;
  /** How much less it may be. */
  slack = 0;
  #known = false;
  #samples = 0;
  #least = Number.POSITIVE_INFINITY;
  #before = Number.POSITIVE_INFINITY;
  #fixed: boolean;
  /** The last expiry showed that the trace's clock has been set, as where a machine slept or two traces are one. */
  jumped = false;

  /** @param origin CLOCK_MONOTONIC at trace time 0, where the trace's clock is that one */
  constructor(origin: number | undefined) {
    this.#fixed = origin !== undefined;
    if (origin === undefined) return;
    this.offset = -origin;
    this.slack = reading;
    this.#known = true;
  }

  /** Whether times of the two clocks can be compared. */
  get known(): boolean {
    return this.#known;
  }

  /** The trace's clock counts records instead of time: it is never known against another. */
  giveUp(): void {
    this.#fixed = true;
    this.#known = false;
  }

  /**
   * An expiry that was recorded at `time`, in an interrupt that began at `began`.
   *
   * @param ticked CLOCK_MONOTONIC at `time`, at the earliest, as the host's ticks tell; -1 where they do not
   * @returns whether the offset has become known
   */
  expiry(time: number, began: number, ticked: number): boolean {
    if (this.#fixed) return false;
    const now = ticked > began && ticked - began < longestTick ? ticked : began;
    this.jumped = this.#known && Math.abs(time - now - this.offset) > jump;
    if (this.jumped) this.#least = this.#before = Number.POSITIVE_INFINITY;
    this.#least = Math.min(this.#least, time - now);
    this.#samples++;
    const first = !this.#known && this.#samples >= fewest;
    if (first) {
      this.#known = true;
      this.slack = latency;
    }
    if (this.#known) this.offset = Math.min(this.#least, this.#before);
    if (this.#samples % period === 0) {
      this.#before = this.#least;
      this.#least = Number.POSITIVE_INFINITY;
    }
    return first;
  }
}
