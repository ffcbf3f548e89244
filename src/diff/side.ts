import { check } from '../check/check.js';
import type { CheckOptions, Fact, TraceSummary } from '../check/facts.js';
import type { Naming } from '../check/findings.js';
import type { Observer } from '../check/observe.js';
import type { Input } from '../check/read.js';
import { Profile } from './profile.js';

/** One recording of a diff: what its check says, and what was kept of it for the comparison. */
export interface Side {
  readonly summary: TraceSummary;
  readonly profile: Profile;
}

type SideFact = Exclude<Fact, { type: 'run-end' }>;

/**
 * Checks two recordings and takes their profiles. Both are begun before either is read to its end: one that cannot be
 * read is told at once, and V8 has seen two traces begin when it compiles what each of them runs.
 *
 * @returns undefined when either could not be read, which a fact has told
 */
export async function* readSides(
  old: Input,
  next: Input,
  options: CheckOptions,
): AsyncGenerator<SideFact, readonly [old: Side, next: Side] | undefined, undefined> {
  const readings = [new Reading(old, options), new Reading(next, options)] as const;
  try {
    for (const reading of readings) yield* reading.until('model');
    if (readings.some(({ failed }) => failed)) return undefined;
    for (const reading of readings) yield* reading.until('trace-end');
    const [first, second] = readings.map(({ side }) => side);
    return first === undefined || second === undefined ? undefined : [first, second];
  } finally {
    for (const reading of readings) await reading.close();
  }
}

/** One recording of the two while it is read. */
class Reading {
  /** It could not be read. */
  failed = false;
  #profile: Profile | undefined;
  #summary: TraceSummary | undefined;
  readonly #facts: AsyncGenerator<Fact, void, undefined>;

  constructor(input: Input, options: CheckOptions) {
    const observe = (naming: Naming): Observer => {
      this.#profile = new Profile(naming);
      return this.#profile;
    };
    this.#facts = check([input], { ...options, observe });
  }

  /** Undefined as long as it has not been read. */
  get side(): Side | undefined {
    const [summary, profile] = [this.#summary, this.#profile];
    return summary === undefined || profile === undefined ? undefined : { summary, profile };
  }

  /** Reads up to the first fact of a type, that one included, or to the end. */
  async *until(last: SideFact['type']): AsyncGenerator<SideFact, void, undefined> {
    for (;;) {
      const { value, done } = await this.#facts.next();
      if (done === true) return;
      if (value.type === 'run-end') continue;
      if (value.type === 'trace-end') this.#summary = value.summary;
      if (value.type === 'trace-failed') this.failed = true;
      yield value;
      if (value.type === last) return;
    }
  }

  /** Lets go of its file, wherever it has been read to. */
  async close(): Promise<void> {
    await this.#facts.return();
  }
}
