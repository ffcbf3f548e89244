import { describe, expect, it } from 'vitest';
import { differenceU64, formatU64, joinU64, parseU64 } from '../../src/events/u64.js';

const values = [
  0n,
  1n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x1_00000000n,
  0x7fffffff_80000000n,
  0x80000000_00000001n,
  0xffffffff_ffffffffn,
];

/** Halves as the events keep them: signed. */
function halves(value: bigint): { hi: number; lo: number } {
  return { hi: Number(BigInt.asIntN(32, value >> 32n)), lo: Number(BigInt.asIntN(32, value)) };
}

describe.each(values)('%s', (value) => {
  const { hi, lo } = halves(value);

  it('is joined to the number that it is', () => {
    expect(joinU64(hi, lo)).toBe(Number(value));
    // Halves that were read as unsigned numbers mean the same.
    expect(joinU64(hi >>> 0, lo >>> 0)).toBe(Number(value));
  });

  it('is written and parsed', () => {
    expect(formatU64(hi, lo)).toBe(`0x${value.toString(16)}`);
    expect(parseU64(formatU64(hi, lo))).toEqual({ hi, lo });
    expect(parseU64(String(value))).toEqual({ hi, lo });
  });

  it.each(values)('differs from %s by as much as they do', (other) => {
    const { hi: otherHi, lo: otherLo } = halves(other);
    const difference = value - other;
    expect(differenceU64(hi, lo, otherHi, otherLo)).toBe(Number(difference));
  });
});
