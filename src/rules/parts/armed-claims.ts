import { TimerEvent } from '../../events/event.js';
import { because, type RuleContext, type Violation } from '../context.js';
import { Marks } from '../occasion.js';

/**
 * Violations that rest on an hrtimer being armed still. It fires in whatever thread is current, and a recording that is
 * filtered by thread, by CPU or by context leaves that out, while it shows others of its kind. Before it is due it cannot
 * have fired, and a cancel is its vcpu thread's own. After that a violation waits for what comes of the hrtimer next, which
 * tells (specification §0.5, point 6):
 *
 * - a cancel is recorded only of a queued timer, and so is an expiry: until then it was armed;
 * - hrtimer_start of a queued timer records a cancel first (up to 6.12): without one, the arming had ended without a record,
 *   or cannot be told from one that had.
 *
 * Of a story silence tells, and nothing waits.
 */
export class ArmedClaims {
  readonly #context: RuleContext;
  /** By key of the hrtimer (vcpu, or vcpu and timer context): what waits. */
  readonly #claims: (Violation & { readonly at: TimerEvent })[] = [];
  readonly #waiting = new Marks();

  constructor(context: RuleContext) {
    this.#context = context;
  }

  /** There is one while anything waits. */
  get occasion(): Marks['occasion'] {
    return this.#waiting.occasion;
  }

  /**
   * Whether an hrtimer that is armed by all that was recorded may have fired.
   *
   * @param expires CLOCK_MONOTONIC for which it was armed, nanoseconds
   */
  mayHaveFired(event: TimerEvent, expires: number | undefined): boolean {
    const { isStory, timing } = this.#context;
    return !isStory && !(timing.monotonic(event.time) < (expires ?? Number.NaN));
  }

  /** Claims a violation at an event; of several of one arming the first counts. */
  claim(key: number, event: TimerEvent, expires: number | undefined, violation: Violation): void {
    if (!this.mayHaveFired(event, expires)) return this.#context.violate(event, violation);
    this.wait(key, event, violation);
  }

  /** As `claim`, of an hrtimer that is overdue. */
  wait(key: number, event: TimerEvent, violation: Violation): void {
    if (this.#waiting.has(key)) return;
    this.#waiting.add(key);
    this.#claims[key] = { ...violation, witness: violation.witness.map(copy), at: copy(violation.at ?? event) };
  }

  /** The hrtimer is cancelled, or expires: it was armed. */
  ended(key: number, event: TimerEvent): void {
    if (this.#waiting.delete(key)) this.#context.violate(event, this.#claims[key] as Violation);
  }

  /** The hrtimer is started, with no cancel before. */
  started(key: number): void {
    this.#drop(key, because.hidden);
  }

  /** Nothing more can be known of any of them: records were lost, or the trace ends. */
  forget(reason: string): void {
    for (let key = 0; key < this.#claims.length; key++) this.#drop(key, reason);
  }

  #drop(key: number, reason: string): void {
    if (this.#waiting.delete(key))
      this.#context.undecided((this.#claims[key] as Violation & { at: TimerEvent }).at, reason);
  }
}

/** An event of the run is used again; what waits keeps its own. */
function copy(event: TimerEvent): TimerEvent {
  return new TimerEvent().copyFrom(event);
}
