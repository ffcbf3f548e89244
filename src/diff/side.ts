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

type RunEnd = Extract<Fact, { type: 'run-end' }>;

/**
 * Checks one recording and takes its profile on the way.
 *
 * @returns undefined when it could not be read, which a fact has told
 */
export async function* readSide(
  input: Input,
  options: CheckOptions,
): AsyncGenerator<Exclude<Fact, RunEnd>, Side | undefined, undefined> {
  let profile: Profile | undefined;
  let summary: TraceSummary | undefined;
  const observe = (naming: Naming): Observer => {
    profile = new Profile(naming);
    return profile;
  };
  for await (const fact of check([input], { ...options, observe })) {
    if (fact.type === 'run-end') continue;
    if (fact.type === 'trace-end') summary = fact.summary;
    yield fact;
  }
  return summary === undefined || profile === undefined ? undefined : { summary, profile };
}
