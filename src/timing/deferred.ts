import type { TimerEvent } from '../events/event.js';
import { Bounds } from './bounds.js';
import type { Evidence } from './evidence.js';
import type { Line } from './line.js';

/** A constraint that waits for the counter's frequency; for its parts see `Line.observe`. */
export interface Waiting {
  readonly line: Line;
  readonly constraint: Bounds;
  readonly evidence: Evidence;
  readonly event: TimerEvent;
  readonly basis: TimerEvent;
  readonly lenient: number;
  readonly now: number;
  readonly isHardware: boolean;
}

/** The same once it is kept. */
interface Kept extends Waiting {
  now: number;
  /** When userspace had run last. */
  readonly userspace: number;
}

/** Most that wait: a frequency that so many do not show is not shown by more of the kind. */
const most = 512;

/**
 * What was seen before the counter's frequency was known: it is judged once that is, in the order in which it was
 * seen, so that the lines begin where the trace does.
 */
export class Deferred {
  #kept: Kept[] = [];
  /** They were handed over, judged or not: none is taken any more. */
  isOver = false;

  /** More than these are not worth the memory. */
  get isFull(): boolean {
    return this.#kept.length >= most;
  }

  /** Keeps a constraint, and its events. @returns whether it does */
  take(waiting: Waiting): boolean {
    if (this.isOver) return false;
    const constraint = new Bounds();
    constraint.copy(waiting.constraint);
    waiting.event.retain();
    waiting.basis.retain();
    this.#kept.push({ ...waiting, constraint, userspace: waiting.line.userspace });
    return true;
  }

  /** Times are less by `offset` from now on. */
  shift(offset: number): void {
    for (const kept of this.#kept) {
      kept.constraint.shift(offset);
      kept.now -= offset;
    }
  }

  /** Hands over all that wait, whose events are the caller's to release. */
  close(): readonly Kept[] {
    const kept = this.#kept;
    this.#kept = [];
    this.isOver = true;
    return kept;
  }
}
