import type { KindName } from '../events/kinds.js';
import type { Rule } from '../rules/rule.js';

/**
 * Whether a trace records what a rule needs. An event that is not recorded may have happened all the same, so
 * without it a rule decides nothing.
 */
export class Needs {
  readonly #rule: Rule;
  readonly #records: (kind: KindName) => boolean;
  readonly #version: () => number;
  #asked = -1;
  /** They were met when they were last asked for; then they are for good. */
  #isMet = false;
  #reason = '';

  /** @param version changes whenever the answer of `records` may */
  constructor(rule: Rule, records: (kind: KindName) => boolean, version: () => number) {
    this.#rule = rule;
    this.#records = records;
    this.#version = version;
  }

  met(): boolean {
    if (this.#isMet || this.#asked === this.#version()) return this.#isMet;
    this.#asked = this.#version();
    const missing = missingNeeds(this.#rule, this.#records);
    this.#isMet = missing.length === 0;
    this.#reason = `the trace records no ${missing.join(', ')}`;
    return this.#isMet;
  }

  /** Why they are not met; asked after `met`. */
  get reason(): string {
    return this.#reason;
  }
}

/** What a rule needs and a trace does not record: of each list one kind would do. */
export function missingKinds(rule: Rule, records: (kind: KindName) => boolean): (readonly KindName[])[] {
  return rule.needs
    .map((need) => (typeof need === 'string' ? [need] : need))
    .filter((kinds) => !kinds.some((kind) => records(kind)));
}

/** The same in words; alternatives are joined by "or". */
export function missingNeeds(rule: Rule, records: (kind: KindName) => boolean): string[] {
  return missingKinds(rule, records).map((kinds) => kinds.join(' or '));
}
