import type { TimerEvent } from '../events/event.js';
import type { Kind } from '../events/kinds.js';
import type { Host, Machine } from '../machine/machine.js';
import type { Model, ModelId } from '../models/model.js';
import type { Ongoing, RuleContext, Violation } from '../rules/context.js';
import type { Occasion } from '../rules/occasion.js';
import type { Timing } from '../timing/timing.js';
import type { Coverage } from './coverage.js';
import type { Needs } from './needs.js';
import type { Recorded } from './recorded.js';

/** What all rules of a trace are offered. */
export interface Offer
  extends Pick<RuleContext, 'machine' | 'model' | 'candidates' | 'host' | 'maxLatency' | 'timing'> {
  readonly trace: Recorded;
  occasion(kind: Kind): Occasion;
}

/** What becomes of the violations of one rule whose needs are met. */
export interface Verdicts {
  violate(event: TimerEvent, violation: Violation): void;
  begin(event: TimerEvent, violation: Violation): Ongoing;
}

/**
 * What one rule is offered in one trace. A class, so that its functions are the same for all rules and traces: where two
 * traces are compared, the code that was compiled for the first one's rules is good for the second one's.
 */
export class OfferedContext implements RuleContext {
  readonly machine: Machine;
  readonly model: Model;
  readonly candidates: readonly ModelId[];
  readonly host: Host | undefined;
  readonly maxLatency: number;
  readonly timing: Timing;
  readonly #offer: Offer;
  readonly #needs: Needs;
  readonly #coverage: Coverage;
  readonly #held: Coverage['held'];
  readonly #verdicts: Verdicts;

  constructor(offer: Offer, needs: Needs, coverage: Coverage, verdicts: Verdicts) {
    this.machine = offer.machine;
    this.model = offer.model;
    this.candidates = offer.candidates;
    this.host = offer.host;
    this.maxLatency = offer.maxLatency;
    this.timing = offer.timing;
    this.#offer = offer;
    this.#needs = needs;
    this.#coverage = coverage;
    this.#held = coverage.held;
    this.#verdicts = verdicts;
  }

  records(kind: Kind): boolean {
    return this.#offer.trace.records(kind);
  }

  get isStory(): boolean {
    return this.#offer.trace.isStory;
  }

  get leavesOutThreads(): boolean {
    return this.#offer.trace.leavesOutThreads;
  }

  recorded(kind: Kind): Occasion {
    return this.#offer.occasion(kind);
  }

  hold({ vcpu }: TimerEvent): void {
    const { values } = this.#held;
    // Has room only once the needs have been met: no call at nearly every event.
    if (vcpu + 1 < values.length) values[vcpu + 1]!++;
    else if (this.#needs.met()) this.#held.add(vcpu);
    else this.#coverage.undecide(vcpu, this.#needs.reason);
  }

  undecided(event: TimerEvent, reason: string): void {
    this.#coverage.undecide(event.vcpu, reason);
  }

  violate(event: TimerEvent, violation: Violation): void {
    if (this.#needs.met()) this.#verdicts.violate(event, violation);
    else this.#coverage.undecide(event.vcpu, this.#needs.reason);
  }

  begin(event: TimerEvent, violation: Violation): Ongoing {
    return this.#verdicts.begin(event, violation);
  }
}
