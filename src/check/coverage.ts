import type { RuleCoverage } from './facts.js';

/** Counts by vcpu: at index 0 those of no vcpu, from 1 on those of vcpu 0, 1, … */
class Counts {
  /** No room for any before the first. Doubles from the beginning, so that they are known for numbers of one kind. */
  values = new Float64Array(0);

  /** Counts one for a vcpu, -1 for none. */
  add(vcpu: number): void {
    if (vcpu + 1 >= this.values.length) this.#extend(vcpu + 2);
    this.values[vcpu + 1]!++;
  }

  #extend(length: number): void {
    const longer = new Float64Array(Math.max(8, 2 * length));
    longer.set(this.values);
    this.values = longer;
  }

  of(vcpu: number): number {
    return this.values[vcpu + 1] ?? 0;
  }

  get sum(): number {
    return this.values.reduce((sum, count) => sum + count, 0);
  }
}

/** How often a rule held, was violated or stayed undecided, in all and by vcpu. */
export class Coverage {
  /** How often it held: rules hold at nearly every event, and are counted without a call. */
  readonly held = new Counts();
  readonly #violated = new Counts();
  readonly #undecided = new Counts();
  readonly #reasons = new Map<string, number>();
  /** The latest reason, which is mostly the next one as well, and its count since `#reasons` has been told. */
  #reason = '';
  #count = 0;

  /** @param vcpu -1 for none */
  undecide(vcpu: number, reason: string): void {
    this.#undecided.add(vcpu);
    if (reason !== this.#reason) {
      this.#settle();
      this.#reason = reason;
    }
    this.#count++;
  }

  violate(vcpu: number): void {
    this.#violated.add(vcpu);
  }

  byVcpu(index: number): { held: number; violated: number; undecided: number } {
    return {
      held: this.held.of(index),
      violated: this.#violated.of(index),
      undecided: this.#undecided.of(index),
    };
  }

  summary(): RuleCoverage {
    this.#settle();
    return {
      held: this.held.sum,
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
