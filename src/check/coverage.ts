import type { TimerEvent } from '../events/event.js';
import type { RuleCoverage } from './facts.js';

/** How often a rule held, was violated or stayed undecided, in all and by vcpu. */
export class Coverage {
  held = 0;
  violated = 0;
  undecided = 0;
  readonly reasons = new Map<string, number>();
  readonly #heldBy: number[] = [];
  readonly #violatedBy: number[] = [];
  readonly #undecidedBy: number[] = [];

  hold(event: TimerEvent): void {
    this.held++;
    count(this.#heldBy, event.vcpu);
  }

  undecide(event: TimerEvent, reason: string): void {
    this.undecided++;
    this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1);
    count(this.#undecidedBy, event.vcpu);
  }

  violate(event: TimerEvent): void {
    this.violated++;
    count(this.#violatedBy, event.vcpu);
  }

  byVcpu(index: number): { held: number; violated: number; undecided: number } {
    return {
      held: this.#heldBy[index] ?? 0,
      violated: this.#violatedBy[index] ?? 0,
      undecided: this.#undecidedBy[index] ?? 0,
    };
  }

  summary(): RuleCoverage {
    return {
      held: this.held,
      violated: this.violated,
      undecided: this.undecided,
      reasons: Object.fromEntries(this.reasons),
    };
  }
}

/** Counts one for a vcpu; an event without one counts in the sum only. */
function count(counts: number[], vcpu: number): void {
  if (vcpu < 0) return;
  // Without holes, which would cost at every event.
  while (counts.length <= vcpu) counts.push(0);
  counts[vcpu]!++;
}
