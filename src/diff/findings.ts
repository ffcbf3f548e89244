import type { Finding, TraceSummary } from '../check/facts.js';
import { type Severity, severities } from '../rules/rule.js';
import type { CommonFinding, FindingsDiff, LoneFinding } from './facts.js';

/** What a finding says, whichever chain of events proves it. */
function claimOf({ rule, diagnosis, timer }: Finding): string {
  return `${rule} ${diagnosis} ${timer ?? ''}`;
}

/** Takes the first element that fits out of a list. */
function take<T>(from: T[], fits: (one: T) => boolean): T | undefined {
  const at = from.findIndex(fits);
  return at < 0 ? undefined : from.splice(at, 1)[0];
}

function alone(finding: Finding, other: TraceSummary, failOn: Severity): LoneFinding {
  const there = other.rules[finding.rule];
  return {
    finding,
    decidedInOther: there !== undefined && there.held + there.violated > 0,
    fails: severities.indexOf(finding.severity) >= severities.indexOf(failOn),
  };
}

/**
 * Findings that are new, gone, or in both: by fingerprint first. Of what is left, a finding with the same diagnosis in
 * the other recording is the same violation proven by another chain of events, not a new one.
 */
export function diffFindings(old: TraceSummary, next: TraceSummary, failOn: Severity): FindingsDiff {
  const left = [...old.findings];
  const right = [...next.findings];
  const both: CommonFinding[] = [];
  const pair = (fits: (a: Finding, b: Finding) => boolean, otherChain: boolean) => {
    for (const finding of [...right]) {
      const same = take(left, (one) => fits(one, finding));
      if (same === undefined) continue;
      take(right, (one) => one === finding);
      both.push({ old: same, new: finding, otherChain });
    }
  };
  pair((a, b) => a.fingerprint === b.fingerprint, false);
  pair((a, b) => claimOf(a) === claimOf(b), true);
  // More chains of the same violation in one recording than in the other.
  for (const { lone, of } of [
    { lone: right, of: 'old' },
    { lone: left, of: 'new' },
  ] as const) {
    for (const finding of [...lone]) {
      const known = both.find((one) => claimOf(one[of]) === claimOf(finding));
      if (known !== undefined) take(lone, (one) => one === finding);
    }
  }
  return {
    new: right.map((finding) => alone(finding, old, failOn)),
    gone: left.map((finding) => alone(finding, next, failOn)),
    both,
  };
}
