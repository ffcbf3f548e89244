import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Certainty, Context, Timer, TimerEvent } from '../../src/events/event.js';
import { kindNames } from '../../src/events/kinds.js';
import {
  type Cell,
  formatNativeCsv,
  NativeRows,
  nativeHeader,
  nativeObject,
  nativeRow,
} from '../../src/events/native.js';
import { columnIndex, columns, kernelNames, requiredColumns } from '../../src/events/native-columns.js';
import { explainRow, namedCells, rowSchema } from '../../src/events/native-schema.js';
import { runs } from '../fuzz.js';
import { readNative } from '../input/native/read.js';
import { anyEvent } from './arbitrary.js';

async function read(header: string, ...rows: string[]): Promise<TimerEvent[]> {
  const { events, error } = await readNative('native-csv', [header, ...rows].join('\n'));
  if (error !== undefined) throw new Error(error);
  return events;
}

describe('what a row leaves out', () => {
  it('time: 1 us after the row before, 0 in the first', async () => {
    const events = await read('event,time', 'load', 'entry', 'exit,10us', 'put');
    expect(events.map(({ time }) => time)).toEqual([0, 1000, 10_000, 11_000]);
  });

  it("cpu: that of the vcpu's row before; a wakeup is on the waker's CPU", async () => {
    const events = await read(
      'event,vcpu,cpu,vm',
      'load,0,3',
      'load,1',
      'load,0,5,1',
      'entry,0',
      'wakeup,0,2',
      'put,0',
      'put,0,,1',
    );
    expect(events.map(({ cpu }) => cpu)).toEqual([3, 0, 5, 3, 2, 3, 5]);
  });

  it('vm and pid: from the vcpu', async () => {
    const events = await read(
      'event,vcpu,vm,pid',
      'load,2',
      'load,2,1',
      'load,2,1,77',
      'load',
      'load,2,?,?',
      'set_cntvoff,,4',
    );
    expect(events.map(({ vm, vcpuId, pid, vcpu }) => [vm, vcpuId, pid, vcpu])).toEqual([
      [0, 2, 1002, -1],
      [1, 2, 1102, -1],
      [1, 2, 77, -1],
      [-1, -1, -1, -1],
      [-1, 2, -1, -1],
      [4, -1, -1, -1],
    ]);
  });

  it('next of a wakeup: the thread of the woken vcpu, and nothing is known of the waker', async () => {
    const [woken, named] = await read('event,vcpu,next,pid', 'wakeup,1', 'wakeup,,55,66');
    expect([woken!.otherPid, woken!.pid]).toEqual([1001, -1]);
    expect([named!.otherPid, named!.pid]).toEqual([55, 66]);
  });

  const { vtimer, ptimer, unknown } = Timer;
  const timers: [string, number, number][] = [
    ['save', vtimer, -1],
    ['restore,ptimer', ptimer, -1],
    ['restore,?', unknown, -1],
    ['user_write', vtimer, -1],
    ['trapped_access', unknown, -1],
    ['soft_arm', unknown, -1],
    ['bg_arm', unknown, -1],
    ['update_irq,,,1', unknown, 27],
    ['update_irq,ptimer,,1', ptimer, 30],
    ['update_irq,vtimer,19,1', vtimer, 19],
    ['vgic_inject,,30,0', unknown, 30],
    ['set_active,,,1', vtimer, 27],
    ['set_active,,30,1', ptimer, 30],
    ['mask_irq,,9,1', unknown, 9],
    ['vtimer_irq', vtimer, 27],
    ['vtimer_irq,,9', vtimer, 9],
    ['vtimer_irq,ptimer', ptimer, 30],
    ['irq_begin', unknown, -1],
  ];
  it.each(timers)('timer and irq: %s', async (row, timer, irq) => {
    const [event] = await read('event,timer,irq,level', row);
    expect([event!.timer, event!.irq]).toEqual([timer, irq]);
  });

  const maps: [string, number[]][] = [
    ['', [1, -1, unknown, 0]],
    ['1,0,-1,-1', [1, 0, -1, -1]],
    [',0', [1, 0, unknown, -1]],
    [',-1', [1, -1, unknown, 0]],
    [',,,-1', [1, 0, unknown, -1]],
    [',,2,3', [1, -1, 2, 3]],
    ['hvtimer,hptimer,vtimer,ptimer', [2, 3, 1, 0]],
    ['?,none,none,?', [unknown, -1, -1, unknown]],
  ];
  it.each(maps)('the timer map: %s', async (row, map) => {
    const [event] = await read('event,dv,dp,ev,ep', `timer_map,${row}`);
    const { directVtimer, directPtimer, emulVtimer, emulPtimer } = event!;
    expect([directVtimer, directPtimer, emulVtimer, emulPtimer]).toEqual(map);
  });

  it('context: hardirq where only a handler records the event; certainty: recorded', async () => {
    const events = await read('event,context,certainty', 'vtimer_irq', 'bg_expire,softirq', 'entry', 'load,,derived');
    expect(events.map(({ context }) => context)).toEqual([
      Context.hardirq,
      Context.softirq,
      Context.unknown,
      Context.unknown,
    ]);
    expect(events.map(({ certainty }) => certainty)).toEqual([0, 0, 0, Certainty.derived]);
  });
});

