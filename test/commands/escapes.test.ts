import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { sample } from '../input/trace-dat/sample.js';
import { plain, traceDat } from '../input/trace-dat/writer.js';
import { timervet } from '../package/timervet.js';

const folder = mkdtempSync(join(tmpdir(), 'timervet-escapes-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What steers a terminal: ESC, U+009B (which begins a sequence as well), and the mark that reverses a line. */
const steering = '\u001b[2J\u009b1m\u202e';
const file = join(folder, 'names.csv');
const rows = ['entry', 'exit', 'put', 'load', 'entry', 'load', 'exit'].map(
  (event, index) => `0.00${index},0,0,k${steering}vm,${event}`,
);
writeFileSync(file, `# kernel: 6.1${steering}\ntime,cpu,vcpu,comm,event\n${rows.join('\n')}\n`);
const damaged = join(folder, 'damaged.csv');
writeFileSync(damaged, `event\n${steering}\n`);

/** Every such character but the line feed. */
const controls = (text: string) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  text.match(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g);

describe('a name in a trace cannot steer the terminal', () => {
  it.each([
    [['check', '-v']],
    [['check', '--format', 'ktap']],
    [['info']],
    [['stats']],
    [['replay', '-v']],
    [['replay', '--wave']],
    [['diff', file]],
    [['diff', '--models', 'world-switch,timer-map']],
    [['convert', '--to', 'csv']],
    [['convert', '--to', 'jsonl']],
  ])('%j', async (args) => {
    for (const input of [file, damaged]) {
      const { code, stdout, stderr } = await timervet([...args, input]);
      expect(controls(`${stdout}${stderr}`)).toBe(null);
      // A trace with findings, differences or rules without a decision; or none at all.
      expect(input === damaged ? [3] : [0, 1, 4]).toContain(code);
    }
  });
});

describe('a trace.dat from a pipe', () => {
  it('is refused in plain words where there is no place to copy it to', async () => {
    const absent = join(folder, 'absent');
    const { code, stdout, stderr } = await timervet(['check', '-'], {
      input: traceDat(plain, sample(plain)),
      env: { TMPDIR: absent },
    });
    expect({ code, stderr }).toEqual({ code: 3, stderr: '' });
    expect(stdout.replace(/\s+/g, ' ')).toContain(`is copied to ${absent} first, which failed (ENOENT`);
  });
});
