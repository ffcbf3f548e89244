/** Numbers as trace text writes them. */
import { wide } from './bytes';
import { high, low } from './memory';

/** Sets the value of a field. */
export function put(field: i32, value: u64): void {
  store<u32>(high + (field << 2), <u32>(value >> 32));
  store<u32>(low + (field << 2), <u32>value);
}

/** Number of decimal digits at `from`, 8 at most. */
function fewDigits(from: i32): i32 {
  const values = load<u64>(from) ^ 0x3030303030303030;
  // A byte above 9 gets its highest bit; what that carries goes into later ones.
  const others = ((values + 0x7676767676767676) | values) & 0x8080808080808080;
  return <i32>(ctz(others) >> 3);
}

/** The bytes of 1 to 8 digits at `from` in a word: the first in the lowest byte, as many zeros before it as are missing. */
function digitsAt(from: i32, count: i32): u64 {
  return load<u64>(from) << ((8 - count) << 3);
}

/** Value of 1 to 8 decimal digits: neighbours are joined, then pairs, then fours. */
function shortDecimal(from: i32, count: i32): u64 {
  let value = (digitsAt(from, count) & 0x0f0f0f0f0f0f0f0f) * 2561;
  value = ((value >> 8) & 0x00ff00ff00ff00ff) * 6553601;
  value = ((value >> 16) & 0x0000ffff0000ffff) * 42949672960001;
  return value >> 32;
}

/** See `Bytes`. */
export class Decimal {
  /** Number of decimal digits at `from`, 16 at most. */
  @inline
  static count(from: i32): i32 {
    const count = fewDigits(from);
    return count < 8 ? count : 8 + fewDigits(from + 8);
  }

  /** Value of 1 to 16 decimal digits. */
  @inline
  static value(from: i32, count: i32): u64 {
    if (count <= 8) return shortDecimal(from, count);
    return shortDecimal(from, count - 8) * 100000000 + shortDecimal(from + count - 8, 8);
  }
}

/** Number of hexadecimal digits at `from`, 16 at most. */
function countHexDigits(from: i32): i32 {
  const bytes = v128.load(from);
  const digits = i8x16.lt_u(i8x16.sub(bytes, i8x16.splat(0x30)), i8x16.splat(10));
  const letters = i8x16.lt_u(i8x16.sub(v128.or(bytes, i8x16.splat(0x20)), i8x16.splat(0x61)), i8x16.splat(6));
  return ctz(~i8x16.bitmask(v128.or(digits, letters)));
}

/** Value of 1 to 8 hexadecimal digits, joined like decimal ones. */
function shortHex(from: i32, count: i32): u64 {
  const digits = digitsAt(from, count);
  // A letter has the bit of 0x40, and its low ones count from 1.
  let value = (digits & 0x0f0f0f0f0f0f0f0f) + ((digits >> 6) & 0x0101010101010101) * 9;
  value = ((value << 4) | (value >> 8)) & 0x00ff00ff00ff00ff;
  value = ((value << 8) | (value >> 16)) & 0x0000ffff0000ffff;
  return ((value << 16) | (value >> 32)) & 0xffffffff;
}

/** Whether `0x` or `0X` is at this position. */
function isHexMark(at: i32): bool {
  return (load<u16>(at) | 0x2000) === 0x7830;
}

/** Reads a hexadecimal number into a field. Returns the position after it, or -1 where there is none that fits 64 bits. */
export function hex(from: i32, field: i32): i32 {
  const start = isHexMark(from) ? from + 2 : from;
  const count = countHexDigits(start);
  if (count === 0 || (count === wide && countHexDigits(start + wide) !== 0)) return -1;
  if (count <= 8) put(field, shortHex(start, count));
  else put(field, (shortHex(start, count - 8) << 32) | shortHex(start + count - 8, 8));
  return start + count;
}

/**
 * Reads a number into a field: decimal, negative decimal, `0x`. Returns the position after it, or -1 for the rarer forms.
 */
export function number(from: i32, field: i32): i32 {
  if (isHexMark(from)) return hex(from, field);
  // Most have one digit.
  if (fewDigits(from) === 1) {
    put(field, load<u8>(from) - 0x30);
    return from + 1;
  }
  const isNegative = load<u8>(from) === 0x2d;
  const start = from + i32(isNegative);
  const count = Decimal.count(start);
  // Sixteen digits may be more, and a negative hexadecimal number is none.
  if (count === 0 || count === wide || (isNegative && isHexMark(start))) return -1;
  const value = Decimal.value(start, count);
  put(field, isNegative ? -value : value);
  return start + count;
}
