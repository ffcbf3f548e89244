import { TimerEvent } from '../events/event.js';

/** Stands where no event is yet. */
const nothing = new TimerEvent();

/** Events that wait for their next step, in order. */
export class Batch {
  length = 0;
  /** As many as `length` says. */
  readonly events: TimerEvent[];

  /** @param size number of events that are expected at most */
  constructor(size: number) {
    this.events = Array.from({ length: size }, () => nothing);
  }

  /** Keeps an event until whoever takes it releases it. */
  add(event: TimerEvent): void {
    this.pass(event.retain());
  }

  /** As `add`, of an event that the caller keeps and does not release. */
  pass(event: TimerEvent): void {
    this.events[this.length++] = event;
  }
}
