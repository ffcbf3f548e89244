import type { TimerEvent } from '../events/event.js';
import { Bounds } from './bounds.js';

/** An arming that contradicts what the hardware has shown before it. */
export interface Arming {
  readonly event: TimerEvent;
  readonly basis: TimerEvent | undefined;
  /** What it says of the counter. */
  readonly constraint: Bounds;
  /** The same as of the time of the arming. */
  readonly anchored: Bounds;
  /** The hardware has contradicted it afterwards as well. */
  isBetween: boolean;
  /** Nanoseconds by which it is late, negative where early. */
  by: number;
}

/** Armings in a row that contradict the hardware, and it not them: it is wrong itself, or the offset has changed. */
const most = 20;
/** How often the hardware has to contradict armings before and after. */
const fewest = 3;

/**
 * The background timer's armings against the hardware's own word: ISTATUS in a save, the timer's interrupt, and a
 * callback that finds its deadline still to come and arms again. All other evidence is weighed by number (`Line`); but
 * a kernel that arms wrongly every time would win such a vote, and what the hardware says would seem wrong. Here an
 * arming that contradicts the hardware is withheld from the vote, and convicted once the hardware contradicts it
 * afterwards too, and others likewise: an offset would have had to change, and back to the very place, each time.
 */
export class Withheld {
  /** What the hardware has shown of the counter. */
  readonly shown = new Bounds();
  /** Armings convicted since the hardware's word was forgotten last. */
  convicted = 0;
  #armings: Arming[] = [];
  /** The arming that was asked of last, as of its time. */
  readonly #anchored = new Bounds();
  /** The last one that contradicts the hardware, and how many there were since it has contradicted one. */
  readonly #doubted = new Bounds();
  #unanswered = 0;
  /** Times that the hardware has contradicted armings since the last such time, and that it has contradicted none. */
  #against = 0;
  #without = 0;

  get isEmpty(): boolean {
    return this.#armings.length === 0;
  }

  /** There are too many of them for the hardware to be right, or too many to keep. */
  get isFull(): boolean {
    return this.#unanswered >= most || this.#armings.length >= most;
  }

  /** Whether the hardware has spoken against an arming, at a time of the line's clock. */
  doubts(constraint: Bounds, rate: number, now: number): boolean {
    const anchored = this.#anchored;
    anchor(anchored, constraint, rate, now);
    if (this.shown.admits(anchored, rate) || this.shown.admits(constraint, rate)) return false;
    this.#doubted.copy(anchored);
    this.#unanswered++;
    return true;
  }

  /** Withholds the arming that was asked of last. */
  take(constraint: Bounds, event: TimerEvent, basis: TimerEvent | undefined): void {
    this.#armings.push({
      event: event.retain(),
      basis: basis?.retain(),
      constraint: copyOf(constraint),
      anchored: copyOf(this.#anchored),
      isBetween: false,
      by: 0,
    });
  }

  /**
   * The hardware's word, which the line's clock had at one time.
   *
   * @param again for when a callback that speaks for it has armed the timer again, NaN for none
   */
  show(constraint: Bounds, rate: number, again: number): void {
    this.shown.narrow(constraint, rate);
    if (this.#unanswered === 0) return;
    if (this.#doubted.admits(constraint, rate)) {
      this.#without++;
      return;
    }
    this.#against++;
    this.#unanswered = 0;
    for (const arming of this.#armings) {
      if (arming.anchored.admits(constraint, rate)) continue;
      arming.isBetween = true;
      arming.by = this.shown.distance(arming.anchored, rate);
      if (arming.by < 0 && again > arming.constraint.lowTime)
        arming.by = Math.min(arming.by, arming.constraint.lowTime - again);
    }
  }

  /** The armings that cannot be right; they are the caller's to release. */
  takeConvicted(): readonly Arming[] {
    if (this.#against < fewest || this.#against <= this.#without) return [];
    const convicted = this.#armings.filter(({ isBetween }) => isBetween);
    if (convicted.length === 0) return convicted;
    this.#armings = this.#armings.filter(({ isBetween }) => !isBetween);
    this.convicted += convicted.length;
    return convicted;
  }

  /** The oldest of too many, which is the caller's to release. */
  takeOldest(): Arming | undefined {
    return this.#armings.shift();
  }

  /** All that are left, which are the caller's to release; what the hardware has shown is forgotten. */
  clear(): readonly Arming[] {
    const left = this.#armings;
    this.#armings = [];
    this.#unanswered = 0;
    this.#against = 0;
    this.#without = 0;
    this.convicted = 0;
    this.shown.clear();
    return left;
  }
}

/**
 * What an arming says of the counter, as of the time at which the kernel has read it: that the clock is slewed until
 * the expiry is no fault of the arming.
 */
function anchor(anchored: Bounds, { low, lowTime, high, highTime }: Bounds, rate: number, now: number): void {
  anchored.lowTime = now;
  anchored.low = low - rate * (lowTime - now);
  anchored.highTime = now;
  anchored.high = high - rate * (highTime - now);
}

function copyOf(bounds: Bounds): Bounds {
  const copy = new Bounds();
  copy.copy(bounds);
  return copy;
}
