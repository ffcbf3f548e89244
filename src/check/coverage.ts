import type { TimerEvent } from '../events/event.js';
import type { RuleCoverage } from './facts.js';

/** Counts by vcpu: at index 0 those of no vcpu, from 1 on those of vcpu 0, 1, … */
class Counts {
  readonly #counts: number[] = [0];

  /** Counts one for a vcpu, -1 for none. */
  add(vcpu: number): void {
    const counts = this.#counts;
    if (vcpu + 1 < counts.length) counts[vcpu + 1]!++;
    else this.#extend(vcpu);
  }

  /** Counts the first one of a vcpu: without holes, which would cost at every event. */
  #extend(vcpu: number): void {
    while (this.#counts.length <= vcpu) this.#counts.push(0);
    this.#counts.push(1);
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

  hold(event: TimerEvent): void {
    this.#held.add(event.vcpu);
  }

  undecide(event: TimerEvent, reason: string): void {
    this.#undecided.add(event.vcpu);
    this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
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
    return {
      held: this.#held.sum,
      violated: this.#violated.sum,
      undecided: this.#undecided.sum,
      reasons: Object.fromEntries(this.#reasons),
    };
  }
}
