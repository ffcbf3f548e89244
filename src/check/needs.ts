import type { KindName } from '../events/kinds.js';
import type { Rule } from '../rules/rule.js';

/**
 * Whether a trace records what a rule needs. An event that is not recorded may have happened all the same, so
 * without it a rule decides nothing.
 */
export class Needs {
  readonly #rule: Rule;
  readonly #records: (kind: KindName) => boolean;
  #met = false;

  constructor(rule: Rule, records: (kind: KindName) => boolean) {
    this.#rule = rule;
    this.#records = records;
  }

  met(): boolean {
    this.#met ||= this.missing().length === 0;
    return this.#met;
  }

  /** What is needed and not recorded; alternatives are joined by "or". */
  missing(): string[] {
    return this.#rule.needs.flatMap((need) => {
      const kinds = typeof need === 'string' ? [need] : need;
      return kinds.some((kind) => this.#records(kind)) ? [] : [kinds.join(' or ')];
    });
  }

  reason(): string {
    return `the trace records no ${this.missing().join(', ')}`;
  }
}
