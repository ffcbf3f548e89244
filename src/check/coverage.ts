import type { TimerEvent } from '../events/event.js';
import type { RuleCoverage } from './facts.js';

/** How often a rule held, was violated or stayed undecided, in all and by vcpu. */
export class Coverage {
  held = 0;
  violated = 0;
  undecided = 0;
  readonly reasons = new Map<string, number>();
  readonly #byVcpu: { held: number; violated: number; undecided: number }[] = [];

  hold(event: TimerEvent): void {
    this.held++;
    if (event.vcpu >= 0) this.#vcpu(event.vcpu).held++;
  }

  undecide(event: TimerEvent, reason: string): void {
    this.undecided++;
    this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1);
    if (event.vcpu >= 0) this.#vcpu(event.vcpu).undecided++;
  }

  violate(event: TimerEvent): void {
    this.violated++;
    if (event.vcpu >= 0) this.#vcpu(event.vcpu).violated++;
  }

  byVcpu(index: number): { held: number; violated: number; undecided: number } {
    return this.#byVcpu[index] ?? { held: 0, violated: 0, undecided: 0 };
  }

  summary(): RuleCoverage {
    return {
      held: this.held,
      violated: this.violated,
      undecided: this.undecided,
      reasons: Object.fromEntries(this.reasons),
    };
  }

  #vcpu(index: number): { held: number; violated: number; undecided: number } {
    for (let i = this.#byVcpu.length; i <= index; i++) this.#byVcpu.push({ held: 0, violated: 0, undecided: 0 });
    return this.#byVcpu[index] as { held: number; violated: number; undecided: number };
  }
}
