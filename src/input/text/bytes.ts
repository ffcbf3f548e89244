/**
 * Scanning of bytes in place: the readers of text see hundreds of millions of bytes, so a number is never made
 * a string first. Every function gets the end of the line and reads nothing from there on.
 */

/** ASCII codes used by the readers. An enum, because a bundler writes its members as numbers. */
export enum Byte {
  tab = 9,
  newline = 10,
  carriageReturn = 13,
  blank = 32,
  quote = 39,
  openRound = 40,
  closeRound = 41,
  plus = 43,
  comma = 44,
  minus = 45,
  dot = 46,
  slash = 47,
  zero = 48,
  nine = 57,
  colon = 58,
  less = 60,
  equals = 61,
  greater = 62,
  hash = 35,
  openSquare = 91,
  closeSquare = 93,
  underscore = 95,
}

/** Marks in `byteClass`. */
export enum ByteClass {
  /** A field's label may begin after it: blank, tab, comma, opening bracket, and `>` of a plugin's junk. */
  beforeLabel = 1,
  /** Ends a symbol's text. */
  symbolEnd = 2,
  /** Letter, digit or underscore. */
  word = 4,
  /** Any other. */
  noWord = 8,
  /** Blank or tab. */
  blank = 16,
}

/** What a byte can be, see `ByteClass`. */
export const byteClass: Uint8Array = makeClasses();

/** Value of a hexadecimal digit, or 255. */
export const hexValue: Uint8Array = makeHexValues();

function makeClasses(): Uint8Array {
  const classes = new Uint8Array(256);
  for (const c of ' \t,([{<>') classes[c.charCodeAt(0)]! |= ByteClass.beforeLabel;
  for (const c of ' \t,:+/(') classes[c.charCodeAt(0)]! |= ByteClass.symbolEnd;
  for (const c of ' \t') classes[c.charCodeAt(0)]! |= ByteClass.blank;
  for (let c = 0; c < 256; c++) classes[c]! |= /\w/.test(String.fromCharCode(c)) ? ByteClass.word : ByteClass.noWord;
  return classes;
}

function makeHexValues(): Uint8Array {
  const values = new Uint8Array(256).fill(255);
  for (let digit = 0; digit < 16; digit++) {
    values[digit.toString(16).charCodeAt(0)] = digit;
    values[digit.toString(16).toUpperCase().charCodeAt(0)] = digit;
  }
  return values;
}

/** First position in [from, end) that holds neither a blank nor a tab, or `end`. */
export function skipBlanks(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && (bytes[at] === Byte.blank || bytes[at] === Byte.tab)) at++;
  return at;
}

/** First position in [from, end) that holds a blank or a tab, or `end`. */
export function skipWord(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && bytes[at] !== Byte.blank && bytes[at] !== Byte.tab) at++;
  return at;
}

/** First position in [from, end) that holds no decimal digit, or `end`. */
export function skipDigits(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && bytes[at]! >= Byte.zero && bytes[at]! <= Byte.nine) at++;
  return at;
}

/** Whether `text` stands at `at`, all of it before `end`. */
export function matches(bytes: Uint8Array, at: number, end: number, text: Uint8Array): boolean {
  const length = text.length;
  if (at + length > end) return false;
  for (let i = 0; i < length; i++) if (bytes[at + i] !== text[i]) return false;
  return true;
}

/** Whether `text` agrees with the bytes [from, to), as far as both go. */
export function agrees(text: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  const length = Math.min(text.length, to - from);
  for (let i = 0; i < length; i++) if (text[i] !== bytes[from + i]) return false;
  return true;
}

/** Position of `text` in [from, end), or -1. */
export function find(bytes: Uint8Array, from: number, end: number, text: Uint8Array): number {
  const first = text[0];
  const last = end - text.length;
  for (let at = from; at <= last; at++) if (bytes[at] === first && matches(bytes, at, end, text)) return at;
  return -1;
}

/** Decimal digits of [from, to) as a number, exact up to 15 digits. */
export function decimal(bytes: Uint8Array, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at++) value = value * 10 + (bytes[at]! - Byte.zero);
  return value;
}

/** The bytes of an ASCII text, to compare with. */
export function ascii(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

/** At most `limit` bytes of [from, to) as text, for messages and for the rare lines that are no events. */
export function textOf(bytes: Uint8Array, from: number, to: number, limit = 400): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(
    'utf8',
    from,
    Math.min(to, from + limit),
  );
}
