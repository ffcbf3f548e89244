import { describe, expect, it } from 'vitest';
import { cmdlines, Events, formats } from './sample.js';
import { readDat } from './support.js';
import { format, type Page, plain, traceDat } from './writer.js';

const events = new Events(plain);

/** A page with so many entries. */
const page = (count: number, time = 1000n): Page => ({
  time,
  items: Array.from({ length: count }, (_, index) => ({ delta: 1, payload: events.entry(100, index) })),
});

const v6 = { ...plain, version: 6 } as const;

/** The statistics of a CPU as the kernel prints them and trace-cmd keeps them. */
const statistics = (cpu: number, entries: number, read: number): [number, Buffer] => [
  2,
  Buffer.from(
    `CPU: ${cpu}\nentries: ${entries}\noverrun: 0\ncommit overrun: 0\nbytes: 64\noldest event ts:     1.000000\n` +
      `now ts:     2.000000\ndropped events: 0\nread events: ${read}\n\0`,
  ),
];

interface Made {
  readonly cpus: readonly (readonly Page[])[];
  readonly options?: readonly (readonly [number, Uint8Array])[];
  readonly form?: typeof plain;
}

const make = ({ cpus, options = [], form = plain }: Made) =>
  traceDat(form, {
    buffers: [{ name: '', cpus: cpus.map((pages, cpu) => ({ cpu, pages })) }],
    formats: formats(form),
    cmdlines,
    options,
  });

/** Places of a file's table of CPUs: that of each CPU's offset; its size follows. */
function table(file: Buffer, form: typeof plain): number[] {
  if (form.version === 6) {
    const at = file.indexOf('flyrecord\0') + 10;
    return [at, at + 16];
  }
  const at = file.lastIndexOf('\0local\0') + 7 + 8;
  return [at + 4, at + 24];
}

describe.each([
  ['version 6', v6],
  ['version 7', plain],
])('a table of CPUs in %s', (_, form) => {
  const cpus = [[page(3), page(2, 2000n)], [page(4)]];
  const file = make({ cpus, form });
  const [first, second] = table(file, form) as [number, number];
  const changed = (change: (copy: Buffer) => void) => {
    const copy = Buffer.from(file);
    change(copy);
    return readDat(copy);
  };

  it('is read as it is', async () => {
    expect((await readDat(file)).records).toHaveLength(9);
    expect(file.readBigUInt64LE(first)).toBe(BigInt(file.indexOf(Buffer.from([0xe8, 3, 0, 0, 0, 0, 0, 0]))));
  });

  it.each([4, 8, 2048])('with pages that begin %d bytes behind a page of the file', async (bytes) => {
    const copy = changed((data) => data.writeBigUInt64LE(data.readBigUInt64LE(first) + BigInt(bytes), first));
    await expect(copy).rejects.toThrow(/the pages of CPU 0 at a multiple of 4096 bytes, found byte/);
  });

  it('with the same pages for two CPUs', async () => {
    const copy = changed((data) => data.copy(data, second, first, first + 16));
    await expect(copy).rejects.toThrow(/overlap/);
  });

  it('with a part of another CPU’s pages', async () => {
    const copy = changed((data) => data.writeBigUInt64LE(3n * 4096n, first + 8));
    await expect(copy).rejects.toThrow(/CPU 1 behind that of CPU 0 .* overlap/);
  });

  it.each([8192, 65_536])('with a page size of %d bytes, which the kernel did not have', async (size) => {
    const copy = changed((data) => data.writeUInt32LE(size, form.version === 6 ? 14 : first - 12));
    await expect(copy).rejects.toThrow(`a page size of 4096 bytes, as header_page says, found ${size}`);
  });
});

it('a CPU that is twice in a table', async () => {
  const file = make({ cpus: [[page(3)], [page(4)]] });
  file.writeUInt32LE(0, table(file, plain)[1]! - 4);
  await expect(readDat(file)).rejects.toThrow(/each CPU once, found CPU 0 twice/);
});

describe('a page without records', () => {
  const empty = { time: 3000n, items: [] };

  it('at the end is nothing', async () => {
    const collector = await readDat(make({ cpus: [[page(3), empty]] }));
    expect(collector.records).toHaveLength(3);
    expect(collector.conditions).toEqual([]);
  });

  it.each([
    ['before others', [page(3), empty, page(2, 4000n)], 5, ['lost cpu=0 count=-1']],
    ['first of all', [empty, page(2, 4000n)], 2, ['lost cpu=0 count=-1']],
    ['several times', [page(3), empty, empty], 3, ['lost cpu=0 count=2147483647']],
    ['before a loss that is counted', [empty, { ...page(2, 4000n), lost: 7 }], 2, ['lost cpu=0 count=-1']],
  ])('%s hides what was there', async (_, pages, records, notes) => {
    const collector = await readDat(make({ cpus: [pages] }));
    expect(collector.records).toHaveLength(records);
    expect(collector.of('damaged-page')).toHaveLength(1);
    expect(collector.notes.map((note) => note.replace(/^\d+: /, ''))).toEqual(notes);
  });
});

