import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Comparison, ReportCatalogue, readInto, reportLines } from './oracle.js';
import { cmdlines, Events, formats, kallsyms, pages, sample } from './sample.js';
import { readDat, withoutPlaces } from './support.js';
import { Bytes, type File, type Form, type Page, plain, traceDat } from './writer.js';

const work = mkdtempSync(join(tmpdir(), 'timervet-forms-'));
const hasTraceCmd = spawnSync('trace-cmd', ['--version']).error === undefined;
afterAll(() => rmSync(work, { recursive: true, force: true }));

const versions = [6, 7] as const;
const orders = [false, true];
const longs = [4, 8] as const;
const sizes = [4096, 16_384, 65_536];
const forms: Form[] = versions.flatMap((version) =>
  orders.flatMap((isBigEndian) =>
    longs.flatMap((longSize) =>
      sizes.flatMap((pageSize) =>
        (version === 6 ? (['none'] as const) : (['none', 'zlib'] as const)).map((compression) => ({
          version,
          isBigEndian,
          longSize,
          pageSize,
          compression,
        })),
      ),
    ),
  ),
);

const name = ({ version, isBigEndian, longSize, pageSize, compression }: Form) =>
  `version ${version}, ${isBigEndian ? 'big' : 'little'} endian, ${longSize}-byte long, ${pageSize / 1024} KiB, ${compression}`;

/** What trace-cmd says of a file that was made here. */
function report(file: Buffer): { path: string; text: string } {
  const path = join(work, 'made.dat');
  writeFileSync(path, file);
  return {
    path,
    text: execFileSync('trace-cmd', ['report', '-R', '-t', '-i', path], { encoding: 'latin1', stdio: 'pipe' }),
  };
}

describe('a file of every kind of record', () => {
  const expected = [
    'CPU 0/KVM-100 [0] task 0: kvm_entry vcpu_pc=4000',
    'CPU 0/KVM-100 [0] task 1000: kvm_timer_save_state ctl=5 cval=-1 timer_idx=1',
    '<idle>-0 [0] hardirq 1500: irq_handler_entry irq=12 name=1',
    'CPU 0/KVM-100 [0] task 2500: kvm_entry vcpu_pc=4004',
    'CPU 1/KVM-101 [3] task 2500: kvm_timer_vcpu_load (function) vcpu=ffff000012345678 off=-9223372036854775807 level=1',
    'CPU 1/KVM-101 [3] softirq 2600: hrtimer_start hrtimer=1000 function=1 expires=-1',
    'CPU 1/KVM-101 [3] softirq 2700: hrtimer_start hrtimer=1000 function=2147483647 expires=5',
    'CPU 1/KVM-101 [3] task 2800: kvm_timer_vcpu_put (function)',
    'CPU 0/KVM-100 [0] task 700002505: sched_switch prev_pid=100 next_pid=7 prev_state=1',
    '-a: b [0]-9-7 [0] task 1000000007: sched_switch prev_pid=7 next_pid=100 prev_state=0',
    'CPU 1/KVM-101 [3] task 3000000009: kvm_entry vcpu_pc=4008',
  ];

  it.each(forms.map((form) => [name(form), form] as const))('%s', async (_, form) => {
    const collector = await readDat(traceDat(form, sample(form)));
    expect(withoutPlaces(collector)).toEqual(expected);
    expect(collector.notes.map((note) => note.replace(/^\d+: /, ''))).toEqual([
      'lost cpu=3 count=-1',
      'lost cpu=0 count=12',
    ]);
    expect(collector.of('unused-event')).toEqual(['1 function', '3 kvm_mmio', '1 timer_load']);
    expect(collector.of('lost-events')).toEqual(['1 CPU 3', '12 CPU 0']);
    expect(collector.count).toBe(16);
    expect(collector.conditions.map(({ kind }) => kind).filter((kind) => !/^(unused|lost)/.test(kind))).toEqual([]);
    expect(collector.facts).toMatchObject({ kernel: '6.1.0-synthetic', clock: 'local', origin: 5_000_000_000n });
  });

  it('has places in the data of each CPU, compressed or not', async () => {
    const places = await Promise.all(
      (['none', 'zlib'] as const).map(async (compression) => {
        const form = { ...plain, compression };
        return (await readDat(traceDat(form, sample(form)))).records;
      }),
    );
    expect(places[0]).toEqual(places[1]);
    expect(places[0]![0]).toMatch(/^16: /);
  });

  it
    .skipIf(!hasTraceCmd)
    .each(
      forms
        .filter(({ compression, longSize }) => compression === 'none' && longSize === 8)
        .map((form) => [name(form), form] as const),
    )('is what trace-cmd reads: %s', async (_, form) => {
    const { path, text } = report(traceDat(form, sample(form)));
    const comparison = new Comparison(new ReportCatalogue(reportLines(text)), reportLines(text));
    await readInto(path, new ReportCatalogue(reportLines(text)), comparison);
    comparison.finish();
    expect(comparison.differences).toEqual([]);
  });
});

