import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { CostCounter, type Costs, check } from '../../src/index.js';
import { rules } from '../../src/rules/index.js';

const off = Object.fromEntries(rules.map(({ id }) => [id, 'off' as const]));

/** The costs of a native trace. */
async function of(model: string, host: string, rows: string): Promise<Costs> {
  const text = `# model: ${model}\n# host: ${host}\ntime,event,vcpu,cpu,timer,ctl,cval,level,write,register\n${rows}`;
  let counter: CostCounter | undefined;
  const observe = () => {
    counter = new CostCounter();
    return counter;
  };
  const input = { path: 'trace.csv', open: () => Readable.from([Buffer.from(text)]) };
  for await (const fact of check([input], { rules: off, observe }))
    if (fact.type === 'trace-failed') throw new Error(fact.failure.error);
  return counter!.costs()!;
}

/** How often each occasion came about. */
function eventsOf({ table }: Costs): Record<string, number> {
  return Object.fromEntries(
    (['entry', 'exit', 'load', 'put', 'block', 'unblock', 'trapped_access'] as const)
      .map((category) => [category, table.events(category)] as const)
      .filter(([, count]) => count > 0),
  );
}

describe('episodes', () => {
  it('take a wait that polled for no block, and one that slept for one', async () => {
    const polled = `0.000001,load,0,0
0.000002,entry,0,0
0.000003,exit,0,0
0.000004,wfx,0,0
0.000005,halt_end,0,0
0.000006,entry,0,0
0.000007,exit,0,0
`;
    expect(eventsOf(await of('load-put-5.0', 'nvhe', polled))).toEqual({ entry: 2, exit: 2, load: 1 });
    const slept = polled.replace('0.000005,', '0.0000045,bg_arm,0,0\n0.000005,');
    const costs = await of('load-put-5.0', 'nvhe', slept);
    expect(eventsOf(costs)).toEqual({ entry: 2, exit: 2, load: 1, block: 1, unblock: 1 });
    expect(costs.table.operations('block', 'hrtimer_start')).toBe(1);
    expect(costs.table.operations('block', 'ctl_write')).toBe(1);
    expect(costs.table.operations('unblock', 'ctl_write')).toBe(1);
  });

  it('count a flush and a sync without an entry as work, and not as an entry', async () => {
    const trip = (at: number, entered: boolean) =>
      `0.0000${at}1,flush,0,0\n${entered ? `0.0000${at}2,entry,0,0\n0.0000${at}3,exit,0,0\n` : ''}0.0000${at}4,sync,0,0\n`;
    const whole = await of('world-switch', 'nvhe', `0.000001,load,0,0\n${trip(1, true)}${trip(2, true)}`);
    const aborted = await of('world-switch', 'nvhe', `0.000001,load,0,0\n${trip(1, false)}${trip(2, true)}`);
    expect([whole, aborted].map(({ table }) => table.events('entry'))).toEqual([2, 1]);
    expect([whole, aborted].map(({ table }) => table.operations('entry', 'cval_write'))).toEqual([2, 1]);
    expect([whole, aborted].map(({ table }) => table.operations('exit', 'hrtimer_cancel'))).toEqual([2, 2]);
  });

  it('take the put and load inside a trapped access of 5.10 for its own', async () => {
    const costs = await of(
      'timer-map',
      'nvhe',
      `0.000001,load,0,0
0.0000011,restore,0,0,vtimer,1,0x1000
0.000002,entry,0,0
0.000003,exit,0,0
0.000004,trapped_access,0,0,ptimer,,,,true,ctl
0.000005,save,0,0,vtimer,1,0x1000
0.000006,restore,0,0,vtimer,1,0x1000
0.000007,entry,0,0
0.000008,exit,0,0
`,
    );
    expect(costs.table.events('trapped_access')).toBe(1);
    expect(costs.table.operations('trapped_access', 'cval_write')).toBe(1);
    expect(costs.table.operations('trapped_access', 'cval_read')).toBe(1);
  });

  it('say nothing of what was under way when records were lost', async () => {
    const costs = await of(
      'load-put-5.0',
      'nvhe',
      `0.000001,load,0,0
0.000002,entry,0,0
0.000003,lost,,0
0.000004,entry,0,0
0.000005,exit,0,0
`,
    );
    expect(eventsOf(costs)).toEqual({ entry: 2, exit: 1, load: 1 });
  });

  it('compare nothing where a run has more records than are told apart', async () => {
    const reports = (count: number) =>
      Array.from({ length: count }, (_, at) => `0.0000${at + 20},update_irq,0,0,vtimer,,,1\n`).join('');
    const costs = await of(
      'load-put-5.0',
      'nvhe',
      `0.000001,load,0,0\n${reports(60)}0.001,entry,0,0\n0.002,exit,0,0\n`,
    );
    expect(eventsOf(costs)).toEqual({ entry: 1, exit: 1, load: 1 });
    expect(costs.unfit).toBe(0);
    const few = await of('load-put-5.0', 'nvhe', `0.000001,load,0,0\n${reports(2)}0.001,entry,0,0\n0.002,exit,0,0\n`);
    expect(few.unfit).toBe(1);
  });
});
