import type { Naming } from '../check/findings.js';
import type { ObservedTrace, Observer } from '../check/observe.js';
import type { TimerEvent } from '../events/event.js';
import type { Machine } from '../machine/machine.js';
import { BehaviourRecorder } from './behaviour/recorder.js';
import { Steps } from './divergence/steps.js';
import { Blocks } from './noise/index.js';
import { BlockStats } from './stats.js';

/**
 * What is kept of one recording, in memory that does not grow with it: each part of the comparison looks on with an
 * observer of its own.
 */
export class Profile implements Observer {
  /** What is kept by block tells how much of a difference is chance. */
  readonly blocks = new Blocks();
  readonly behaviour: BehaviourRecorder;
  readonly steps: Steps;
  readonly stats: BlockStats;
  readonly #parts: readonly Observer[];

  constructor(naming: Naming) {
    this.behaviour = new BehaviourRecorder(naming, this.blocks);
    this.stats = new BlockStats(naming, this.blocks);
    this.steps = new Steps(naming);
    this.#parts = [this.behaviour, this.stats, this.steps];
  }

  begin(trace: ObservedTrace): void {
    for (const part of this.#parts) part.begin?.(trace);
  }

  event(event: TimerEvent, machine: Machine): void {
    this.blocks.advance(event.time);
    const parts = this.#parts;
    for (let i = 0; i < parts.length; i++) parts[i]!.event(event, machine);
  }

  end(time: number): void {
    for (const part of this.#parts) part.end(time);
  }
}
