import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { stats } from '../../src/index.js';
import type { Grouping, TraceStats } from '../../src/stats/facts.js';

/** The statistics of a native trace. */
async function of(trace: string, by: Grouping = 'vcpu'): Promise<TraceStats> {
  for await (const fact of stats([{ path: 'trace.csv', open: () => Readable.from([Buffer.from(trace)]) }], { by })) {
    if (fact.type === 'trace-failed') throw new Error(fact.failure.error);
    if (fact.type === 'trace-end') return fact.stats;
  }
  throw new Error('the trace has no end');
}

/** Table of durations as `name: count x total`, in microseconds. */
function brief(rows: TraceStats['groups'][number]['places']): Record<string, string> {
  return Object.fromEntries(rows.map(({ name, times }) => [name, `${times.count} x ${times.total / 1000}`]));
}

const head = '# model: timer-map\n# host: nvhe\ntime,event,vcpu,cpu,code,ec,timer,level,expires,next,state\n';

/** One vcpu: guest, a trap, WFI, sleep, wakeup on another CPU, an interrupt in the guest, the end of KVM_RUN. */
const story = `${head}0.000000,load,0,0
0.000010,entry,0,0
0.000110,exit,0,0,TRAP,DABT_LOW
0.000130,entry,0,0
0.000230,exit,0,0,TRAP,WFx
0.000240,schedule,0,0
0.000250,put,0,0
0.000251,bg_arm,0,0,,,,,5000
0.000252,put_end,0,0
0.010252,bg_expire,0,0,,,,,9000
0.010262,wakeup,0,0
0.010302,load,0,1
0.010310,unschedule,0,1
0.010322,entry,0,1
0.010400,vtimer_irq,0,1,,,vtimer
0.010401,update_irq,0,1,,,vtimer,1
0.010402,vtimer_irq_end,0,1,,,vtimer
0.010410,exit,0,1,IRQ
0.010420,entry,0,1
0.010520,exit,0,1,TRAP,DABT_LOW
0.010530,put,0,1
0.010535,userspace_exit,0,1
0.011535,load,0,1
0.011540,entry,0,1
0.011640,exit,0,1,IRQ
`;

describe('statistics', () => {
  it('tell where a vcpu was, why it left the guest, and how long each step took', async () => {
    const { groups } = await of(story);
    expect(groups).toHaveLength(1);
    const [group] = groups;
    expect(group).toMatchObject({ vcpu: { id: 0, vm: 0 }, vm: 0, cpu: null });
    expect(brief(group!.places)).toEqual({
      guest: '5 x 488',
      host: '7 x 77',
      waiting: '2 x 18',
      asleep: '1 x 10052',
      userspace: '1 x 1005',
    });
    expect(brief(group!.exits)).toEqual({ 'TRAP WFx': '1 x 10092', 'TRAP DABT_LOW': '2 x 35', IRQ: '1 x 10' });
    expect(brief(group!.latencies)).toEqual({
      deadlineToExpiry: '1 x 4',
      deadlineToEntry: '1 x 74',
      expiryToWakeup: '1 x 10',
      wakeupToLoad: '1 x 40',
      loadToEntry: '3 x 35',
      interruptToEntry: '1 x 20',
      expiryToEntry: '1 x 70',
      wait: '1 x 10070',
    });
    const { counts } = group!;
    expect(Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0))).toEqual({
      entries: 5,
      exits: 5,
      loads: 3,
      puts: 2,
      migrations: 1,
      sleeps: 1,
      userspaceExits: 1,
      wakeups: 1,
      interruptsInGuest: 1,
      levelRaised: 1,
      backgroundArmed: 1,
      backgroundFired: 1,
    });
  });

  it('count on each CPU what happened there', async () => {
    const { groups } = await of(story, 'cpu');
    expect(groups.map(({ cpu, vm, vcpu, counts }) => [cpu, vm, vcpu, counts.entries, counts.loads])).toEqual([
      [0, null, null, 2, 1],
      [1, null, null, 3, 2],
    ]);
  });

  it('tell a preemption from the end of KVM_RUN, and a wait that found its wakeup while polling from a sleep', async () => {
    const { groups } = await of(`${head}0.000000,load,0,0
0.000010,entry,0,0
0.000020,exit,0,0,TRAP,WFx
0.000021,wfx,0,0
0.000022,schedule,0,0
0.000025,unschedule,0,0
0.000030,entry,0,0
0.000040,exit,0,0,IRQ
0.000050,sched_switch,0,0,,,,,,7,R
0.000051,put,0,0
0.000052,put_end,0,0
0.000152,load,0,0
0.000160,entry,0,0
0.000170,exit,0,0,IRQ
`);
    expect(groups[0]!.counts).toMatchObject({ preemptions: 1, polls: 1, sleeps: 0, userspaceExits: 0, wfi: 1 });
    expect(brief(groups[0]!.places)).toMatchObject({ waiting: '1 x 3', preempted: '1 x 101' });
  });

  it('measure nothing across a loss', async () => {
    const { groups } = await of(`${head}0.000000,load,0,0
0.000010,entry,0,0
0.000020,exit,0,0,IRQ
0.000030,lost,,0
0.500000,entry,0,0
0.500010,exit,0,0,IRQ
`);
    expect(brief(groups[0]!.exits)).toEqual({});
    expect(brief(groups[0]!.places)).toEqual({ guest: '2 x 20', host: '2 x 20', unknown: '1 x 499970' });
  });
});
