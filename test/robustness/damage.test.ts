import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { check } from '../../src/check/check.js';
import type { TraceSummary } from '../../src/check/facts.js';
import { inMemory } from '../input/trace-dat/support.js';
import { datOf, missing, stock } from './recordings.js';

const pageSize = 4096;

/** The part of a version 6 file from which all is pages: what stands before is metadata. */
const firstPages = 0.4;

const scratch = mkdtempSync(join(tmpdir(), 'timervet-damage-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/** A recording as version 6: uncompressed, with its table of buffers at the beginning. */
function version6(name: string): Buffer {
  const file = join(scratch, `${name}.dat`);
  const { status, stderr } = spawnSync('trace-cmd', ['convert', '--file-version', '6', '-i', datOf(name), '-o', file]);
  if (status !== 0) throw new Error(String(stderr));
  return readFileSync(file);
}

async function summary(bytes: Buffer): Promise<TraceSummary | undefined> {
  const input = {
    path: 'damaged.dat',
    async *open() {
      yield bytes.subarray(0, 65_536);
    },
    openFile: () => inMemory(bytes),
  };
  for await (const fact of check([input])) if (fact.type === 'trace-end') return fact.summary;
  return undefined;
}

/** Ways to damage a page at `place` so that its records are gone. */
const damages: Record<string, (bytes: Buffer, place: number) => Buffer> = {
  'the file ends there': (bytes, place) => bytes.subarray(0, place),
  'the file ends inside a page': (bytes, place) => bytes.subarray(0, place + 1234),
  'a hole of three pages': (bytes, place) => Buffer.from(bytes).fill(0, place, place + 3 * pageSize),
  'a length beyond the page': (bytes, place) => {
    const damaged = Buffer.from(bytes);
    damaged.writeUInt32LE(0xffff, place + 8);
    return damaged;
  },
};

describe.skipIf(missing !== undefined)(`recordings of which pages are missing${missing ? ` (${missing})` : ''}`, () => {
  it.each(stock)('%s: no violation follows, and nothing passes as whole', async (name) => {
    const bytes = version6(name);
    const first = Math.ceil((bytes.length * firstPages) / pageSize);
    const count = Math.floor(bytes.length / pageSize) - 3 - first;
    for (const [damage, apply] of Object.entries(damages)) {
      for (let part = 0; part < 5; part++) {
        const page = first + Math.floor((part * count) / 5);
        const result = await summary(apply(bytes, page * pageSize));
        // What a kernel is known to do wrong shows in what is left as well.
        const found = result?.findings
          .filter(({ diagnosis }) => !diagnosis.startsWith('known-'))
          .map(({ rule, message }) => `${rule}: ${message}`);
        expect({ damage, page, verdict: result?.verdict, found }).toEqual({
          damage,
          page,
          verdict: 'inconclusive',
          found: [],
        });
      }
    }
  });
});
