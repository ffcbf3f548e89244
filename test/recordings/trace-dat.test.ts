import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { TraceSummary } from '../../src/check/facts.js';
import { check, openRandomAccess, openSource } from '../../src/index.js';
import { Events, sample } from '../input/trace-dat/sample.js';
import { inMemory } from '../input/trace-dat/support.js';
import { Bytes, plain, traceDat } from '../input/trace-dat/writer.js';
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

it('takes the vcpus of a guest from the recorder, from the first record on', async () => {
  const events = new Events(plain);
  const pages = [
    { time: 1n, items: [1, 2, 3].map((pc) => ({ delta: 1000, payload: events.entry(100 + (pc % 2), pc) })) },
  ];
  const guest = (name: string, vcpu: number, pid: number) =>
    [13, new Bytes(plain).text(name).u64(9).u32(1).u32(vcpu).u32(pid).done()] as const;
  const bytes = traceDat(plain, {
    ...sample(plain),
    buffers: [{ name: '', cpus: [{ cpu: 0, pages }] }],
    options: [guest('one', 5, 100), guest('two', 7, 101)],
  });
  const input = {
    path: 'guests.dat',
    open: async function* () {
      yield bytes;
    },
    openFile: () => inMemory(bytes),
  };
  for await (const fact of check([input])) {
    if (fact.type !== 'trace-end') continue;
    expect(fact.summary.vms).toBe(2);
    expect(fact.summary.vcpus).toMatchObject([
      { vm: 0, id: 5, pid: 100, vmCertainty: 'recorded' },
      { vm: 1, id: 7, pid: 101, vmCertainty: 'recorded' },
    ]);
  }
  expect.assertions(2);
});

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
