import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { detectFormat, type Format } from '../../src/input/index.js';
import { readText, report } from './support.js';

const root = join(import.meta.dirname, '../../traces/formats');
const forms: readonly { readonly folder: string; readonly format: Format }[] = [
  { folder: 'tracefs-trace', format: 'ftrace' },
  { folder: 'tracefs-trace-pipe', format: 'ftrace' },
  { folder: 'trace-cmd-report', format: 'ftrace' },
  { folder: 'perf-script', format: 'perf-script' },
  { folder: 'console', format: 'console' },
];
const samples = forms.flatMap(({ folder, format }) =>
  readdirSync(join(root, folder)).map((file) => ({
    name: `${folder}/${file}`,
    format,
    bytes: readFileSync(join(root, folder, file)),
  })),
);

describe.each(samples)('excerpt $name', ({ name, format, bytes }) => {
  it('is recognised', () => {
    expect(detectFormat(bytes, true)).toBe(format);
  });

  it('gives the expected records', async () => {
    await expect(report(readText(format, bytes))).toMatchFileSnapshot(`expected/${name}`);
  });

  it('is understood in every line', () => {
    expect(readText(format, bytes).of('unparsed-line')).toEqual([]);
  });

  it.each([1, 7, 100])('gives the same in pieces of %i bytes', (size) => {
    const [pieces, whole] = [readText(format, bytes, size), readText(format, bytes)];
    expect(report(pieces)).toBe(report(whole));
    // Each name once: a reader that keeps a view of a reused chunk would meet its names again and again.
    expect(pieces.conditions).toEqual(whole.conditions);
  });

  it('gives the same with carriage returns', () => {
    const crlf = bytes.toString('latin1').replace(/\r?\n/g, '\r\n');
    expect(report(readText(format, Buffer.from(crlf, 'latin1')))).toBe(report(readText(format, bytes)));
  });
});

/** One excerpt of each shape of line: every cut of every file would test the same code again. */
const shapes = [
  'tracefs-trace/6.1-nvhe-tgid.txt',
  'tracefs-trace/7.2-vhe-latency-format.txt',
  'tracefs-trace-pipe/6.1-nvhe-lost.txt',
  'trace-cmd-report/6.1-nvhe-kp-mixed-plain.txt',
  'perf-script/7.2-vhe.txt',
  'console/6.1-sysrq-z.log',
];

describe.each(samples.filter(({ name }) => shapes.includes(name)))('$name cut at any byte', ({ format, bytes }) => {
  it('gives a beginning of the same records', () => {
    const whole = readText(format, bytes).records;
    for (let length = 0; length < bytes.length; length++) {
      let cut: string[];
      try {
        cut = readText(format, bytes.subarray(0, length)).records;
      } catch (error) {
        expect(error).toMatchObject({ name: 'InputError' });
        continue;
      }
      expect(cut.length, `${length} bytes`).toBeLessThanOrEqual(whole.length);
      if (cut.at(-1) !== whole[cut.length - 1]) expect(cut).toEqual(whole.slice(0, cut.length));
    }
  });

  it('says so when the cut is inside an event', () => {
    const text = bytes.toString('latin1');
    const event = text.indexOf('kvm_entry: ');
    expect(readText(format, bytes.subarray(0, event + 20)).of('truncated-line')).toEqual(['1']);
  });
});

/** What the same recording's forms have in common: no position, no digits that a form does not print. */
function common(record: string): string {
  return record
    .replace(/^\d+: (.{1,8}).*?-(\d+) (?:\(\d+\) )?(\[\d+\]) \S+ -?\d+:/, '$1-$2 $3')
    .replace(/ vcpu_pc=\S+| is_wfe=\S+/, '');
}

describe('the forms of one trace-cmd recording', () => {
  const recordings = ['4.9-nvhe-kp-mixed', '6.1-nvhe-kp-mixed', '7.2-vhe-kp-mixed'];
  const variants = ['plain', 'R', 'l', 'l-N', 'R-l'];

  it.each(recordings.flatMap((recording) => variants.map((variant) => ({ recording, variant }))))(
    '$recording: $variant tells what -t -N tells',
    ({ recording, variant }) => {
      const read = (file: string) =>
        readText('ftrace', readFileSync(join(root, 'trace-cmd-report', file))).records.map(common);
      expect(read(`${recording}-${variant}.txt`)).toEqual(read(`${recording}-t-N.txt`));
    },
  );

  it('flags printed as letters and as a number say the same', () => {
    const contexts = (file: string) =>
      readText('ftrace', readFileSync(join(root, 'trace-cmd-report', file))).records.map(
        (record) => /(task|softirq|hardirq|\?) -?\d+:/.exec(record)?.[1],
      );
    expect(contexts('7.2-vhe-kp-mixed-R-l.txt')).toEqual(contexts('7.2-vhe-kp-mixed-l-N.txt'));
  });
});
