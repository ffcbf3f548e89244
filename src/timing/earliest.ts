import type { TimerEvent } from '../events/event.js';
import { confirming, type Line } from './line.js';

/** A timer that can fire, on its line. */
export interface Due {
  line: Line;
  /** Its deadline, in the line's counts. */
  count: number;
  /** The save that shows it. */
  save: TimerEvent;
}

/** An arming that seems to come before all deadlines, until each line has been confirmed. */
interface Premature {
  readonly event: TimerEvent;
  /** CLOCK_MONOTONIC, with what the kernel may have rounded. */
  readonly expires: number;
  readonly dues: readonly Premise[];
  /** Later armings of the vcpu for two timers that were not too early, less those that were. */
  surplus: number;
}

/** A timer's deadline, and the place of its line when that was asked. */
interface Premise extends Due {
  readonly moves: number;
  readonly support: number;
}

/** What became of a premature arming. `by`: nanoseconds, negative; NaN where it cannot be told. */
export type Told = (event: TimerEvent, by: number, save: TimerEvent) => void;

/** Most that wait for an answer. */
const most = 64;

/**
 * Armings of the background timer where two timers can fire: it is for the earlier deadline (kvm_timer_earliest_exp),
 * and which that is no record says. So it is no equality on either line, but it may not expire before both deadlines.
 * Once both lines are known that can be told; and, since the offset may have changed just before, not until both
 * have been confirmed as often again, and later armings of the kind have mostly been for one of their deadlines.
 */
export class EarliestDeadlines {
  #waiting: Premature[] = [];
  readonly #told: Told;

  constructor(told: Told) {
    this.#told = told;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** An arming for the earlier of two deadlines. */
  armed(event: TimerEvent, expires: number, first: Due, second: Due, rate: number): void {
    if (!first.line.settled || !second.line.settled) return;
    const by = Math.min(early(first, expires, rate), early(second, expires, rate));
    for (const other of this.#waiting) if (other.event.vcpu === event.vcpu) other.surplus += by > 0 ? -1 : 1;
    if (by <= 0 || this.#waiting.length >= most) return;
    this.#waiting.push({ event: event.retain(), expires, dues: [premise(first), premise(second)], surplus: 0 });
  }

  /** Answers for what has been confirmed. */
  settle(rate: number): void {
    this.#answer((waiting) => waiting.dues.every(isConfirmed) || waiting.dues.some(hasMoved), rate);
  }

  /** Nothing more will confirm any. */
  end(rate: number): void {
    this.#answer(() => true, rate);
  }

  #answer(isOver: (waiting: Premature) => boolean, rate: number): void {
    const over = this.#waiting.filter(isOver);
    if (over.length === 0) return;
    this.#waiting = this.#waiting.filter((waiting) => !over.includes(waiting));
    for (const { event, expires, dues, surplus } of over) {
      const isSure = surplus > 0 && dues.every(isConfirmed) && !dues.some(hasMoved);
      const [first, second] = dues as [Premise, Premise];
      const [one, other] = [early(first, expires, rate), early(second, expires, rate)];
      const by = isSure ? Math.min(one, other) : Number.NaN;
      this.#told(event, by > 0 ? -by : Number.NaN, one < other ? first.save : second.save);
      event.release();
      for (const { save } of dues) save.release();
    }
  }
}

/** Nanoseconds by which a time lies before a deadline, for every feasible line. */
function early({ line, count }: Due, expires: number, rate: number): number {
  return line.bounds.earliestAt(count, rate) - expires;
}

function premise({ line, count, save }: Due): Premise {
  return { line, count, save: save.retain(), moves: line.moves, support: line.support };
}

function isConfirmed({ line, support }: Premise): boolean {
  return line.settled && line.support >= support + confirming;
}

function hasMoved({ line, moves }: Premise): boolean {
  return line.moves !== moves;
}
