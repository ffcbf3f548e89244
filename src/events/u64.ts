/**
 * Unsigned 64-bit values as two unsigned 32-bit halves.
 *
 * A CVAL of `~0` is an everyday value and a JavaScript number holds only 53 bits of it, while a BigInt
 * costs an allocation per event. Every function takes halves as unsigned 32-bit integers (0..2^32-1).
 */

/** The kernel's spelling of a 64-bit value: `0x` and lower-case hexadecimal digits without leading zeros. */
export function formatU64(hi: number, lo: number): string {
  return hi === 0 ? `0x${lo.toString(16)}` : `0x${hi.toString(16)}${lo.toString(16).padStart(8, '0')}`;
}

/**
 * Halves of a decimal or hexadecimal (`0x`) literal in 0..2^64-1.
 *
 * @returns undefined when the text is no such literal.
 */
export function parseU64(text: string): { hi: number; lo: number } | undefined {
  if (!/^(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20})$/.test(text)) return undefined;
  const value = BigInt(text);
  if (value > 0xffffffffffffffffn) return undefined;
  return { hi: Number(value >> 32n), lo: Number(value & 0xffffffffn) };
}

/**
 * A key for maps of pointers: distinct for distinct pointers of one trace. A number (no allocation) for kernel
 * addresses, whose upper sixteen bits are ones, and for hashed pointers, whose upper half is zero.
 */
export function keyU64(hi: number, lo: number): number | string {
  if (hi >>> 16 === 0xffff) return (0x100000 + (hi & 0xffff)) * 0x100000000 + lo;
  return hi < 0x100000 ? hi * 0x100000000 + lo : formatU64(hi, lo);
}
