import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { detectFormat } from '../../src/input/index.js';
import { readText } from './support.js';

const folder = process.env.TIMERVET_RECORDINGS ?? join(import.meta.dirname, '../../../shared/recordings');
const files = existsSync(folder)
  ? [...readdirSync(folder), ...readdirSync(join(folder, 'console')).map((file) => join('console', file))].filter(
      (file) => /\.(txt|log)$/.test(file),
    )
  : [];
const unusable = /text-(nocontext|raw)\./;

describe('whole recordings', () => {
  it('are there', ({ skip }) => {
    skip(files.length === 0, `no recordings in ${folder}: set TIMERVET_RECORDINGS to read them`);
  });

  it.each(files.filter((file) => !unusable.test(file)))('%s: every line is understood', (file) => {
    const bytes = readFileSync(join(folder, file));
    const format = detectFormat(bytes.subarray(0, 65_536), bytes.length <= 65_536)!;
    const collector = readText(format, bytes, 65_536);
    expect(collector.of('unparsed-line')).toEqual([]);
    expect(collector.of('malformed-fields')).toEqual([]);
    const lines = bytes.toString('latin1').split(/\r?\n/);
    lines.pop();
    const events = file.endsWith('.log')
      ? lines.filter((line) => / us : |\d+us : /.test(line))
      : lines.filter((line) => line !== '' && !/^#|^cpus=|CPU:\d+ \[/.test(line));
    expect(collector.count).toBe(events.length);
  });

  it.each(files.filter((file) => unusable.test(file)))('%s: is refused', (file) => {
    expect(() => detectFormat(readFileSync(join(folder, file)), true)).toThrow(/set|clear/);
  });
});
