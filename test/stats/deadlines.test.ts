import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { stats } from '../../src/index.js';

/** The counter is 0 at time 0 and counts every 16 ns: a deadline of 1 ms is 0xf424. */
const known = '# frequency: 62500000\n# count: 0x0\n';

/** Latencies that begin with a deadline, of one vcpu, as `count x total` in microseconds. */
async function measured(rows: string, counter = known): Promise<Record<string, string>> {
  const trace = `# model: timer-map\n# host: vhe\n# clock: mono\n${counter}time,event,vcpu,cpu,timer,ctl,cval,level,next,state\n${rows}`;
  for await (const fact of stats([{ path: 'trace.csv', open: () => Readable.from([Buffer.from(trace)]) }])) {
    if (fact.type === 'trace-failed') throw new Error(fact.failure.error);
    if (fact.type !== 'trace-end') continue;
    const rows = fact.stats.groups.flatMap(({ latencies }) => latencies);
    return Object.fromEntries(
      rows
        .filter(({ name }) => name === 'deadlineToInterrupt' || name === 'deadlineToEntry')
        .map(({ name, times }) => [name, `${times.count} x ${times.total / 1000}`]),
    );
  }
  throw new Error('the trace has no end');
}

/** Put once and loaded again: the save is what the counter is first held against. */
const loaded = `0.000001,load,0,0
0.000002,put,0,0
0.000003,save,0,0,vtimer,1,0xf424
0.000003,put_end,0,0
0.000004,load,0,0
0.000004,restore,0,0,vtimer,1,0xf424
`;

const preempted = `0.000005,entry,0,0
0.000400,exit,0,0
0.000500,put,0,0
0.000501,save,0,0,vtimer,1,0xf424
0.000502,put_end,0,0
`;

describe('a deadline is known', () => {
  it('where the guest has not run since it was restored', async () => {
    const rows = `${loaded}0.001010,vtimer_irq,0,0,vtimer
0.001011,update_irq,0,0,vtimer,,,1
0.001012,vtimer_irq_end,0,0,vtimer
0.001030,entry,0,0
`;
    expect(await measured(rows)).toEqual({ deadlineToInterrupt: '1 x 10', deadlineToEntry: '1 x 30' });
  });

  it('where the registers are saved before the guest runs again', async () => {
    const rows = `${loaded}0.000005,entry,0,0
0.001020,vtimer_irq,0,0,vtimer
0.001021,update_irq,0,0,vtimer,,,1
0.001022,vtimer_irq_end,0,0,vtimer
0.001025,exit,0,0
0.001030,put,0,0
0.001031,save,0,0,vtimer,5,0xf424
0.001032,put_end,0,0
0.001080,load,0,0
0.001081,restore,0,0,vtimer,5,0xf424
0.001100,entry,0,0
`;
    expect(await measured(rows)).toEqual({ deadlineToInterrupt: '1 x 20', deadlineToEntry: '1 x 100' });
  });

  it('where it passes while the vcpu is put, and the load finds it expired', async () => {
    const rows = `${loaded}${preempted}0.002000,load,0,0
0.002001,update_irq,0,0,vtimer,,,1
0.002002,restore,0,0,vtimer,5,0xf424
0.002050,entry,0,0
`;
    expect(await measured(rows)).toEqual({ deadlineToEntry: '1 x 1050' });
  });
});

describe('a deadline is not known', () => {
  it('where the guest may have programmed another one after the interrupt', async () => {
    const rows = `${loaded}0.000005,entry,0,0
0.001020,vtimer_irq,0,0,vtimer
0.001021,update_irq,0,0,vtimer,,,1
0.001022,vtimer_irq_end,0,0,vtimer
0.001025,exit,0,0
0.001040,entry,0,0
0.001060,exit,0,0
0.001070,put,0,0
0.001071,save,0,0,vtimer,5,0xf424
0.001072,put_end,0,0
`;
    expect(await measured(rows)).toEqual({});
  });

  it('where nothing is known of the counter', async () => {
    const rows = `${loaded}0.001010,vtimer_irq,0,0,vtimer
0.001011,update_irq,0,0,vtimer,,,1
0.001012,vtimer_irq_end,0,0,vtimer
0.001030,entry,0,0
`;
    expect(await measured(rows, '')).toEqual({});
  });

  it('where the interrupt comes before it, or the timer had been turned off', async () => {
    const early = `${loaded}0.000500,vtimer_irq,0,0,vtimer
0.000501,vtimer_irq_end,0,0,vtimer
0.000530,entry,0,0
`;
    expect(await measured(early)).toEqual({});
    expect(await measured(early.replaceAll('0.0005', '0.0015').replace('vtimer,1,', 'vtimer,2,'))).toEqual({});
  });

  it('where records were lost before the entry', async () => {
    const rows = `${loaded}0.001010,vtimer_irq,0,0,vtimer
0.001011,update_irq,0,0,vtimer,,,1
0.001012,vtimer_irq_end,0,0,vtimer
0.001015,lost,,0
0.001030,entry,0,0
`;
    expect(await measured(rows)).toEqual({ deadlineToInterrupt: '1 x 10' });
  });
});
