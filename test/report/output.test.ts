import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { wantsColor } from '../../src/report/color.js';
import { failureLines } from '../../src/report/failures.js';
import { fileOutput, OutputError, type OutputStream, streamOutput } from '../../src/report/output.js';
import { progressLine } from '../../src/report/progress.js';
import { memoryOutput } from './replay.js';

function brokenStream(code: string): OutputStream {
  return {
    on: () => {},
    write(_, done) {
      done(Object.assign(new Error(code), { code }));
      return false;
    },
  };
}

describe('an output', () => {
  test('is closed, not failed, by a reader that goes away', async () => {
    const output = streamOutput(brokenStream('EPIPE'), false);
    await output.write('text');
    expect(output.closed).toBe(true);
    await output.write('more');
  });

  test('fails for every other reason', async () => {
    await expect(streamOutput(brokenStream('ENOSPC'), false).write('text')).rejects.toThrow(OutputError);
  });

  test('on a file is there at once and holds what was written', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'timervet-'));
    const path = join(folder, 'report.txt');
    const output = fileOutput(path);
    expect(readFileSync(path, 'utf8')).toBe('');
    await output.write('one\n');
    await output.write('two\n');
    await output.close();
    expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n');
    expect(() => fileOutput(folder)).toThrow(OutputError);
    rmSync(folder, { recursive: true });
  });

  test.each([
    ['a terminal', undefined, {}, true, true],
    ['a pipe', undefined, {}, false, false],
    ['a dumb terminal', undefined, { TERM: 'dumb' }, true, false],
    ['NO_COLOR', undefined, { NO_COLOR: '1' }, true, false],
    ['an empty NO_COLOR', undefined, { NO_COLOR: '' }, true, true],
    ['FORCE_COLOR', undefined, { FORCE_COLOR: '1' }, false, true],
    ['FORCE_COLOR=0', undefined, { FORCE_COLOR: '0' }, true, false],
    ['FORCE_COLOR and NO_COLOR', undefined, { FORCE_COLOR: '1', NO_COLOR: '1' }, false, true],
    ['--no-color and FORCE_COLOR', false, { FORCE_COLOR: '1' }, true, false],
    ['--color and NO_COLOR', true, { NO_COLOR: '1' }, false, true],
  ])('decides on colours for %s', (_, flag, environment, isTerminal, expected) => {
    expect(wantsColor(flag, environment, isTerminal)).toBe(expected);
  });
});

describe('the progress line', () => {
  test('appears for a long input only, and goes before anything else is written', async () => {
    const output = memoryOutput({ columns: 80 });
    let time = 0;
    const line = progressLine(output, () => time);
    await line.fact({ type: 'trace-start', path: 'trace.txt', format: 'ftrace' });
    time = 400;
    await line.fact({ type: 'progress', path: 'trace.txt', bytes: 1e6, events: 10 });
    expect(output.text).toBe('');
    time = 2000;
    await line.fact({ type: 'progress', path: 'trace.txt', bytes: 5e6, events: 5000 });
    expect(output.text).toBe('\r\x1b[Ktrace.txt: 5.0 MB, 5000 events, 2 s');
    await line.fact({ type: 'trace-failed', path: 'trace.txt', failure: { path: 'trace.txt', error: 'x' } });
    expect(output.text.endsWith('2 s\r\x1b[K')).toBe(true);
  });
});

test('an unreadable input is one line on stderr', async () => {
  const output = memoryOutput();
  await failureLines(output).fact({ type: 'trace-failed', path: '-', failure: { path: '-', error: 'empty' } });
  expect(output.text).toBe('error: standard input: empty\n');
});