describe('statistics that count', () => {
  const pages = [page(5), page(4, 2000n), page(3, 3000n), page(2, 4000n)];
  const missing = async (...args: Parameters<typeof statistics>) =>
    (await readDat(make({ cpus: [pages], options: [statistics(...args)] }))).of('missing-records');

  it.each([
    ['all of it before the recorder read', 14, 0],
    ['all of it behind', 0, 14],
    ['a part before', 5, 9],
    ['less, because recording went on', 3, 9],
    ['a page twice, which was read in between', 9, 9],
    ['the first page twice', 14, 5],
    ['several pages twice', 9, 12],
    ['a part of the last page twice', 2, 13],
  ])('%s', async (_, entries, read) => {
    expect(await missing(0, entries, read)).toEqual([]);
  });

  it.each([
    ['more that was in the buffer', 15, 0, ['1 CPU 0 has 14']],
    ['more that was read', 0, 20, ['6 CPU 0 has 14']],
    ['a part of a page more', 8, 9, ['3 CPU 0 has 14']],
    ['a page before the places where pages end', 10, 8, ['4 CPU 0 has 14']],
  ])('%s', async (_, entries, read, expected) => {
    expect(await missing(0, entries, read)).toEqual(expected);
  });

  it.each([
    ['and has no pages', [[page(3)], []], 1],
    ['and is not in the table', [[page(3)]], 1],
  ])('records of a CPU that the file lacks %s', async (_, cpus, cpu) => {
    const collector = await readDat(make({ cpus, options: [statistics(0, 0, 3), statistics(cpu, 2, 40)] }));
    expect(collector.of('missing-records')).toEqual(['42 CPU 1 has none']);
    expect(collector.notes.map((note) => note.replace(/^\d+: /, ''))).toEqual(['lost cpu=1 count=2147483647']);
  });

  it('records of another buffer, which is not in the file', async () => {
    const other = [2, Buffer.from('\nBuffer: tracer\n\n\0')] as const;
    const options = [statistics(0, 0, 3), other, statistics(0, 9, 9), statistics(1, 9, 9)];
    expect((await readDat(make({ cpus: [[page(3)]], options }))).of('missing-records')).toEqual([]);
  });

  it('a loss that the pages show as well', async () => {
    const options = [statistics(0, 0, 20)];
    const cpus = [[page(5), { ...page(4, 2000n), lost: 7 }]];
    expect((await readDat(make({ cpus, options }))).of('missing-records')).toEqual([]);
  });
});

describe('a discarded record', () => {
  const discarding: Page = {
    time: 1000n,
    items: [
      { delta: 1, payload: events.entry(100, 1) },
      { delta: 7, discarded: 4 },
      { delta: 1, payload: events.entry(100, 2) },
    ],
  };
  const withLength = (length: number) => {
    const file = make({ cpus: [[discarding, page(1, 2000n)]] });
    const start = Number(file.readBigUInt64LE(table(file, plain)[0]!));
    file.writeUInt32LE(length >>> 0, start + 16 + 20 + 4);
    return readDat(file);
  };

  it('is passed over by its length', async () => {
    const collector = await withLength(16);
    expect(collector.records).toHaveLength(3);
    expect(collector.conditions).toEqual([]);
  });

  it.each([0, 3, 0xfffffffd, 0xffffffff, 4096])('of %d bytes is damage', async (length) => {
    const collector = await withLength(length);
    expect(collector.records).toHaveLength(2);
    expect(collector.of('damaged-page')).toHaveLength(1);
  });
});

describe('times far from all others', () => {
  it.each([
    ['extended', { extend: 2 ** 58 }],
    ['extended twice', { extend: 2 ** 53 - 1 }],
    ['absolute', { stamp: (1n << 59n) - 1n }],
  ])('are damage: %s', async (_, item) => {
    const far: Page = {
      time: 1000n,
      items: [{ delta: 1, payload: events.entry(100, 1) }, item, item, { delta: 1, payload: events.entry(100, 2) }],
    };
    const collector = await readDat(make({ cpus: [[far, page(1, 5000n)]] }));
    expect(collector.records).toHaveLength(2);
    expect(collector.of('damaged-page')).toEqual([expect.stringMatching(/a time near that of the first page/)]);
    expect(collector.notes).toEqual([expect.stringMatching(/lost cpu=0 count=-1/)]);
  });

  it('are none where a CPU was idle for weeks', async () => {
    const idle: Page = { time: 1000n, items: [{ extend: 2 ** 52 }, { delta: 1, payload: events.entry(100, 2) }] };
    const collector = await readDat(make({ cpus: [[idle]] }));
    expect(collector.records).toHaveLength(1);
    expect(collector.conditions).toEqual([]);
  });
});

describe('formats with the id of another', () => {
  const withFormats = (...more: [string, string][]) =>
    readDat(
      traceDat(plain, {
        buffers: [{ name: '', cpus: [{ cpu: 0, pages: [page(3)] }] }],
        formats: [...formats(plain), ...more],
        cmdlines,
      }),
    );
  const entry = (size: number) => format('kvm_entry', 62, [['unsigned long vcpu_pc', 8, size, false]]);

  it.each([
    ['another event', format('kvm_exit', 62, [])],
    ['one that nobody wants', format('kvm_mmio', 62, [])],
    ['other fields', entry(4)],
  ])('leave open what its records are: %s', async (_, text) => {
    const collector = await withFormats(['kvm', text]);
    expect(collector.records).toEqual([]);
    expect(collector.of('unknown-event')).toEqual(['3 event id 62']);
  });

  it('do no harm where they are the same', async () => {
    const collector = await withFormats(['kvm', entry(8)]);
    expect(collector.records).toHaveLength(3);
    expect(collector.conditions).toEqual([]);
  });
});

it('a string that lies beyond its record is counted', async () => {
  const irq = Buffer.from(events.irq(0, 12, 'kvm guest vtimer'));
  const beyond = Buffer.from(irq);
  beyond.writeUInt16LE(400, 14);
  const pages = [{ time: 1n, items: [irq, beyond].map((payload) => ({ delta: 1, payload })) }];
  const collector = await readDat(make({ cpus: [pages] }));
  expect(collector.of('malformed-fields')).toEqual(['1 irq_handler_entry']);
});
