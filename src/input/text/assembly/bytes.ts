/** Scanning of bytes. A line's end stops every scan for digits, blanks or letters by itself. */
import { longestText, masks } from './memory';

/** Bytes in a vector. */
export const wide: i32 = 16;

/** Position of the first newline in [from, to), or -1. */
export function lineEnd(from: i32, to: i32): i32 {
  const newline = i8x16.splat(0x0a);
  for (let at = from; at < to; at += 2 * wide) {
    const first = i8x16.eq(v128.load(at), newline);
    const second = i8x16.eq(v128.load(at + wide), newline);
    if (v128.any_true(v128.or(first, second))) {
      const position = at + ctz(i8x16.bitmask(first) | (i8x16.bitmask(second) << wide));
      return position < to ? position : -1;
    }
  }
  return -1;
}

/** Position of the first byte from `from` on that is no blank. */
export function skipBlanks(from: i32): i32 {
  if (load<u8>(from) !== 0x20) return from;
  let at = from + 1;
  let count: i32;
  do {
    count = ctz(~i8x16.bitmask(i8x16.eq(v128.load(at), i8x16.splat(0x20))));
    at += count;
  } while (count === wide);
  return at;
}

/** Functions that are written out where they are called, at which AssemblyScript's mark is allowed in methods only. */
export class Bytes {
  /** Whether the first `length` bytes at `from` are those of a text, of at most `longestText` bytes. */
  @inline
  static isText(from: i32, text: i32, length: i32): bool {
    // Always two vectors: few texts are longer, and what takes the same way for all lines is quick.
    const mask = masks + longestText - length;
    let differences = v128.or(
      Bytes.differences(from, text, mask),
      Bytes.differences(from + wide, text + wide, mask + wide),
    );
    if (length > 2 * wide) {
      differences = v128.or(differences, Bytes.differences(from + 2 * wide, text + 2 * wide, mask + 2 * wide));
      differences = v128.or(differences, Bytes.differences(from + 3 * wide, text + 3 * wide, mask + 3 * wide));
    }
    return !v128.any_true(differences);
  }

  /** Bits that differ in a vector, of the bytes that the mask chooses. */
  @inline
  static differences(a: i32, b: i32, mask: i32): v128 {
    return v128.and(v128.xor(v128.load(a), v128.load(b)), v128.load(mask));
  }
}
