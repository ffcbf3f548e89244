import { TimerEvent } from '../events/event.js';
import type { Ending, Ongoing, Violation } from '../rules/context.js';
import type { Coverage } from './coverage.js';

/** How an episode ended, beside the words of its rule. */
const commonEnds: Readonly<Record<string, string>> = {
  lost: 'records were lost: whether it went on is not known',
  'trace-end': 'it goes on to the end of the trace',
};

/** What becomes of an episode once it is told. */
export interface Told {
  /** It happened once more. */
  again(): void;
  /** It has ended. */
  ended(): void;
}

/**
 * A violation that goes on. Until it is certain (`Gaps`) it only counts; then it is told, and counted on. What happens
 * again costs a few additions and keeps no event.
 */
export class OpenEpisode implements Ongoing {
  /** The first event of it. */
  readonly first: TimerEvent;
  count = 1;
  /** When it happened last, nanoseconds since the trace began. */
  lastTime: number;
  /** What ended it. */
  by: TimerEvent | undefined;
  /** What brought it about, where only its end has shown that. */
  cause: TimerEvent | undefined;
  /** The sentence on its end; undefined while it goes on. */
  how: string | undefined;
  /** Values that its end has brought. */
  data: Violation['data'];
  readonly #coverage: Coverage;
  readonly #ended: () => void;
  readonly #ends: Readonly<Record<string, string>>;
  #told: Told | undefined;
  #settled = false;
  /** Why nothing is claimed after all. */
  #retracted: string | undefined;

  /**
   * @param first copy of the first event
   * @param ends  the sentences of its message
   * @param ended called when it is over
   */
  constructor(
    first: TimerEvent,
    coverage: Coverage,
    ends: Readonly<Record<string, string>> | undefined,
    ended: () => void,
  ) {
    this.first = first;
    this.lastTime = first.time;
    this.#coverage = coverage;
    this.#ends = ends ?? {};
    this.#ended = ended;
  }

  again(event: TimerEvent): void {
    this.lastTime = event.time;
    if (this.#retracted !== undefined) return this.#coverage.undecide(event.vcpu, this.#retracted);
    this.count++;
    if (!this.#settled) return;
    this.#coverage.violate(event.vcpu);
    this.#told?.again();
  }

  end(how: string, what: Ending = {}): void {
    if (this.how !== undefined) return;
    this.how = this.#ends[how] ?? commonEnds[how] ?? how;
    this.data = what.data;
    this.by = copyOf(what.by);
    this.cause = copyOf(what.cause);
    this.#ended();
    this.#told?.ended();
  }

  /** It is certain; without `told` it is only counted. */
  settle(told: Told | undefined): void {
    for (let i = 0; i < this.count; i++) this.#coverage.violate(this.first.vcpu);
    this.#settled = true;
    this.#told = told;
    if (this.how !== undefined) told?.ended();
  }

  /** It is not certain. */
  retract(reason: string): void {
    for (let i = 0; i < this.count; i++) this.#coverage.undecide(this.first.vcpu, reason);
    this.#retracted = reason;
  }
}

function copyOf(event: TimerEvent | undefined): TimerEvent | undefined {
  return event === undefined || event.serial === 0 ? undefined : new TimerEvent().copyFrom(event);
}
