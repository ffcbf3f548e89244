import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from '../package/timervet.js';
import { recordings, textOf, traceCmd } from '../recordings/reports.js';
import { allSaid, converted, fileInput } from './round-trip.js';

const corpus = join(root, 'traces');
const traces = readdirSync(corpus, { recursive: true, encoding: 'utf8' })
  .filter((file) => statSync(join(corpus, file)).isFile())
  .filter((file) => !file.endsWith('.json') && !file.includes('unusable'))
  .sort();

/** Whole recordings: all of them, of kernels without a model as well. */
const texts = recordings(/^[4-7]\.\d+-.*\.txt$/).filter((file) => !/text-(nocontext|raw)\./.test(file));
const binaries = [...recordings(/^[4-7]\.\d+-.*\.dat$/), ...recordings(/\.dat$/, 'broken')];

async function expectTheSame(path: string): Promise<void> {
  const { original, converted } = await allSaid(fileInput(path));
  expect(converted).toEqual({ csv: original, jsonl: original });
}

describe('a check of a converted trace says what a check of the trace says', () => {
  it.each(traces)('%s', (file) => expectTheSame(join(corpus, file)));

  it.each(texts)('%s', (file) => expectTheSame(textOf(file)));

  it.skipIf(!traceCmd).each(binaries)('%s', (file) => expectTheSame(textOf(file)));
});

describe('a conversion of a conversion', () => {
  const recording = join(corpus, 'recordings/6.1-nvhe/lost-trace_pipe.txt.gz');

  it.each([
    ['csv', 'jsonl'],
    ['jsonl', 'csv'],
  ] as const)('to %s and on to %s is that of the recording', async (first, second) => {
    const text = await converted(fileInput(recording), first);
    const again = await converted(
      {
        path: '-',
        async *open() {
          yield Buffer.from(text);
        },
      },
      second,
    );
    expect(again).toBe(await converted(fileInput(recording), second));
  });
});
