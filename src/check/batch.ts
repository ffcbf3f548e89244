import type { TimerEvent } from '../events/event.js';

/** Events that wait for their next step, in order. */
export class Batch {
  length = 0;
  /** As many as `length` says. */
  readonly events: TimerEvent[] = [];

  /** Keeps an event until whoever takes it releases it. */
  add(event: TimerEvent): void {
    this.pass(event.retain());
  }

  /** As `add`, of an event that the caller keeps and does not release. */
  pass(event: TimerEvent): void {
    this.events[this.length++] = event;
  }
}