describe('sub-buffers larger than the page of the machine', () => {
  const form = { ...plain, pageSize: 16_384, machinePage: 4096 };

  it('are read whole', async () => {
    expect(withoutPlaces(await readDat(traceDat(form, sample(form))))).toEqual(
      withoutPlaces(await readDat(traceDat(plain, sample(plain)))),
    );
  });

  it.skipIf(!hasTraceCmd)('which trace-cmd 3.1.6 does not: it takes every one for several pages', () => {
    const path = join(work, 'sub-buffers.dat');
    writeFileSync(path, traceDat(form, sample(form)));
    const { stdout } = spawnSync('trace-cmd', ['report', '-R', '-t', '-i', path], { encoding: 'latin1' });
    expect([...reportLines(stdout)].length).toBeLessThan(16);
  });
});

it.each([6, 7] as const)('a latency tracer leaves text in a file of version %d', async (version) => {
  const text = [
    '# tracer: wakeup',
    '#',
    ' CPU 0/KV-100       0d..2. 1021us : kvm_entry: PC: 0x0000000040000000',
    ' CPU 0/KV-100       0d..2. 1027us : kvm_entry: PC: 0x0000000040000004',
    '',
  ].join('\n');
  for (const compression of version === 6 ? (['none'] as const) : (['none', 'zlib'] as const)) {
    const collector = await readDat(
      traceDat({ ...plain, version, compression }, { ...sample(plain), buffers: [], text }),
    );
    expect(withoutPlaces(collector)).toEqual([
      'CPU 0/KV-100 [0] task 0: kvm_entry vcpu_pc=40000000',
      'CPU 0/KV-100 [0] task 6000: kvm_entry vcpu_pc=40000004',
    ]);
  }
});

const events = new Events(plain);
const one = (cpu: number, ...list: Page[]): File => ({
  buffers: [{ name: '', cpus: [{ cpu, pages: list }] }],
  formats: formats(plain),
  cmdlines,
});
const read = (file: Partial<File>, list: Page[] = pages(plain)[0]!.pages) =>
  readDat(traceDat(plain, { ...one(0, ...list), ...file }));

