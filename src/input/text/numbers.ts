import { Byte, hexValue } from './bytes.js';

/** Receives 64-bit values as two 32-bit halves (see `u64.ts`); a `Record` is one. */
export interface Halves {
  readonly hi: Int32Array;
  readonly lo: Int32Array;
}

/**
 * Reads a hexadecimal number of at most 64 bits, with or without `0x`, into slot `slot`.
 *
 * @returns the position after the number, or -1 when there is none or it is wider.
 */
export function readHex(bytes: Uint8Array, from: number, end: number, into: Halves, slot: number): number {
  const digits = hexValue;
  let at = from;
  if (at + 1 < end && bytes[at] === Byte.zero && (bytes[at + 1]! | 0x20) === 0x78) at += 2;
  const start = at;
  let lo = 0;
  const middle = Math.min(end, at + 8);
  while (at < middle) {
    const digit = digits[bytes[at]!]!;
    if (digit === 255) break;
    lo = (lo << 4) | digit;
    at++;
  }
  if (at === start) return -1;
  let hi = 0;
  if (at === middle) {
    // Beyond eight digits the upper half fills from below.
    while (at < end) {
      const digit = digits[bytes[at]!]!;
      if (digit === 255) break;
      if (hi >>> 28 !== 0) return -1;
      hi = (hi << 4) | (lo >>> 28);
      lo = (lo << 4) | digit;
      at++;
    }
  }
  into.hi[slot] = hi;
  into.lo[slot] = lo;
  return at;
}

/**
 * Reads a number as trace text writes it: `0x` hexadecimal, `00000000` (C's zero), decimal, negative decimal
 * (stored as two's complement), `(1)` and `'a'(97)` of the option `fields`.
 *
 * @returns the position after the number, or -1 when there is none or it does not fit 64 bits.
 */
export function readNumber(bytes: Uint8Array, from: number, end: number, into: Halves, slot: number): number {
  let at = from;
  let negative = false;
  let first = at < end ? bytes[at]! - Byte.zero : -1;
  if (first < 0 || first > 9) {
    if (at < end && bytes[at] === Byte.quote) at += 3;
    if (at < end && bytes[at] === Byte.openRound) at++;
    negative = at < end && bytes[at] === Byte.minus;
    if (negative) at++;
    first = at < end ? bytes[at]! - Byte.zero : -1;
  }
  if (first === 0 && at + 1 < end && (bytes[at + 1]! | 0x20) === 0x78) {
    return negative ? -1 : readHex(bytes, at, end, into, slot);
  }
  const start = at;
  // Nine digits fit 32 bits, and few numbers of a trace have more.
  let small = 0;
  const few = Math.min(end, at + 9);
  while (at < few) {
    const digit = bytes[at]! - Byte.zero;
    if (digit < 0 || digit > 9) break;
    small = small * 10 + digit;
    at++;
  }
  if (at === start) return -1;
  let hi = 0;
  let lo = small;
  if (at === few && at < end) {
    // Up to fifteen digits a double is exact; beyond, the halves are carried by hand.
    let value = small;
    const many = Math.min(end, start + 15);
    while (at < many) {
      const digit = bytes[at]! - Byte.zero;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      at++;
    }
    hi = Math.floor(value / 0x100000000);
    lo = value - hi * 0x100000000;
    while (at < end) {
      const digit = bytes[at]! - Byte.zero;
      if (digit < 0 || digit > 9) break;
      const low = lo * 10 + digit;
      const carry = Math.floor(low / 0x100000000);
      hi = hi * 10 + carry;
      if (hi > 0xffffffff) return -1;
      lo = low - carry * 0x100000000;
      at++;
    }
  }
  if (negative) {
    lo = -lo >>> 0;
    hi = (~hi + (lo === 0 ? 1 : 0)) >>> 0;
  }
  into.hi[slot] = hi;
  into.lo[slot] = lo;
  return at;
}
