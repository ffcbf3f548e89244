import { createReadStream } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Finding } from '../../src/check/facts.js';
import { check, rules } from '../../src/index.js';
import { folder, type Injected, injected, present } from './reports.js';

/** Farthest that an effect may stand from its injection, seconds. */
const nearby = 0.03;

/** Share of the injections that must be found, by recording: what was measured, rounded down. */
const leastRecall: Readonly<Record<string, number>> = {
  // A stale value that is restored after KVM_RUN has ended may be what userspace wrote: that leaves no record.
  'bug02-stale-cval-watch': 0.78,
  // The last one concerns a timer that had expired already.
  'bug06-bg-not-armed-watch': 0.99,
  // Before twenty constraints are found no deadline is known surely enough.
  'bug07-bg-late-tickwfi': 0.91,
  // The last injections stand at the end of the recording.
  'bug09-bg-not-cancelled-ipi-kp': 0.99,
  // The others arm a background timer that nobody needs: what a WFIT waits for is in no record.
  'bug11-imask-ignored-mask': 0.65,
};

interface Score {
  readonly injections: number;
  /** Injections with a finding near them, of the rule that was expected first, and of any expected rule. */
  readonly first: number;
  readonly any: number;
  /** Occurrences of findings, and those near an injection. */
  readonly occurrences: number;
  readonly right: number;
  readonly unrelated: readonly string[];
}

async function findingsOf(file: string): Promise<readonly Finding[]> {
  const open = () => createReadStream(join(folder, file), { highWaterMark: 1 << 18 });
  for await (const fact of check([{ path: file, open }])) {
    if (fact.type === 'trace-failed') throw new Error(fact.failure.error);
    if (fact.type === 'trace-end') return fact.summary.findings.filter(({ severity }) => severity !== 'info');
  }
  throw new Error('the recording has no end');
}

function score({ expected, times }: Injected, findings: readonly Finding[]): Score {
  const named = rules.map(({ id }) => id).filter((id) => expected.includes(id));
  const first = named.filter((id) => expected.startsWith(id));
  const timesOf = (ids: readonly string[]) =>
    findings
      .filter(({ rule }) => ids.includes(rule))
      .flatMap(({ occurrences }) => occurrences.map(({ time }) => Number(time)));
  const isNear = (some: readonly number[], time: number) => some.some((other) => Math.abs(other - time) < nearby);
  const all = timesOf(rules.map(({ id }) => id));
  return {
    injections: times.length,
    first: times.filter((time) => isNear(timesOf(first), time)).length,
    any: times.filter((time) => isNear(timesOf(named), time)).length,
    occurrences: all.length,
    right: all.filter((time) => isNear(times, time)).length,
    unrelated: [...new Set(findings.map(({ rule }) => rule).filter((id) => !named.includes(id)))],
  };
}

describe.skipIf(!present)('injections into kernels', () => {
  const rows: string[] = [];

  it.each(injected())('$file', async (bug) => {
    const name = basename(bug.file, '.dat');
    const result = score(bug, await findingsOf(bug.file));
    const percent = (part: number, whole: number) => `${((100 * part) / whole).toFixed(1)} %`.padStart(8);
    rows.push(
      [
        name.padEnd(32),
        String(result.injections).padStart(10),
        percent(result.first, result.injections),
        percent(result.any, result.injections),
        percent(result.right, result.occurrences),
      ].join(' '),
    );
    expect(result.unrelated).toEqual([]);
    expect(result.right).toBe(result.occurrences);
    expect(result.first / result.injections).toBeGreaterThanOrEqual(leastRecall[name] ?? 1);
  });

  afterAll(() => {
    process.stdout.write(
      `\ninjections found: by the rule expected first, by any expected rule; findings near an injection\n${[
        `${'recording'.padEnd(32)} injections   recall      any precision`,
        ...rows.sort(),
      ].join('\n')}\n`,
    );
  });
});
