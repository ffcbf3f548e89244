import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { conditions } from '../../../src/events/conditions.js';
import { InputError } from '../../../src/input/errors.js';
import { bytesOf, Cursor } from '../../../src/input/trace-dat/cursor.js';
import { runs } from '../../fuzz.js';
import type { Collector } from '../support.js';
import { cmdlines, Events, formats, sample } from './sample.js';
import { readDat } from './support.js';
import { Bytes, type File, type Form, plain, traceDat } from './writer.js';

const folder = process.env.TIMERVET_RECORDINGS ?? join(import.meta.dirname, '../../../../shared/recordings');
const recording = join(folder, '6.1-nvhe-tickwfi-zstd.dat');

const files: [name: string, file: Buffer][] = [
  ['version 6', traceDat({ ...plain, version: 6 }, sample(plain))],
  ['version 7', traceDat(plain, sample(plain))],
  ['zlib', traceDat({ ...plain, compression: 'zlib' }, sample(plain))],
  ['big endian', traceDat({ ...plain, isBigEndian: true }, sample({ ...plain, isBigEndian: true }))],
];
if (existsSync(recording)) files.push(['zstd', readFileSync(recording)]);

/** What a reader made of a file: its complaint, or all it delivered. */
async function outcome(file: Uint8Array): Promise<Collector | InputError> {
  try {
    return await readDat(file);
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
}

/** Whether a user sees that something is missing. */
const tellsLoss = ({ conditions: seen }: Collector) =>
  seen.some(({ kind }) => conditions[kind as keyof typeof conditions].severity === 'loss');

const told = ({ conditions: seen }: Collector) => JSON.stringify(seen.map(({ kind, count }) => [kind, count]));

describe.each(files)('%s', (_, file) => {
  it('cut anywhere is either refused or tells what is missing', async () => {
    const whole = await readDat(file);
    const step = Math.max(1, Math.floor(file.length / 300));
    for (let length = 0; length < file.length; length += step) {
      const cut = await outcome(file.subarray(0, length));
      if (cut instanceof InputError) expect(cut.message).toMatch(/expected .*found|overlap|no trace.dat/);
      // The last page need not be whole: behind its records is nothing.
      else if (cut.records.length + cut.notes.length < whole.records.length + whole.notes.length)
        expect(tellsLoss(cut), `cut at ${length}`).toBe(true);
    }
  });

  it('with a bit turned over is refused, or what is missing is told', async () => {
    const whole = await readDat(file);
    const usual = file.length > 50_000 ? 150 : 1500;
    await fc.assert(
      fc.asyncProperty(fc.nat(file.length * 8 - 1), async (bit) => {
        const damaged = Buffer.from(file);
        damaged[bit >>> 3]! ^= 1 << (bit & 7);
        const result = await outcome(damaged);
        if (result instanceof InputError || result.records.length >= whole.records.length) return;
        expect(told(result)).not.toBe(told(whole));
      }),
      runs(usual),
    );
  });

  it('with anything in the place of some bytes never crashes or hangs', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(file.length - 1), fc.uint8Array({ minLength: 1, maxLength: 16 }), async (at, bytes) => {
        const damaged = Buffer.from(file);
        damaged.set(bytes.subarray(0, file.length - at), at);
        await outcome(damaged);
      }),
      runs(file.length > 50_000 ? 100 : 1000),
    );
  });
});

const events = new Events(plain);
const page = { time: 1000n, items: [{ delta: 1, payload: events.entry(100, 1) }] };
const small = (form: Form = plain): File => ({
  buffers: [{ name: '', cpus: [{ cpu: 0, pages: [page, page] }] }],
  formats: formats(form),
  cmdlines,
});

/** The file with a number changed behind a place that its bytes before it mark. */
function changed(file: Buffer, mark: Uint8Array, change: (view: DataView, at: number) => void): Buffer {
  const copy = Buffer.from(file);
  const at = copy.lastIndexOf(mark);
  expect(at).toBeGreaterThan(0);
  change(new DataView(copy.buffer, copy.byteOffset, copy.byteLength), at + mark.length);
  return copy;
}

