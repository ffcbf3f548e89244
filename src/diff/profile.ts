import type { Naming } from '../check/findings.js';
import type { Observer } from '../check/observe.js';
import type { TimerEvent } from '../events/event.js';
import type { Machine } from '../machine/machine.js';

/**
 * What is kept of one recording, in memory that does not grow with it: each part of the comparison looks on with an
 * observer of its own.
 */
export class Profile implements Observer {
  readonly #parts: readonly Observer[];

  constructor(_naming: Naming) {
    this.#parts = [];
  }

  event(event: TimerEvent, machine: Machine): void {
    for (const part of this.#parts) part.event(event, machine);
  }

  end(time: number): void {
    for (const part of this.#parts) part.end(time);
  }
}
