import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { type DiffFact, diff, type Input } from '../../src/index.js';

const chunkSize = 1 << 16;
const text = gunzipSync(readFileSync('traces/recordings/6.1-nvhe/overcommit.txt.gz'));
const chunks = Math.ceil(text.length / chunkSize);

/** A recording in pieces, that notes each piece asked for and that it was let go of. */
function inPieces(path: string, log: string[]): Input {
  return {
    path,
    async *open() {
      try {
        for (let at = 0; at < text.length; at += chunkSize) {
          log.push(path);
          yield text.subarray(at, at + chunkSize);
        }
      } finally {
        log.push(`${path} closed`);
      }
    },
  };
}

async function factsOf(old: Input, next: Input): Promise<DiffFact[]> {
  const facts: DiffFact[] = [];
  for await (const fact of diff(old, next)) facts.push(fact);
  return facts;
}

it('begins both recordings before it reads either to its end', async () => {
  const log: string[] = [];
  const facts = await factsOf(inPieces('old', log), inPieces('new', log));
  expect(facts.at(-1)).toMatchObject({ type: 'diff', diff: { verdict: 'same' }, exitCode: 0 });
  expect(log.indexOf('new')).toBeLessThan(log.indexOf('old closed'));
  expect(log.filter((entry) => entry === 'old').length).toBeGreaterThanOrEqual(chunks);
  const models = facts.flatMap((fact, index) => (fact.type === 'model' ? [index] : []));
  const ends = facts.flatMap((fact, index) => (fact.type === 'trace-end' ? [index] : []));
  expect([models.length, ends.length]).toEqual([2, 2]);
  expect(Math.max(...models)).toBeLessThan(Math.min(...ends));
});

it('does not read on when the second cannot be read, and lets go of the first', async () => {
  const log: string[] = [];
  const broken: Input = {
    path: 'broken',
    async *open() {
      yield Buffer.from('\0\0 no trace\n'.repeat(1000));
    },
  };
  const facts = await factsOf(inPieces('old', log), broken);
  expect(facts.filter((fact) => fact.type === 'trace-failed').map(({ path }) => path)).toEqual(['broken']);
  expect(facts.at(-1)).toEqual({ type: 'diff', diff: null, exitCode: 3 });
  expect(log.filter((entry) => entry === 'old').length).toBeLessThan(chunks);
  expect(log.at(-1)).toBe('old closed');
});