describe('what a row says', () => {
  const rows: [string, Partial<TimerEvent>][] = [
    ['event=exit,code=TRAP,ec=WFx', { exitCode: 2, exceptionClass: 1 }],
    ['event=kvm_exit,code=0x2,ec=0x18', { exitCode: 2, exceptionClass: 0x18 }],
    ['event=sched_switch,state=R+,next=0', { sleeping: 0, otherPid: 0 }],
    ['event=sched_switch,state=S,next=12', { sleeping: 1, otherPid: 12 }],
    [
      'event=bg_arm,hrtimer=00000000abcdef01,expires=15us',
      { timerPointerLo: 0xabcdef01 | 0, hasTimerPointer: true, expires: 15000 },
    ],
    [
      'event=vcpu_pointer,pointer=0xffff000012345678',
      { vcpuPointerHi: 0xffff0000 | 0, vcpuPointerLo: 0x12345678, hasVcpuPointer: true },
    ],
    ['event=user_write,register=cval,value=5', { register: 1, hasValue: true, valueLo: 5 }],
    ['event=trapped_access,timer=ptimer,register=tval,write=true,value=~0', { register: 3, write: 1, valueHi: -1 }],
    ['event=lost,cpu=3,count=619', { cpu: 3, lostCount: 619 }],
    ['event=emulate,timer=0,level=0', { timer: 0, level: 0 }],
    ['event=wfx,wfe=0', { level: 0 }],
    ['event=trapped_access,timer=-1', { timer: -1 }],
    ['event=load,value=~0', { valueHi: -1 }],
    ['event=load,tgid=9,comm=qemu,note=first', { tgid: 9 }],
  ];
  it.each(rows)('%s', async (row, fields) => {
    const cells = row.split(',').map((cell) => cell.split('='));
    const [event] = await read(cells.map(([name]) => name).join(','), cells.map(([, cell]) => cell).join(','));
    expect(event).toMatchObject(fields);
  });

  it.each(Object.entries(kernelNames))('%s means %s', async (name, kind) => {
    const needed = (requiredColumns[kind] ?? []).map(([column]) => column);
    const [event] = await read(['event', ...needed].join(','), [name, ...needed.map(() => '1')].join(','));
    expect(kindNames[event!.kind]).toBe(kind);
  });
});

