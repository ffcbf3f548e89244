import { canFire } from '../../events/event.js';
import type { Assumptions } from './assumptions.js';
import type { Consumer, Stimulus } from './stimulus.js';

/** Most stimuli that wait for what later records tell of an earlier one. */
const mostWaiting = 32_768;

/** How far ahead a deadline is taken to be of which nothing is known, nanoseconds. */
const farAhead = 60_000_000_000;

/** Holds stimuli back, in order, until all that is to be known of them is known, or has waited too long. */
export class StimulusQueue {
  #waiting: Stimulus[] = [];
  /** Index of the first that waits; those before it have gone. */
  #head = 0;

  constructor(
    readonly consumer: Consumer,
    readonly assumptions: Assumptions,
  ) {}

  add(stimulus: Stimulus): void {
    this.#waiting.push(stimulus);
    if (this.#waiting.length - this.#head > mostWaiting) this.#give();
    this.release();
  }

  /** Hands on those that nothing is open of. */
  release(): void {
    while (this.#head < this.#waiting.length && (this.#waiting[this.#head] as Stimulus).settled) this.#give();
    if (this.#head < 1024 || this.#head * 2 < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#head);
    this.#head = 0;
  }

  /** Nothing more will be known. */
  end(): void {
    while (this.#head < this.#waiting.length) this.#give();
  }

  #give(): void {
    const stimulus = this.#waiting[this.#head++] as Stimulus;
    const { deadline } = stimulus;
    if (stimulus.open && stimulus.ctl < 0) this.assumptions.add('registers-unknown');
    stimulus.open = false;
    stimulus.given = true;
    if (deadline !== undefined && Number.isNaN(deadline.time) && canFire(stimulus.ctl)) {
      this.assumptions.add('deadline-unknown');
      deadline.time = stimulus.time + farAhead;
    }
    this.consumer(stimulus);
  }
}