describe('times', () => {
  const list = [
    {
      time: 1000n,
      items: [
        { delta: 1, payload: events.entry(100, 1) },
        { delta: 100, payload: events.entry(100, 1) },
      ],
    },
  ];
  const ascii = (text: string) => Buffer.from(`${text}\0`);
  const tsc = new Bytes(plain).u32(3).u32(1).u64(77).done();

  it.each([
    ['DATE, microseconds', [[1, ascii('0x10')]], 17_001n, 100],
    ['OFFSET, nanoseconds', [[7, ascii('-500')]], 501n, 100],
    ['TSC2NSEC', [[14, tsc]], 1501n, 150],
    [
      'TSC2NSEC and OFFSET',
      [
        [14, tsc],
        [7, ascii('9')],
      ],
      1510n,
      150,
    ],
  ] as const)('%s', async (_, options, origin, second) => {
    const file = traceDat(plain, { ...one(0, ...list), options });
    const collector = await readDat(file);
    expect(collector.facts.origin).toBe(origin);
    expect(withoutPlaces(collector)[1]).toMatch(`${second}: kvm_entry`);
    if (!hasTraceCmd) return;
    const [line] = report(file)
      .text.split('\n')
      .filter((text) => text.includes('kvm_entry'));
    expect(line).toMatch(
      `${`${origin}`
        .padStart(10, '0')
        .replace(/(\d{9})$/, '.$1')
        .replace(/^0*(?=\d)/, '')}:`,
    );
  });

  it.each([
    ['one measurement', 0, [[1050n, 5000n, 2n]], [], 6001n, 100],
    [
      'two',
      0,
      [
        [1000n, 5000n, 1n],
        [2000n, 6000n, 1n],
      ],
      [],
      6001n,
      100,
    ],
    [
      'two, interpolated',
      1,
      [
        [1000n, 5000n, 1n],
        [1100n, 5100n, 1n],
      ],
      [],
      6002n,
      200,
    ],
    [
      'three, a negative offset',
      0,
      [
        [1n, -7n, 1n],
        [1050n, 3n, 1n],
        [5000n, 9n, 1n],
      ],
      [],
      994n,
      110,
    ],
    [
      'with a factor',
      0,
      [
        [0n, 1n, 3n],
        [9000n, 0n, 1n],
      ],
      [1n, 0n],
      1502n,
      150,
    ],
    ['of another CPU', 0, [], [], 1001n, 100],
  ] as const)('TIME_SHIFT, %s', async (_, flags, samples, fractions, origin, delta) => {
    const shift = new Bytes(plain).u64(1).u32(flags).u32(1).u32(samples.length);
    for (const column of [0, 1, 2] as const) for (const sample of samples) shift.u64(sample[column]);
    for (const fraction of fractions) shift.u64(fraction);
    const file = traceDat(plain, { ...one(0, ...list), options: [[12, shift.done()]] });
    const collector = await readDat(file);
    expect(collector.facts.origin).toBe(origin);
    expect(withoutPlaces(collector)[1]).toMatch(`${delta}: kvm_entry`);
    if (!hasTraceCmd || samples.length === 0) return;
    expect(report(file).text).toMatch(`0.${`${origin}`.padStart(9, '0')}:`);
    expect(report(file).text).toMatch(`0.${`${origin + BigInt(delta)}`.padStart(9, '0')}:`);
  });

  it('are exact beyond 2^53', async () => {
    const late = [{ time: 0xfedcba9876543210n, items: [...list[0]!.items] }];
    const collector = await read({}, late);
    expect(collector.facts.origin).toBe(0xfedcba9876543211n);
    expect(withoutPlaces(collector)[1]).toMatch('100: kvm_entry');
  });

  it('take the bits that a time stamp lacks from the page', async () => {
    const time = 0xf800000000000100n;
    const items = [{ stamp: 0x200n }, { delta: 1, payload: events.entry(100, 1) }];
    expect((await read({}, [{ time, items }])).facts.origin).toBe(0xf800000000000201n);
  });

  it('are told when they step back', async () => {
    const back = [
      { time: 5000n, items: list[0]!.items },
      { time: 4000n, items: list[0]!.items },
    ];
    expect((await read({}, back)).of('time-backwards')).toEqual(['1 CPU 0']);
  });

  it.each(['counter', 'mono', 'x86-tsc'])('of clock %s are named', async (clock) => {
    const file = { buffers: [{ name: '', clock, cpus: [{ cpu: 0, pages: list }] }] };
    expect((await read(file)).facts.clock).toBe(clock);
    expect((await readDat(traceDat({ ...plain, version: 6 }, { ...one(0), ...file }))).facts.clock).toBe(clock);
  });
});