const wrong: [Record<string, unknown>, string][] = [
  [{ event: 'entry', ctl: 5 }, 'field "ctl": expected nothing, because event "entry" has no such field, found 5'],
  [{ event: 'update_irq' }, 'field "level": expected a value, which event "update_irq" needs, found nothing'],
  [
    { event: 'wakeup' },
    'field "next": expected a value, which event "wakeup" needs unless "vcpu" is given, found nothing',
  ],
  [{ event: 'lost' }, 'field "cpu": expected a value, which event "lost" needs, found nothing'],
  [
    { event: 'entri' },
    'field "event": expected an event such as load, entry, save or vtimer_irq, found "entri"; did you mean `entry`?',
  ],
  [
    { event: 'kvm_exti' },
    'field "event": expected an event such as load, entry, save or vtimer_irq, found "kvm_exti"; did you mean `kvm_exit`?',
  ],
  [
    { event: 'hrtimer_start' },
    'field "event": expected an event such as load, entry, save or vtimer_irq, found "hrtimer_start"; it stands for several events: write `bg_arm` or `soft_arm`',
  ],
  [
    { event: 'save', timer: 'atimer' },
    'field "timer": expected vtimer, ptimer, hvtimer, hptimer, 0..3, or -1 for none, found "atimer"',
  ],
  [
    { event: 'load', time: '?' },
    'field "time": expected seconds such as 812.402115, or a whole number of nanoseconds with a suffix such as 3.5us, found "?"',
  ],
  [{ event: 'load', cpu: 'x'.repeat(99) }, `field "cpu": expected a number 0..65535, found "${'x'.repeat(59)}...`],
];

describe('a row that is not valid', () => {
  it.each(wrong)('%o', (row, message) => {
    const cells: Cell[] = columns.map(({ name }) => row[name] as Cell);
    expect(new NativeRows().read(cells, new TimerEvent())).toBe(false);
    expect(explainRow(row)).toBe(message);
  });

  it('is refused by the reader exactly when the schema refuses it', () => {
    const words = columns.flatMap(({ type }) => type.words ?? []);
    const cell = fc.oneof(
      fc.constantFrom<Cell>(
        '?',
        null,
        '~0',
        '5',
        '0x5',
        '3.5us',
        'enable|imask',
        'R+',
        '1|2',
        '',
        'zz',
        true,
        false,
        ...words,
      ),
      fc.integer({ min: -2, max: 70 }),
      fc.double(),
      fc.string({ maxLength: 3 }),
    );
    const row = fc.record(
      {
        event: fc.oneof(
          { weight: 9, arbitrary: fc.constantFrom<Cell>(...kindNames, ...Object.keys(kernelNames)) },
          cell,
        ),
        others: fc.dictionary(fc.constantFrom(...columnIndex.keys()), cell, { maxKeys: 3 }),
      },
      { requiredKeys: ['event', 'others'] },
    );
    fc.assert(
      fc.property(row, ({ event, others }) => {
        const cells: Cell[] = columns.map(({ name }) => (name === 'event' ? event : others[name]));
        const accepted = new NativeRows().read(cells, new TimerEvent());
        expect(rowSchema.safeParse(namedCells(cells)).success).toBe(accepted);
      }),
      runs(5000),
    );
  });
});

describe('writing events', () => {
  const comparable = (events: readonly TimerEvent[]) => events.map((event) => new TimerEvent().copyFrom(event));

  it('as CSV and reading them gives them back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyEvent, { minLength: 1, maxLength: 8 }), async (events) => {
        const { events: found, error } = await readNative('native-csv', formatNativeCsv(events));
        expect(error).toBeUndefined();
        expect(comparable(found)).toEqual(events.map((event, row) => Object.assign(event, { position: row + 2 })));
      }),
      runs(1000),
    );
  });

  it('as CSV with every column and reading them gives them back', async () => {
    await fc.assert(
      fc.asyncProperty(anyEvent, async (event) => {
        const { events } = await readNative('native-csv', `${nativeHeader()}\n${nativeRow(event)}\n`);
        expect(events).toEqual([Object.assign(event, { position: 2 })]);
      }),
      runs(1000),
    );
  });

  it('as JSONL and reading them gives them back', async () => {
    await fc.assert(
      fc.asyncProperty(anyEvent, async (event) => {
        const { events, error } = await readNative('native-jsonl', JSON.stringify(nativeObject(event)));
        expect(error).toBeUndefined();
        expect(events).toEqual([Object.assign(event, { position: 1 })]);
      }),
      runs(1000),
    );
  });

  it('names only the columns that are needed', async () => {
    const trace = 'time,cpu,vcpu,event,level,ctl,cval\n0.000000,0,1,restore,,5,0x1000\n0.000001,0,1,update_irq,1\n';
    expect(formatNativeCsv((await readNative('native-csv', trace)).events)).toBe(trace);
    expect(formatNativeCsv([])).toBe('time,cpu,event\n');
  });
});
