import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { nativeForms } from '../../src/report/native/writer.js';
import { root } from '../package/timervet.js';
import { recordings, textOf, traceCmd } from '../recordings/reports.js';
import { bothSaid, converted, fileInput } from './round-trip.js';

const corpus = join(root, 'traces');
const traces = readdirSync(corpus, { recursive: true, encoding: 'utf8' })
  .filter((file) => statSync(join(corpus, file)).isFile())
  .filter((file) => file !== 'manifest.json' && !file.includes('unusable'))
  .sort();

/** Whole recordings: all of them, of kernels without a model as well. */
const texts = recordings(/^[4-7]\.\d+-.*\.txt$/).filter((file) => !/text-(nocontext|raw)\./.test(file));
const binaries = [...recordings(/^[4-7]\.\d+-.*\.dat$/), ...recordings(/\.dat$/, 'broken')];

describe.each(nativeForms)('a check of a trace converted to %s says what a check of the trace says', (form) => {
  it.each(traces)('%s', async (file) => {
    const { original, converted } = await bothSaid(fileInput(join(corpus, file)), form);
    expect(converted).toEqual(original);
  });

  it.each(texts)('%s', async (file) => {
    const { original, converted } = await bothSaid(fileInput(textOf(file)), form);
    expect(converted).toEqual(original);
  });

  it.skipIf(!traceCmd).each(binaries)('%s', async (file) => {
    const { original, converted } = await bothSaid(fileInput(textOf(file)), form);
    expect(converted).toEqual(original);
  });
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
