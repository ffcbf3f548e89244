import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { TraceSummary } from '../../src/check/facts.js';
import { check, openRandomAccess, openSource } from '../../src/index.js';
import { folder, present, textOf, traceCmd } from './reports.js';

/** Of each kernel and kind of recording one; kernels before 5.1 print less than they record. */
const files = [
  '5.10-nvhe-mixed.dat',
  '5.10-vhe-kp-mixed.dat',
  '6.1-nvhe-kp-overcommit.dat',
  '6.1-nvhe-tickwfi-v6.dat',
  '6.1-vhe-lost.dat',
  '7.2-vhe-kp-mixed.dat',
  'broken/bug06-bg-not-armed-watch.dat',
  'broken/bug10-dist-inactive-tickwfi-kp.dat',
];

async function summary(path: string, wholeFile: boolean): Promise<TraceSummary> {
  const input = { path, open: () => openSource(path), ...(wholeFile && { openFile: () => openRandomAccess(path) }) };
  for await (const fact of check([input])) if (fact.type === 'trace-end') return fact.summary;
  throw new Error(`${path} was not read`);
}

/** What a form of a recording must not change. */
function essence({ verdict, events, timerEvents, model, host, findings, rules, vcpus }: TraceSummary) {
  return {
    verdict,
    events,
    timerEvents,
    model: model.id,
    host: host.id,
    findings: findings.map(({ rule, diagnosis, time, cpu, count, vcpu, fingerprint }) => ({
      rule,
      diagnosis,
      time,
      cpu,
      count,
      vcpu,
      fingerprint,
    })),
    rules: Object.fromEntries(
      Object.entries(rules).map(([id, { held, violated, undecided }]) => [id, { held, violated, undecided }]),
    ),
    vcpus,
  };
}

describe.skipIf(!traceCmd || !present)('a trace.dat and its text', () => {
  it.each(files)('%s: the same findings and counts', async (file) => {
    const path = join(folder, file);
    const direct = await summary(path, true);
    expect(direct.format).toBe('trace-dat');
    expect(essence(direct)).toEqual(essence(await summary(textOf(file), false)));
  });

  it('from a stream, through a temporary file: the same', async () => {
    const path = join(folder, '6.1-nvhe-tickwfi-zstd.dat');
    expect(await summary(path, false)).toEqual(await summary(path, true));
  });
});