it('a place behind the end is named with the end', async () => {
  const cursor = new Cursor(bytesOf(new Uint8Array(32)), false, 2 ** 40);
  for (const read of [() => cursor.bytes(10, 'a mark'), () => cursor.skip(10, 'a mark'), () => cursor.u16('a mark')])
    expect(read).toThrow(/^byte 1099511627776: expected a mark(?: of 10 bytes)?, found the end at byte 32: /);
});

describe('a file made to do harm', () => {
  const clock = Buffer.from('\0local\0');

  it.each([
    ['a page size of nothing', 0, /page size/],
    ['a page size of a gigabyte', 1 << 30, /page size/],
  ])('%s', async (_, size, message) => {
    const file = changed(traceDat(plain, small()), clock, (view, at) => view.setUint32(at, size, true));
    await expect(readDat(file)).rejects.toThrow(message);
  });

  it.each([
    ['more CPUs than its table holds', 0xffffffff, /expected/],
    ['fewer CPUs than its table holds', 0, /expected the end of the table/],
  ])('%s', async (_, count, message) => {
    const file = changed(traceDat(plain, small()), clock, (view, at) => view.setUint32(at + 4, count, true));
    await expect(readDat(file)).rejects.toThrow(message);
  });

  it('a CPU that no kernel has', async () => {
    const file = changed(traceDat(plain, small()), clock, (view, at) => view.setUint32(at + 8, 1 << 20, true));
    await expect(readDat(file)).rejects.toThrow(/CPU below/);
  });

  it('data of more bytes than the file has', async () => {
    const file = changed(traceDat(plain, small()), clock, (view, at) => view.setBigUint64(at + 20, 1n << 50n, true));
    expect((await readDat(file)).of('truncated-input')).toHaveLength(1);
  });

  it('CPUs that all have the same data', async () => {
    const many = Array.from({ length: 50 }, (_, cpu) => ({ cpu, pages: cpu === 0 ? Array(100).fill(page) : [] }));
    const file = traceDat(plain, { ...small(), buffers: [{ name: '', cpus: many }] });
    const copy = changed(file, clock, (view, at) => {
      for (let cpu = 1; cpu < 50; cpu++) {
        view.setBigUint64(at + 8 + cpu * 20 + 4, view.getBigUint64(at + 12, true), true);
        view.setBigUint64(at + 8 + cpu * 20 + 12, view.getBigUint64(at + 20, true), true);
      }
    });
    await expect(readDat(copy)).rejects.toThrow(/overlap/);
  });

  it('options that lead back to themselves', async () => {
    const file = traceDat(plain, small());
    const first = file.readBigUInt64LE(file.indexOf('none\0\0') + 6);
    const done = Buffer.from([0, 0, 8, 0, 0, 0]);
    const loop = changed(file, done, (view, at) => view.setBigUint64(at, first, true));
    await expect(readDat(loop)).rejects.toThrow(/never ends/);
  });

  it('an event format of more bytes than the file has', async () => {
    const file = traceDat(plain, small());
    const at = file.indexOf('name: kvm_entry') - 8;
    file.writeBigUInt64LE(0xffffffffffn, at);
    await expect(readDat(file)).rejects.toThrow(/at most 1048576 bytes, found 1099511627775/);
  });

  it('records of a kernel whose common fields lie elsewhere', async () => {
    const file = traceDat(plain, small());
    file.write('offset:5;', file.indexOf('offset:4;'));
    await expect(readDat(file)).rejects.toThrow(/expected common_pid at offset 4 with size 4, found offset 5/);
  });

  it.each([
    ['that says it is larger than a chunk can be', 1 << 30, 10],
    ['of no whole page', 5000, 10],
    ['of fewer bytes than come out of it', 4096, 8192],
    ['of more bytes than come out of it', 8192, 4096],
  ])('a chunk %s', async (_, size, content) => {
    const form = { ...plain, compression: 'zlib' } as const;
    const file = traceDat(form, { ...small(), buffers: [{ name: '', cpus: [{ cpu: 0, pages: [] }] }] });
    const data = deflateSync(Buffer.alloc(content));
    const chunk = new Bytes(form).u32(1).u32(data.length).u32(size).raw(data).done();
    const grown = changed(Buffer.concat([file, chunk]), clock, (view, at) => {
      view.setBigUint64(at + 12, BigInt(file.length), true);
      view.setBigUint64(at + 20, BigInt(chunk.length), true);
    });
    expect((await readDat(grown)).of('damaged-page')).toHaveLength(1);
  });

  it('a number that is compressed to almost nothing, time and again', async () => {
    const form = { ...plain, compression: 'zlib' } as const;
    const file = traceDat(form, { ...small(), buffers: [{ name: '', cpus: [{ cpu: 0, pages: [] }] }] });
    const size = 16 * 1024 * 1024;
    const data = deflateSync(Buffer.alloc(size), { level: 9 });
    const chunks = new Bytes(form).u32(2000);
    for (let index = 0; index < 2000; index++) chunks.u32(data.length).u32(size).raw(data);
    const list = chunks.done();
    const bomb = changed(Buffer.concat([file, list]), clock, (view, at) => {
      view.setBigUint64(at + 12, BigInt(file.length), true);
      view.setBigUint64(at + 20, BigInt(list.length), true);
    });
    const started = performance.now();
    const collector = await readDat(bomb.subarray(0, file.length + 70 * (data.length + 8)));
    expect(tellsLoss(collector)).toBe(true);
    expect(performance.now() - started).toBeLessThan(60_000);
  });

  it.each([
    ['an unknown compression', 'none\0', 'lzma\0', /"lzma"; zstd and zlib are known/],
    ['an unknown version', 'tracing7', 'tracing9', /expected version 6 or 7.*found "9"/],
  ])('%s', async (_, from, to, message) => {
    const file = traceDat(plain, small());
    file.write(to, file.indexOf(from), 'latin1');
    await expect(readDat(file)).rejects.toThrow(message);
  });

  it('records of an event that the file does not describe', async () => {
    const pages = [{ time: 1n, items: [{ delta: 0, payload: events.unknown(1) }] }];
    const collector = await readDat(
      traceDat(plain, { ...small(), buffers: [{ name: '', cpus: [{ cpu: 0, pages }] }] }),
    );
    expect(collector.of('unknown-event')).toEqual(['1 event id 999']);
  });

  it.each([
    ['a length beyond the page', { time: 1n, commit: 5000, items: [] }],
    ['a record beyond its page', { time: 1n, commit: 12, items: page.items }],
    ['a time far from all others', { time: 1n << 60n, items: page.items }],
  ])('a page with %s', async (_, damaged) => {
    const pages = [page, damaged, page];
    const collector = await readDat(
      traceDat(plain, { ...small(), buffers: [{ name: '', cpus: [{ cpu: 0, pages }] }] }),
    );
    expect(collector.records).toHaveLength(2);
    expect(collector.of('damaged-page')).toHaveLength(1);
    expect(collector.notes).toEqual([expect.stringMatching(/lost cpu=0 count=-1/)]);
  });

  it('names that are damaged are done without', async () => {
    const form = { ...plain, compression: 'zlib' } as const;
    const file = traceDat(form, { ...small(), cmdlines: `${'1 a\n'.repeat(100)}` });
    const names = deflateSync(new Bytes(form).u64(400).raw('1 a\n'.repeat(100)).done());
    file.fill(0xff, file.indexOf(names) + 4, file.indexOf(names) + names.length);
    const collector = await readDat(file);
    expect(collector.records).toHaveLength(2);
    expect(collector.of('damaged-metadata')[0]).toMatch(
      /the names of the threads: byte \d+: expected a compressed section/,
    );
  });
});
