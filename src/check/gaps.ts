import { Certainty, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';

/** Something that waits until no CPU can turn out to have lost records before it. */
export interface Waiting {
  readonly event: TimerEvent;
  /** Every CPU has gone on without a loss. */
  settle(): void;
  /** A CPU had lost records at that time. */
  retract(): void;
}

interface Entry {
  readonly waiting: Waiting;
  /** CPUs that have not recorded anything since. */
  readonly cpus: Set<number>;
  lost: boolean;
}

/** Trace time in which the first record of every CPU that takes part is expected, nanoseconds. */
const beginning = 1_000_000_000;
/** Trace time after which a silent CPU is taken for idle, nanoseconds. */
const patience = 10_000_000_000;

/**
 * A loss is reported with the first record after the gap, while other CPUs' records of the same time have been read
 * before (specification §4.0, M2). So a violation is told only when every other CPU has recorded something later:
 * if that CPU reports a loss first, its gap reaches back before the violation, which is then not decided.
 */
export class Gaps {
  readonly #queue: Entry[] = [];
  readonly #cpus = new Set<number>();
  readonly #seen: boolean[] = [];
  /** Time of the trace's first event; until `beginning` later a CPU may still turn up with a loss before its first record. */
  #first = Number.NaN;
  #now = 0;
  #ended = false;

  /** Adds something that waits, in the order of the trace. */
  add(waiting: Waiting): void {
    const cpus = new Set(this.#cpus);
    cpus.delete(waiting.event.cpu);
    this.#queue.push({ waiting, cpus, lost: false });
    this.#release();
  }

  /** Must be called with every event, before what it causes is added. */
  event(event: TimerEvent): void {
    if (Number.isNaN(this.#first)) this.#first = event.time;
    this.#now = event.time;
    const isNew = this.#seen[event.cpu] !== true;
    if (isNew) {
      this.#seen[event.cpu] = true;
      this.#cpus.add(event.cpu);
    }
    if (this.#queue.length === 0) return;
    // A loss that the tracker assumes before a CPU's first record is none that the recorder has told of.
    const lost = event.kind === Kind.lost && event.certainty === Certainty.recorded;
    for (const entry of this.#queue) {
      if ((entry.cpus.delete(event.cpu) || isNew) && lost) entry.lost = true;
      else if (event.time - entry.waiting.event.time > patience) entry.cpus.clear();
    }
    this.#release();
  }

  /** The trace has ended: nothing more can be reported lost. */
  end(): void {
    this.#ended = true;
    for (const entry of this.#queue) entry.cpus.clear();
    this.#release();
  }

  #release(): void {
    if (this.#now - this.#first < beginning && !this.#ended) return;
    let done = 0;
    for (; done < this.#queue.length; done++) {
      const entry = this.#queue[done] as Entry;
      if (entry.lost) entry.waiting.retract();
      else if (entry.cpus.size === 0) entry.waiting.settle();
      else break;
    }
    if (done > 0) this.#queue.splice(0, done);
  }
}
