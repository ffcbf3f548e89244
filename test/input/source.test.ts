import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../../src/input/errors.js';
import { openSource } from '../../src/input/index.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'timervet-source-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What a source gives, and the message of the error that ends it. */
async function read(path: string): Promise<{ text: string; error?: string }> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of openSource(path)) chunks.push(Buffer.from(chunk));
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    const { name, message } = error as InputError;
    return { text: Buffer.concat(chunks).toString(), error: `${name}: ${message}` };
  }
  return { text: Buffer.concat(chunks).toString() };
}

function file(content: Uint8Array | string): string {
  const path = join(folder, 'input');
  writeFileSync(path, content);
  return path;
}

const lines = Array.from({ length: 60_000 }, (_, i) => `line ${(i * 2_654_435_761) % 4_294_967_296}\n`).join('');

describe('a source', () => {
  it.each([0, 1, 2, 100])('gives a file of %i bytes', async (length) => {
    expect(await read(file('x'.repeat(length)))).toEqual({ text: 'x'.repeat(length) });
  });

  it('gives a file of many blocks', async () => {
    expect((await read(file(lines))).text).toBe(lines);
  });

  it('opens gzip', async () => {
    expect(await read(file(gzipSync(lines)))).toEqual({ text: lines });
  });

  it('opens gzip of several members', async () => {
    expect(await read(file(Buffer.concat([gzipSync('one\n'), gzipSync(lines), gzipSync('three\n')])))).toEqual({
      text: `one\n${lines}three\n`,
    });
  });

  it('gives what is whole of truncated gzip, then says so', async () => {
    const whole = gzipSync(lines);
    const { text, error } = await read(file(whole.subarray(0, whole.length / 2)));
    expect(text.length).toBeGreaterThan(lines.length / 3);
    expect(lines.startsWith(text)).toBe(true);
    expect(error).toMatch(/^TruncatedInputError: the gzip data ends in the middle/);
  });

  it('says so when gzip is damaged', async () => {
    const damaged = gzipSync(lines);
    damaged.fill(0x55, 50_000, 50_100);
    expect((await read(file(damaged))).error).toMatch(/^TruncatedInputError: the gzip data is damaged/);
  });

  // A piece of 16 KiB is what zlib gets at a time: the zeros begin inside one, and with one.
  const pieceSize = 16 * 1024;
  const stored = gzipSync(lines.slice(0, pieceSize), { level: 0 });
  const aligned = gzipSync(lines.slice(0, 2 * pieceSize - stored.length), { level: 0 });

  it.each([
    ['a zero', gzipSync('one\n'), 1],
    ['a block of zeros', gzipSync('one\n'), 512],
    ['zeros that begin a piece', aligned, 512],
    ['zeros of several blocks', gzipSync('one\n'), 600_000],
  ])('passes over %s behind gzip', async (_, gzip, zeros) => {
    expect(await read(file(Buffer.concat([gzip, Buffer.alloc(zeros)])))).toEqual({ text: gunzipSync(gzip).toString() });
  });

  it.each([0, 600_000])('gives what comes before other data behind gzip and %i zeros, then says so', async (zeros) => {
    const { text, error } = await read(file(Buffer.concat([aligned, Buffer.alloc(zeros + 1), gzipSync('two\n')])));
    expect(text).toBe(gunzipSync(aligned).toString());
    expect(error).toMatch(/^TruncatedInputError: the gzip data ends at byte 16384, and zeros and other data follow it/);
  });

  it('can be left early', async () => {
    for await (const chunk of openSource(file(gzipSync(lines)))) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
  });

  it('refuses what is not there, and directories, in plain words', async () => {
    expect((await read(join(folder, 'absent'))).error).toMatch(/^InputError: no such file/);
    expect((await read(folder)).error).toMatch(/^InputError: this is a directory/);
  });
});
