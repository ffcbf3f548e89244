import { Certainty, lostToTheEnd, type TimerEvent } from '../events/event.js';
import { Kind, type KindName, kindNames } from '../events/kinds.js';
import { emptyList } from '../events/list.js';
import { because, clockSkew } from '../rules/context.js';

/** Something that waits until no CPU can turn out to have lost records before it. */
export interface Waiting {
  readonly event: TimerEvent;
  /** Kinds that would explain it, had another CPU recorded them earlier. */
  readonly explainedBy: readonly KindName[];
  /** Every CPU has gone on without a loss. */
  settle(): void;
  /** A CPU had lost records at that time, or has recorded nothing since, or the order of two CPUs' is not certain. */
  retract(reason: string): void;
}

/** Why something that waited is taken back. */
const reasons = {
  lost: 'records of another CPU were lost at that time',
  ended: 'another CPU has recorded nothing since: its buffer may end before that time',
  order: because.order,
} as const;

interface Entry {
  readonly waiting: Waiting;
  /** Position in the order of all events. */
  readonly sequence: number;
  doubt: keyof typeof reasons | undefined;
}

/** Trace time in which the first record of every CPU that takes part is expected, where their number is not known; nanoseconds. */
const beginning = 1_000_000_000;
/** Trace time after which a CPU that has never recorded anything is not waited for any longer, nanoseconds. */
const patience = 10_000_000_000;
/** No CPU. */
const nobody = -1;
/** Most violations that wait: a CPU may be silent to the end of a trace of any length. */
const mostWaiting = 4096;

/**
 * A loss is reported with the first record after the gap, while other CPUs' records of the same time have been read
 * before (specification §4.0, M2). So a violation is told only when every CPU has recorded something later: if that
 * CPU reports a loss first, its gap reaches back before the violation, which is then not decided.
 *
 * That a buffer ends early leaves no mark at all: a full one that is not overwritten, a recorder that was killed, a part
 * that was cut out of a recording. Nothing tells such a CPU from one that is idle (without a tick it is silent for
 * seconds) but its next record. So no time is long enough to stop waiting for a CPU that has recorded before: what
 * still waits for one at the end of the trace is not decided.
 */
export class Gaps {
  /** In the order of the trace; settled from the front. */
  readonly #queue: Entry[] = emptyList();
  /** By CPU: sequence of its last event. */
  readonly #recorded: number[] = [];
  /** By CPU: time of its last record, those that make no event included. */
  #heard: readonly number[] = [];
  /** The CPU that the front of the queue waits for. */
  #blockedBy = -1;
  #sequence = 0;
  /** CPUs that have recorded something. */
  #seen = 0;
  /** Time of the first event. */
  #first = Number.NaN;
  #now = 0;
  /** Number of CPUs whose records are missing from some place to the end. */
  #cut = 0;
  /** Number of CPUs that the recording says it has; 0 when it does not say. */
  #cpus: number;
  readonly #ringBuffers: boolean;
  /** Whether a CPU that the recording has, or may have, has recorded nothing so far, or nothing more from here on. */
  blind = false;

  /**
   * @param cpus        number of CPUs that the recording says it has; 0 when it does not say
   * @param ringBuffers false for a native trace, which has no buffers to lose records from
   */
  constructor(cpus: number, ringBuffers: boolean) {
    this.#cpus = cpus;
    this.#ringBuffers = ringBuffers;
    this.#look();
  }

  /** The recording says only now how many CPUs it has. */
  hasCpus(count: number): void {
    this.#cpus = count;
    this.#look();
  }

