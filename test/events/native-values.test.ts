import { describe, expect, it } from 'vitest';
import * as values from '../../src/events/native-values.js';
import { formatU64 } from '../../src/events/u64.js';

const bad = Number.NaN;

describe('values of the native notation', () => {
  const seconds = values.time('s', '');
  const nanoseconds = values.time('ns', '');
  const number = values.integer(0, 100, '', { none: 7 });
  const cases: [string, values.ValueType, values.Scalar, number][] = [
    ['seconds', seconds, '812.402115', 812402115000],
    ['seconds', seconds, '9007199.254740991', Number.MAX_SAFE_INTEGER],
    ['seconds', seconds, '9007199.254740992', bad],
    ['seconds', seconds, 812.402115, 812402115000],
    ['seconds', seconds, 1e-7, 100],
    ['seconds', seconds, 3, 3e9],
    ['seconds', seconds, '3.5us', 3500],
    ['seconds', seconds, '3.0001us', bad],
    ['seconds', seconds, '3.5000us', 3500],
    ['seconds', seconds, '12ns', 12],
    ['seconds', seconds, '1.5ns', bad],
    ['seconds', seconds, '10ms', 10_000_000],
    ['seconds', seconds, '1s', 1_000_000_000],
    ['seconds', seconds, '1.', bad],
    ['seconds', seconds, '-1', bad],
    ['seconds', seconds, -1, bad],
    ['seconds', seconds, '1h', bad],
    ['seconds', seconds, true, bad],
    ['nanoseconds', nanoseconds, '15', 15],
    ['nanoseconds', nanoseconds, '15us', 15000],
    ['seconds', seconds, 5e-324, bad],
    ['nanoseconds', nanoseconds, 15.5, bad],
    ['nanoseconds', nanoseconds, 5e-324, bad],
    ['integer', number, '0x10', 16],
    ['integer', number, '100', 100],
    ['integer', number, '101', bad],
    ['integer', number, '-1', bad],
    ['integer', number, '-0', 0],
    ['integer', number, 1.5, bad],
    ['integer', number, 'none', 7],
    ['integer', number, 'constructor', bad],
    ['flag', values.flag, 'true', 1],
    ['flag', values.flag, false, 0],
    ['flag', values.flag, '2', bad],
    ['ctl', values.ctl, '0x5', 5],
    ['ctl', values.ctl, 'enable|imask', 3],
    ['ctl', values.ctl, 'enable | istatus', 5],
    ['ctl', values.ctl, 'enable|', bad],
    ['ctl', values.ctl, '4294967296', 0x100000000],
    ['ctl', values.ctl, '9007199254740992', bad],
    ['ctl', values.ctl, '', bad],
    ['state', values.threadState, 'R', 0],
    ['state', values.threadState, 'R+', 0],
    ['state', values.threadState, 'S', 1],
    ['state', values.threadState, 'D|K', 1],
    ['state', values.threadState, 'sleeping', bad],
  ];
  it.each(cases)('%s: %s', (_name, type, cell, expected) => {
    expect(type.read(cell)).toBe(expected);
  });

  const wide: [values.ValueType, values.Scalar, string | undefined][] = [
    [values.u64, '~0', '0xffffffffffffffff'],
    [values.u64, '18446744073709551615', '0xffffffffffffffff'],
    [values.u64, '18446744073709551616', undefined],
    [values.u64, 4294967297, '0x100000001'],
    [values.u64, 2 ** 53, undefined],
    [values.u64, '-1', undefined],
    [values.pointer, '00000000abcdef01', '0xabcdef01'],
    [values.pointer, '0xffff000012345678', '0xffff000012345678'],
    [values.pointer, '(____ptrval____)', undefined],
  ];
  it.each(wide)('64 bits: %#', (type, cell, expected) => {
    const result = type.read(cell);
    expect(result).toBe(expected === undefined ? bad : 0);
    if (expected !== undefined) expect(formatU64(values.halves.hi, values.halves.lo)).toBe(expected);
  });

  it('spells times as the kernel does, with nanoseconds where there are some', () => {
    expect(values.formatSeconds(812402115000)).toBe('812.402115');
    expect(values.formatSeconds(12)).toBe('0.000000012');
    expect(values.formatSeconds(Number.MAX_SAFE_INTEGER)).toBe('9007199.254740991');
  });

  it.each([
    [0n, 0, '0.000000000'],
    [-1n, 0, '-0.000000001'],
    [-1_500_000_000n, 1, '-1.499999999'],
    [-(2n ** 63n), 5_000, '-9223372036.854770808'],
    [2n ** 64n, 2 ** 60, '19599665578.316398592'],
    [-5n, 5, '0.000000000'],
  ])('spells and reads the time of a clock: origin %d, %d ns later', (origin, time, text) => {
    expect(values.formatOrigin(origin + BigInt(time))).toBe(text);
    expect(values.timeSince(origin, text)).toBe(time);
  });
});
