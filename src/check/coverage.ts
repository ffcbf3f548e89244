import type { TimerEvent } from '../events/event.js';
import type { RuleCoverage } from './facts.js';

/** Counts by vcpu: at index 0 those of no vcpu, from 1 on those of vcpu 0, 1, … */
class Counts {
  /** Doubles from the beginning, so that the loop over all events knows them for numbers of one kind. */
  #counts = new Float64Array(8);

  /** Counts one for a vcpu, -1 for none. */
  add(vcpu: number): void {
    if (vcpu + 1 >= this.#counts.length) this.#extend(vcpu + 2);
    this.#counts[vcpu + 1]!++;
  }

  #extend(length: number): void {
    const longer = new Float64Array(2 * length);
    longer.set(this.#counts);
    this.#counts = longer;
  }

  of(vcpu: number): number {
    return this.#counts[vcpu + 1] ?? 0;
  }

  get sum(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }
}

/** How often a rule held, was violated or stayed undecided, in all and by vcpu. */
export class Coverage {
  readonly #held = new Counts();
  readonly #violated = new Counts();
  readonly #undecided = new Counts();
  readonly #reasons = new Map<string, number>();
  /** The latest reason, which is mostly the next one as well, and its count since `#reasons` has been told. */
  #reason = '';
  #count = 0;

  hold(event: TimerEvent): void {
    this.#held.add(event.vcpu);
  }

  undecide(event: TimerEvent, reason: string): void {
    this.#undecided.add(event.vcpu);
    if (reason !== this.#reason) {
      this.#settle();
      this.#reason = reason;
    }
    this.#count++;
  }

  violate(event: TimerEvent): void {
    this.#violated.add(event.vcpu);
  }

  byVcpu(index: number): { held: number; violated: number; undecided: number } {
    return {
      held: this.#held.of(index),
      violated: this.#violated.of(index),
      undecided: this.#undecided.of(index),
    };
  }

  summary(): RuleCoverage {
    this.#settle();
    return {
      held: this.#held.sum,
      violated: this.#violated.sum,
      undecided: this.#undecided.sum,
      reasons: Object.fromEntries(this.#reasons),
    };
  }

  #settle(): void {
    if (this.#count > 0) this.#reasons.set(this.#reason, (this.#reasons.get(this.#reason) ?? 0) + this.#count);
    this.#count = 0;
  }
}
