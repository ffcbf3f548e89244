import { describe, expect, it } from 'vitest';
import type { TraceSummary } from '../../src/check/facts.js';
import { check } from '../../src/index.js';

// A recording whose CPUs had a buffer each. That one of them ends early leaves no mark.
const header = '# recording: trace-dat\n# cpus: 2\ntime,event,vcpu,cpu,pid\n';

async function summaryOf(...rows: readonly string[]): Promise<TraceSummary> {
  const input = {
    path: '-',
    async *open() {
      yield Buffer.from(`${header}${rows.join('\n')}\n`);
    },
  };
  for await (const fact of check([input], { model: 'timer-map', host: 'nvhe' })) {
    if (fact.type === 'trace-failed') throw new Error(fact.failure.error);
    if (fact.type === 'trace-end') return fact.summary;
  }
  throw new Error('the check ended without a summary');
}

/** Vcpu 0 is loaded on CPU 1 with no put on CPU 0: that may be missing where CPU 0's buffer ends. */
const entered = [
  '0,load,1,1,201',
  '0.001,put,1,1,201',
  '0.002,load,0,0,200',
  '0.003,entry,0,0,200',
  '0.004,exit,0,0,200',
  '0.005,put,0,0,200',
  '0.006,load,0,0,200',
  '0.007,entry,0,0,200',
  '0.008,exit,0,0,200',
  '0.100,load,0,1,200',
  '0.101,entry,0,1,200',
];

const rule = 'one-cpu-per-vcpu';
const told = ({ findings }: TraceSummary) =>
  findings.flatMap(({ rule: by, diagnosis }) => (by === rule ? `${by}/${diagnosis}` : []));

describe('a violation that a record of another CPU would explain', () => {
  it('is told once that CPU has gone on', async () => {
    expect(told(await summaryOf(...entered, '0.2,load,1,0,201'))).toEqual([`${rule}/elsewhere`]);
  });

  it.each([
    ['a moment', '0.102,exit,0,1,200'],
    ['a second', '1.1,exit,0,1,200'],
    ['a minute', '60,exit,0,1,200'],
  ])('is not decided when that CPU has been silent for %s before the end', async (_, last) => {
    const { findings, rules } = await summaryOf(...entered, last);
    expect(findings).toEqual([]);
    expect(rules[rule]).toMatchObject({
      violated: 0,
      reasons: { 'another CPU has recorded nothing since: its buffer may end before that time': 1 },
    });
  });

  it('is told when that CPU has recorded later what makes no event', async () => {
    expect(told(await summaryOf(...entered, '0.102,exit,0,1,200', '# cpu-end: 0 0.150000000 idle'))).toEqual([
      `${rule}/elsewhere`,
    ]);
  });
});

describe('what has not come by the end', () => {
  const handler = ['0,load,0,0,200', '0.001,entry,0,0,200', '0.002,vtimer_irq,,0,200', '0.003,vtimer_irq_end,,0,200'];
  const open = '0.004,vtimer_irq,,0,200';

  it('is nothing to a CPU that may have ended inside its handler', async () => {
    const { findings, rules } = await summaryOf(...handler, open, '0.019,load,1,1,201', '0.020,entry,1,1,201');
    expect(findings).toEqual([]);
    expect(rules['irq-handler-returns']).toMatchObject({ held: 1, undecided: 1 });
  });
});