  #look(): void {
    const known = this.#cpus > 0 ? this.#cpus : 2;
    this.blind = this.#ringBuffers && (this.#cut > 0 || this.#seen < known);
  }

  /** Adds something that waits, in the order of the trace. */
  add(waiting: Waiting): void {
    if (!this.#ringBuffers) return waiting.settle();
    if (this.#cut > 0) return waiting.retract(reasons.lost);
    if (this.#queue.length === mostWaiting) return waiting.retract(reasons.ended);
    this.#queue.push({ waiting, sequence: this.#sequence, doubt: undefined });
    if (this.#queue.length === 1) this.#release();
  }

  /** Must be called with every event, once it has its serial number and before what it causes is added. */
  event(event: TimerEvent): void {
    if (event.serial === 1) this.#first = event.time;
    this.#now = event.time;
    this.#sequence = event.serial;
    // A derived event says nothing of its CPU's buffer: it follows from a record that may be another's.
    if (event.certainty !== Certainty.recorded) return;
    const before = this.#recorded[event.cpu] ?? 0;
    // That records are lost is no record: of a CPU whose data is missing as a whole, nothing else is known.
    if (event.kind !== Kind.lost) {
      this.#recorded[event.cpu] = this.#sequence;
      if (before === 0) {
        this.#seen++;
        this.#look();
      }
    } else if (event.lostCount === lostToTheEnd) {
      this.#cut++;
      this.#look();
    }
    if (this.#queue.length === 0) return;
    this.#doubtOrder(event);
    if (event.kind === Kind.lost) {
      for (const entry of this.#queue) if (entry.sequence > before) entry.doubt = 'lost';
      this.#release();
    } else if (this.#blockedBy === event.cpu || this.#blockedBy < 0 || this.#isPatient()) this.#release();
  }

  /** Whether something waits for a CPU. */
  get isWaiting(): boolean {
    return this.#queue.length > 0;
  }

  /**
   * Records that make no event tell as well that a CPU has gone on. To be called when all events before them have been.
   *
   * @param times by CPU: time of its last record, NaN where it has none
   */
  heard(times: readonly number[]): void {
    this.#heard = times;
    this.#release();
  }

  /**
   * The trace has ended: nothing more can be reported lost, and no CPU goes on.
   *
   * @param times by CPU: time of its last record, NaN where it has none
   */
  end(times: readonly number[]): void {
    this.#heard = times;
    for (const entry of this.#queue) {
      const doubt = entry.doubt ?? (this.#silent(entry, true) >= 0 ? 'ended' : undefined);
      if (doubt === undefined) entry.waiting.settle();
      else entry.waiting.retract(reasons[doubt]);
    }
    this.#queue.length = 0;
  }

  /** A record of the vcpu that another CPU wrote at nearly the same time may have come first, and explain all. */
  #doubtOrder(event: TimerEvent): void {
    if (event.vcpu < 0) return;
    for (let at = this.#queue.length - 1; at >= 0; at--) {
      const entry = this.#queue[at] as Entry;
      const claim = entry.waiting.event;
      if (event.time - claim.time > clockSkew) return;
      if (claim.vcpu !== event.vcpu || claim.cpu === event.cpu) continue;
      if (entry.waiting.explainedBy.includes(kindNames[event.kind] as KindName)) entry.doubt ??= 'order';
    }
  }

  /** Whether the front of the queue waits for a CPU of which nothing is known, and has waited long enough. */
  #isPatient(): boolean {
    const front = this.#queue[0];
    return front !== undefined && this.#isOverdue(front) && (this.#recorded[this.#blockedBy] ?? 0) === 0;
  }

  #isOverdue(entry: Entry): boolean {
    return this.#now - entry.waiting.event.time > patience;
  }

  #release(): void {
    let done = 0;
    for (; done < this.#queue.length; done++) {
      const entry = this.#queue[done] as Entry;
      if (entry.doubt !== undefined) {
        entry.waiting.retract(reasons[entry.doubt]);
        continue;
      }
      this.#blockedBy = this.#silent(entry, this.#isOverdue(entry));
      if (this.#blockedBy !== nobody) break;
      entry.waiting.settle();
    }
    if (done > 0) this.#queue.splice(0, done);
  }

  /**
   * A CPU that has recorded nothing since; `-2` when one that is not known yet may still turn up, or nobody.
   *
   * @param overdue CPUs that have never recorded anything are not waited for
   */
  #silent({ waiting: { event }, sequence }: Entry, overdue: boolean): number {
    const known = this.#cpus;
    if (!overdue && known === 0 && this.#now - this.#first < beginning) return -2;
    const count = Math.max(known, this.#recorded.length, this.#heard.length);
    for (let cpu = 0; cpu < count; cpu++) {
      if (isOwn(event, cpu) || (this.#recorded[cpu] ?? 0) > sequence) continue;
      const heard = this.#heard[cpu] ?? Number.NaN;
      if (heard > event.time) continue;
      const hasRecorded = this.#recorded[cpu] !== undefined || !Number.isNaN(heard);
      if (hasRecorded || (!overdue && cpu < known)) return cpu;
    }
    return nobody;
  }
}

/** A CPU's own buffer is whole up to the record at hand. */
function isOwn(event: TimerEvent, cpu: number): boolean {
  return event.cpu === cpu && event.certainty === Certainty.recorded;
}