describe('several buffers', () => {
  const entry = (time: bigint, pc: number): Page => ({ time, items: [{ delta: 0, payload: events.entry(100, pc) }] });
  const save = (time: bigint): Page => ({ time, items: [{ delta: 0, payload: events.save(100, 1, 2n, 1) }] });
  const buffers = (...lists: Page[][]) =>
    lists.map((list, index) => ({ name: index === 0 ? '' : `other${index}`, cpus: [{ cpu: 0, pages: list }] }));

  it.each([6, 7] as const)('are merged by time, version %d', async (version) => {
    const form = { ...plain, version };
    const file = traceDat(form, {
      ...one(0),
      buffers: buffers([entry(100n, 1), entry(300n, 2)], [save(200n), save(300n)]),
    });
    expect(withoutPlaces(await readDat(file)).map((line) => line.replace(/^.* (\d+: \w+).*/, '$1'))).toEqual([
      '0: kvm_entry',
      '100: kvm_timer_save_state',
      '200: kvm_entry',
      '200: kvm_timer_save_state',
    ]);
    if (!hasTraceCmd) return;
    const { path, text } = report(file);
    const comparison = new Comparison(new ReportCatalogue(reportLines(text)), reportLines(text));
    await readInto(path, new ReportCatalogue(reportLines(text)), comparison);
    comparison.finish();
    expect(comparison.differences).toEqual([]);
  });

  it('an event that two of them recorded is read once', async () => {
    const collector = await read({
      buffers: buffers([entry(100n, 1), entry(300n, 2)], [entry(101n, 1), entry(301n, 2), save(400n)]),
    });
    expect(withoutPlaces(collector)).toHaveLength(3);
    expect(collector.of('repeated-event')).toEqual(['2 kvm_entry']);
  });

  it('one of another clock is not read, which is a loss', async () => {
    const [top, other] = buffers([entry(100n, 1)], [save(200n)]);
    const collector = await read({ buffers: [top!, { ...other!, clock: 'mono' }] });
    expect(withoutPlaces(collector)).toHaveLength(1);
    expect(collector.of('unread-buffer')).toEqual(['1 other1: clock mono, not local']);
  });

  it('the top one may be empty', async () => {
    const collector = await read({ buffers: [{ name: '', cpus: [] }, ...buffers([], [save(1n)]).slice(1)] });
    expect(withoutPlaces(collector)).toHaveLength(1);
  });
});

describe('what the options tell', () => {
  it('GUEST: which thread runs which vcpu', async () => {
    const guest = new Bytes(plain).text('vm1').u64(99).u32(2).u32(0).u32(100).u32(1).u32(101).done();
    const { facts } = await read({ options: [[13, guest]] });
    expect(facts.guests).toEqual([
      {
        name: 'vm1',
        vcpus: [
          { id: 0, pid: 100 },
          { id: 1, pid: 101 },
        ],
      },
    ]);
  });

  const stats = (overrun: number, dropped: number) =>
    Buffer.from(
      `CPU: 0\nentries: 5\noverrun: ${overrun}\ncommit overrun: 0\nbytes: 1\ndropped events: ${dropped}\nread events: 3\n\0`,
    );

  it.each([
    [3, 0],
    [0, 3],
  ])('CPUSTAT: a loss that no page shows (overrun %d, dropped %d)', async (overrun, dropped) => {
    const list = [{ time: 1n, items: [{ delta: 0, payload: events.entry(100, 1) }] }];
    expect((await read({ options: [[2, stats(overrun, dropped)]] }, list)).of('unmarked-loss')).toEqual(['3 CPU 0']);
    expect((await read({ options: [[2, stats(overrun, dropped)]] })).of('unmarked-loss')).toEqual([]);
  });

  it('unknown ones are passed over', async () => {
    expect((await read({ options: [[9999, Buffer.alloc(77)]] })).records).not.toEqual([]);
  });
});

describe('probes by address', () => {
  const probe = (offset: number): Page[] => [
    { time: 1n, items: [{ delta: 0, payload: events.probe(100, offset, 1n, 0, 0n) }] },
  ];

  it.each([
    ['at the entry of a function', 0x2000, kallsyms(plain), ['kvm_timer_vcpu_load (function)'], []],
    ['in the middle of the function that its name means', 0x2080, kallsyms(plain), [], ['unused-event']],
    ['at another function than its name means', 0x2100, kallsyms(plain), [], ['unused-event']],
    ['far from every known function: by its name', 0x9000, kallsyms(plain), ['kvm_timer_vcpu_load (alias)'], []],
    ['without symbols: by its name', 0x2000, '', ['kvm_timer_vcpu_load (alias)'], []],
  ] as const)('%s', async (_, offset, symbols, records, conditions) => {
    const collector = await read({ kallsyms: symbols }, probe(offset));
    expect(withoutPlaces(collector).map((line) => line.replace(/^.*0: (\w+ \(\w+\)).*$/, '$1'))).toEqual(records);
    expect(collector.conditions.map(({ kind }) => kind)).toEqual(conditions);
  });
});
