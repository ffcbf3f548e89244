import { describe, expect, it } from 'vitest';
import type { Input } from '../../src/index.js';
import { sample } from '../input/trace-dat/sample.js';
import { Bytes, plain, traceDat } from '../input/trace-dat/writer.js';
import { allSaid } from './round-trip.js';

const input = (bytes: Uint8Array | string): Input => ({
  path: 'recording',
  async *open() {
    yield Buffer.from(bytes);
  },
});

const text = (...lines: string[]) => input(`# tracer: nop\n#\n${lines.map((line) => `${line}\n`).join('')}`);
const entry = (time: string, comm = 'CPU 0/KVM') =>
  `       ${comm}-100     [000] .....   ${time}: kvm_entry: PC: 0x0000000000004000`;

/** A trace.dat with options of its own. */
const withOption = (id: number, data: Uint8Array | string) => {
  const file = sample(plain);
  return input(traceDat(plain, { ...file, options: [...(file.options ?? []), [id, Buffer.from(data)]] }));
};
const u32 = (...values: number[]) => values.reduce((bytes, value) => bytes.u32(value), new Bytes(plain)).done();
const statistics = (overrun: string) => `CPU: 5\noverrun: ${overrun}\ncommit overrun: 0\ndropped events: 0\n\0`;

const lossyPage = () => {
  const file = sample(plain);
  const [buffer] = file.buffers;
  const [cpu, ...cpus] = buffer!.cpus;
  const [page, ...pages] = cpu!.pages;
  const lossy = { ...cpu!, pages: [page!, ...pages.map((each) => ({ ...each, lost: 2 ** 51 }))] };
  return input(traceDat(plain, { ...file, buffers: [{ ...buffer!, cpus: [lossy, ...cpus] }] }));
};

const lost = (count: string) => text(entry('1.000001'), `CPU:0 [LOST ${count} EVENTS]`, entry('1.000002'));

describe('a conversion of a recording with damage says what the recording says', () => {
  it.each([
    ['a loss of 10^16', lost(`1${'0'.repeat(16)}`)],
    ['a loss of 10^200', lost(`1${'0'.repeat(200)}`)],
    [
      'several such losses',
      text(...Array.from({ length: 3 }, () => `CPU:0 [LOST ${'9'.repeat(16)} EVENTS]`), entry('1.0')),
    ],
    ['a loss of 2^51 in a page', lossyPage()],
    ['statistics of 10^16', withOption(2, statistics(`1${'0'.repeat(16)}`))],
    ['statistics of 10^400', withOption(2, statistics(`1${'0'.repeat(400)}`))],
    ['a date before zero', withOption(1, '-0x7fffffffffffff\0')],
    ['an offset to just before zero', withOption(7, '-6000000000\0')],
    ['a date far from zero', withOption(1, '0x7fffffffffffffff\0')],
    ['a clock of a large multiplier', withOption(14, u32(0xffffffff, 0))],
    ['a time of 10^15 s', text(entry('1.000001'), entry('999999999999999.000002'), entry('2.000001'))],
    ['no CPUs', withOption(8, u32(0))],
    ['2^32 - 1 CPUs', withOption(8, u32(0xffffffff))],
  ])('%s', async (_, recording) => {
    const { original, converted } = await allSaid(recording);
    expect(converted).toEqual({ csv: original, jsonl: original });
    // JSON has no number that is not finite.
    expect(JSON.parse(JSON.stringify(original))).toEqual(original);
  });
});
