import type { Naming } from '../check/findings.js';
import type { Observer } from '../check/observe.js';
import type { TimerEvent } from '../events/event.js';
import type { Machine } from '../machine/machine.js';
import { BehaviourRecorder } from './behaviour/recorder.js';
import { Blocks } from './noise/index.js';

/**
 * What is kept of one recording, in memory that does not grow with it: each part of the comparison looks on with an
 * observer of its own.
 */
export class Profile implements Observer {
  /** What is kept by block tells how much of a difference is chance. */
  readonly blocks = new Blocks();
  readonly behaviour: BehaviourRecorder;
  readonly #parts: readonly Observer[];

  constructor(naming: Naming) {
    this.behaviour = new BehaviourRecorder(naming, this.blocks);
    this.#parts = [this.behaviour];
  }

  event(event: TimerEvent, machine: Machine): void {
    this.blocks.advance(event.time);
    for (const part of this.#parts) part.event(event, machine);
  }

  end(time: number): void {
    for (const part of this.#parts) part.end(time);
  }
}
