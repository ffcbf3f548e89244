import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatNativeCsv } from '../../../src/events/native.js';
import type { NativeFormat } from '../../../src/input/native/reader.js';
import { readNative } from './read.js';

const files: [NativeFormat, string][] = [
  ['native-csv', 'load-put.csv'],
  ['native-jsonl', 'load-put.jsonl'],
];
const fixture = (name: string) => readFileSync(new URL(`../../../traces/formats/native/${name}`, import.meta.url));

describe('the two forms of a trace', () => {
  it('hold the same events and facts', async () => {
    const [csv, jsonl] = await Promise.all(files.map(([format, name]) => readNative(format, fixture(name))));
    expect(csv!.error).toBeUndefined();
    expect(jsonl!.error).toBeUndefined();
    expect(csv!.facts).toEqual(jsonl!.facts);
    const text = formatNativeCsv(csv!.events);
    expect(formatNativeCsv(jsonl!.events)).toBe(text);
    expect(text).toBe(
      [
        'time,cpu,vcpu,event,level,ctl,cval',
        '812.402115,1,0,load',
        '812.402116,1,0,restore,,1,0x1000',
        '812.402117,1,0,entry',
        '812.403500,1,0,vtimer_irq',
        '812.403501,1,0,update_irq,1',
        '812.403502,1,,set_active,1',
        '812.403503,1,0,vtimer_irq_end',
        '812.403504,1,0,exit',
        '812.500000,1,0,put',
        '812.500001,1,0,save,,5,0x1000',
        '',
      ].join('\n'),
    );
  });
});

describe.each(files)('%s', (format, name) => {
  it.each([1, 2, 3, 7, 100])('gives the same events in pieces of %i bytes', async (size) => {
    expect(await readNative(format, fixture(name), size)).toEqual(await readNative(format, fixture(name)));
  });

  it('gives the same events up to any byte at which it is cut, or an error that names the line', async () => {
    const bytes = fixture(name);
    const whole = await readNative(format, bytes);
    for (let cut = 0; cut < bytes.length; cut++) {
      const part = await readNative(format, bytes.subarray(0, cut));
      const complete = bytes.subarray(0, cut).toString().split('\n').length;
      const sure = part.events.filter(({ position }) => position < complete);
      expect(sure).toEqual(whole.events.slice(0, sure.length));
      expect(part.events.length - sure.length).toBeLessThanOrEqual(1);
      if (part.error !== undefined) expect(part.error).toMatch(/^(line \d+: |expected a header row)/);
    }
  });
});
