import { deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { ConditionKind } from '../../../src/events/conditions.js';
import { InputError } from '../../../src/input/errors.js';
import type { Collector } from '../support.js';
import { cmdlines, Events, formats, kallsyms } from './sample.js';
import { readDat } from './support.js';
import { type File, type Form, format, plain, traceDat } from './writer.js';

const events = new Events(plain);
const pages = [{ time: 1000n, items: [{ delta: 1, payload: events.entry(100, 1) }] }];
const file = (more: Partial<File> = {}): File => ({
  buffers: [{ name: '', cpus: [{ cpu: 0, pages }] }],
  formats: formats(plain),
  kallsyms: kallsyms(plain),
  cmdlines,
  ...more,
});
const zlib: Form = { ...plain, compression: 'zlib' };

/** Reads what a file made to keep a reader busy holds; what took minutes takes some milliseconds. */
async function quickly(bytes: Buffer): Promise<Collector | InputError> {
  const started = performance.now();
  const result = await readDat(bytes).catch((error: unknown) => {
    if (error instanceof InputError) return error;
    throw error;
  });
  expect(performance.now() - started).toBeLessThan(5000);
  return result;
}

const records = (result: Collector | InputError) => (result instanceof InputError ? result : result.records.length);
const told = (result: Collector | InputError, kind: ConditionKind) =>
  result instanceof InputError ? [result.message] : result.of(kind);

describe('a text that takes a reader’s time', () => {
  const many = 200_000;

  it.each([
    ['a declaration of very many words', 'a '.repeat(many / 2)],
    ['a declaration of one very long word', 'a'.repeat(many)],
    ['a declaration of brackets', '['.repeat(many)],
    ['a declaration of blanks', ' '.repeat(many)],
    ['blank lines before a field', `int x;\toffset:8;\tsize:4;\tsigned:1;\n${'\n'.repeat(many)}\tfield:int y`],
    ['lines that begin with blanks', `${'\n'.repeat(10)}${' '.repeat(many)}`],
  ])('%s', async (_, declaration) => {
    const slow = format('kvm_wfx_arm64', 800, [[declaration, 8, 4, false]]);
    expect(records(await quickly(traceDat(plain, file({ formats: [...formats(plain), ['kvm', slow]] }))))).toBe(1);
  });

  it('fields behind blank lines are found', async () => {
    const entry = format('kvm_entry', 62, [['unsigned long vcpu_pc', 8, 8, false]]).replaceAll('\n', '\n\n\t \n');
    const collector = await readDat(
      traceDat(plain, file({ formats: [['kvm', entry.replace(/\n\n\t \nID/, '\nID')]] })),
    );
    expect(collector.records[0]).toMatch(/kvm_entry vcpu_pc=1$/);
  });

  it('a name of the kernel of very many digits', async () => {
    const uname = Buffer.from(`Linux ${'1.'.repeat(many)}`);
    expect(records(await quickly(traceDat(plain, file({ options: [[5, uname]] }))))).toBe(1);
    const digits = Buffer.from(`Linux ${'1'.repeat(many)}`);
    expect(records(await quickly(traceDat(plain, file({ options: [[5, digits]] }))))).toBe(1);
  });

  it('a page header of very many fields', async () => {
    const bytes = traceDat(plain, file());
    const at = bytes.indexOf('header_page\0') + 12;
    bytes.writeBigUInt64LE(1n << 20n, at);
    expect(told(await quickly(bytes), 'damaged-page')[0]).toMatch(/a page header of at most 65536 bytes/);
  });
});

describe('what takes a reader’s memory', () => {
  const names = Array.from({ length: 70_000 }, (_, pid) => `${pid} a\n`).join('');
  const symbols = '1 t x\n'.repeat(10_000_000);

  it.each([
    ['more thread names than a kernel keeps', { cmdlines: names }, plain, /at most 65536 thread names/],
    ['thread names that are compressed to nothing', { cmdlines: ' '.repeat(50_000_000) }, zlib, /at most 64 times/],
    ['symbols that are compressed to nothing', { kallsyms: symbols }, zlib, /at most 64 times/],
    ['more symbols than a kernel has', { kallsyms: symbols }, plain, /kallsyms of at most/],
  ])('%s', async (_, more, form, message) => {
    const probe = [{ time: 1000n, items: [{ delta: 1, payload: events.probe(100, 0x2004, 1n, 1, 1n) }] }];
    const made = file({ buffers: [{ name: '', cpus: [{ cpu: 0, pages: probe }] }], ...more });
    const result = await quickly(traceDat(form, made));
    expect(told(result, 'damaged-metadata').join()).toMatch(message);
    expect(records(result)).toBe(1);
  });

  it('more functions than a kernel has', async () => {
    const probe = [{ time: 1000n, items: [{ delta: 1, payload: events.probe(100, 0x2004, 1n, 1, 1n) }] }];
    const made = file({
      buffers: [{ name: '', cpus: [{ cpu: 0, pages: probe }] }],
      kallsyms: '1 t x\n'.repeat(3_000_000),
    });
    const result = await quickly(traceDat(plain, made));
    expect(told(result, 'damaged-metadata').join()).toMatch(/at most 2097152 functions/);
    expect(records(result)).toBe(1);
  });

  it('one event that is described again and again', async () => {
    const again = Array.from({ length: 100 }, (_, id) => ['kvm', format('kvm_wfx_arm64', 2000 + id, [])] as const);
    const result = await quickly(traceDat(plain, file({ formats: [...formats(plain), ...again] })));
    expect(told(result, 'damaged-metadata').join()).toMatch(/kvm:kvm_wfx_arm64: expected one, found more than 64/);
  });

  it('fields without end', async () => {
    const probe = (id: number) =>
      format(`p${id}`, 2000 + id, [
        ['unsigned long __probe_ip', 8, 8, false],
        ...Array.from({ length: 5000 }, (_, at) => [`u8 f${at}`, 16 + at, 1, false] as const),
      ]);
    const many = Array.from({ length: 60 }, (_, id) => ['kt', probe(id)] as const);
    const result = await quickly(traceDat(plain, file({ formats: [...formats(plain), ...many] })));
    expect(told(result, 'damaged-metadata').join()).toMatch(/at most 200000 fields in all formats/);
  });

  it('large pages of very many CPUs that have a byte each', async () => {
    const bytes = traceDat(plain, file({ buffers: [{ name: 'a', cpus: [] }] }));
    const at = bytes.lastIndexOf('\0local\0') + 7;
    const many = 20_000;
    const table = Buffer.alloc(8 + many * 20);
    table.writeUInt32LE(1 << 22, 0);
    table.writeUInt32LE(many, 4);
    for (let cpu = 0; cpu < many; cpu++) {
      table.writeUInt32LE(cpu, 8 + cpu * 20);
      table.writeBigUInt64LE(4096n * BigInt(cpu), 12 + cpu * 20);
      table.writeBigUInt64LE(1n, 20 + cpu * 20);
    }
    // The table of a whole new option section at the end of the file.
    const head = Buffer.alloc(16 + 6);
    const option = Buffer.concat([Buffer.alloc(8), Buffer.from('a\0local\0'), table]);
    option.writeBigUInt64LE(bytes.readBigUInt64LE(at - 16), 0);
    const end = Buffer.from([0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    head.writeBigUInt64LE(BigInt(6 + option.length + end.length), 8);
    head.writeUInt16LE(3, 16);
    head.writeUInt32LE(option.length, 18);
    const place = at + 8 + 6;
    bytes.writeBigUInt64LE(BigInt(bytes.length), place);
    const result = await quickly(Buffer.concat([bytes, head, option, end]));
    // The file reaches to one in fifty of them.
    expect(told(result, 'truncated-input').length).toBeGreaterThan(19_000);
  });

  it('large chunks of many CPUs', async () => {
    const bytes = traceDat(
      zlib,
      file({ buffers: [{ name: '', cpus: Array.from({ length: 30 }, (_, cpu) => ({ cpu, pages: [] })) }] }),
    );
    const data = deflateSync(Buffer.alloc(1 << 24));
    const head = Buffer.alloc(12);
    head.writeUInt32LE(1, 0);
    head.writeUInt32LE(data.length, 4);
    head.writeUInt32LE(1 << 24, 8);
    const chunk = Buffer.concat([head, data]);
    const at = bytes.lastIndexOf('\0local\0') + 7 + 8;
    for (let cpu = 0; cpu < 30; cpu++) {
      bytes.writeBigUInt64LE(BigInt(bytes.length + cpu * chunk.length), at + cpu * 20 + 4);
      bytes.writeBigUInt64LE(BigInt(chunk.length), at + cpu * 20 + 12);
    }
    const result = await quickly(Buffer.concat([bytes, ...Array<Buffer>(30).fill(chunk)]));
    expect(told(result, 'damaged-page').join()).toMatch(/need more than \d+ MiB at a time/);
  });
});
