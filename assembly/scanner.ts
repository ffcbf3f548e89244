/**
 * The inner loops of the text readers, compiled to WebAssembly by AssemblyScript: finding the end of a line, and
 * recognising what earlier lines have taught. Nothing here knows what a line means. A text that was seen before is found
 * again by its bytes, and the JavaScript that read it then has kept what it says; whatever is new, longer or otherwise
 * unlike what was learnt is refused, and the complete readers in JavaScript decide.
 *
 * Positions are addresses in the memory that the readers share with this module: a line lies in [from, end), and at `end`
 * stands its newline or a carriage return, so that a scan for digits, blanks or letters stops there by itself. Wide loads
 * may reach beyond the line, but never beyond the memory, whose last parts are the tables.
 */

const wide: i32 = 16;

// Where things are; `src/input/text/scanner.ts` learns the addresses from the exports.

/** Text lies in [0, window). */
export const window: i32 = 0x140000;

/** Texts that were seen before: sets of `ways` places, each a key of at most `longestKey` bytes, its tag and its value. */
const ways: i32 = 2;
export const places: i32 = 2048;
const placeMask: i32 = places - 1;
export const longestKey: i32 = 64;
const keys: i32 = window + 0x100;
const tags: i32 = keys + places * longestKey;
/** By place: what the text means, a number of the caller's. */
export const values: i32 = tags + places * 4;

/** Plans: `mostSteps` steps each of a fixed text, where a value is stored and how it is read. */
export const mostSteps: i32 = 8;
export const longestLiteral: i32 = 64;
export const stepSize: i32 = 16 + longestLiteral;
export const mostPlans: i32 = 128;
export const plans: i32 = values + places * 4;

/** The values that `plan` has read, by field: halves of 64 bits. */
export const high: i32 = plans + mostPlans * mostSteps * stepSize;
export const low: i32 = high + 64;

/** 1 where a byte ends a symbol. */
export const symbolEnds: i32 = low + 64;

/** What `prefix` and `name` found beside what they return: nanoseconds, and where to go on. */
export const results: i32 = symbolEnds + 256;
const nanoseconds: i32 = results;
const next: i32 = results + 4;

// Whose a text is: the same bytes mean one thing in the columns and another in a field. Symbols have the numbers behind.
export const columnsOwner: i32 = 1;
export const namesOwner: i32 = 2;

/** Position of the first newline in [from, to), or -1. */
export function lineEnd(from: i32, to: i32): i32 {
  const newline = i8x16.splat(0x0a);
  for (let at = from; at < to; at += wide) {
    const found = i8x16.bitmask(i8x16.eq(v128.load(at), newline));
    if (found !== 0) {
      const position = at + ctz(found);
      return position < to ? position : -1;
    }
  }
  return -1;
}

/** The bytes of [from, from + length) that a word at the text's end holds, as the word's low ones. */
function lastWord(from: i32, length: i32): u64 {
  const beyond = (8 - (length & 7)) & 7;
  return load<u64>(from + ((length - 1) & ~7)) << (beyond << 3);
}

function placeOf(from: i32, length: i32, owner: i32): i32 {
  let hash: u64 = lastWord(from, length) ^ owner;
  const last = (length - 1) & ~7;
  for (let i = 0; i < last; i += 8) hash = (hash * 0x9e3779b97f4a7c15) ^ (hash >> 32) ^ load<u64>(from + i);
  hash *= 0x9e3779b97f4a7c15;
  return <i32>(hash >> 48) & placeMask & ~(ways - 1);
}

function holds(place: i32, from: i32, length: i32, tag: i32): bool {
  if (load<i32>(tags + (place << 2)) !== tag) return false;
  const key = keys + place * longestKey;
  const last = (length - 1) & ~7;
  for (let i = 0; i < last; i += 8) if (load<u64>(from + i) !== load<u64>(key + i)) return false;
  return lastWord(from, length) === lastWord(key, length);
}

/** The place of the text [from, from + length) of this owner, or -1 when it was not kept. */
export function recall(owner: i32, from: i32, length: i32): i32 {
  if (length <= 0 || length > longestKey) return -1;
  const place = placeOf(from, length, owner);
  const tag = (owner << 8) | length;
  if (holds(place, from, length, tag)) return place;
  return holds(place + 1, from, length, tag) ? place + 1 : -1;
}

/** Keeps the text [from, from + length), 1 to `longestKey` bytes. Returns its place; what was there is forgotten. */
export function keep(owner: i32, from: i32, length: i32, value: i32): i32 {
  let place = placeOf(from, length, owner);
  if (load<i32>(tags + (place << 2)) !== 0) {
    if (load<i32>(tags + ((place + 1) << 2)) === 0) place++;
    else place += turn ^= 1;
  }
  store<i32>(tags + (place << 2), (owner << 8) | length);
  store<i32>(values + (place << 2), value);
  memory.copy(keys + place * longestKey, from, length);
  return place;
}

let turn: i32 = 0;

function isDigit(c: u32): bool {
  return c - 0x30 < 10;
}

function skipBlanks(from: i32): i32 {
  let at = from;
  while (load<u8>(at) === 0x20) at++;
  return at;
}

/**
 * The columns at the `-` before a pid: `length` bytes that were seen before, a fraction of a second, a colon.
 * Returns the place of the columns, or -1. `next` is then where the event's name begins.
 */
export function prefix(from: i32, length: i32, end: i32): i32 {
  const fraction = from + length;
  if (fraction >= end) return -1;
  const place = recall(columnsOwner, from, length);
  if (place < 0) return -1;
  let at = fraction;
  let value: u32 = 0;
  for (let c = load<u8>(at); isDigit(c); c = load<u8>(++at)) value = value * 10 + (c - 0x30);
  const digits = at - fraction;
  if (digits === 0 || digits > 9 || load<u8>(at) !== 0x3a || load<u8>(at + 1) !== 0x20) return -1;
  for (let missing = digits; missing < 9; missing++) value *= 10;
  at = skipBlanks(at + 2);
  if (load<u8>(at) === 0x28 || load<u8>(at) === 0x09) return -1;
  store<u32>(nanoseconds, value);
  store<i32>(next, at);
  return place;
}

/**
 * The event's name at `from`: a word and a blank. Returns the place of the word, or -1; `next` is where the arguments
 * begin.
 */
export function name(from: i32): i32 {
  const blank = i8x16.splat(0x20);
  for (let at = from; at < from + longestKey; at += wide) {
    const found = i8x16.bitmask(i8x16.le_u(v128.load(at), blank));
    if (found === 0) continue;
    const to = at + ctz(found);
    const args = skipBlanks(to);
    if (args === to || load<u8>(args) === 0x09) return -1;
    store<i32>(next, args);
    return recall(namesOwner, from, to - from);
  }
  return -1;
}

// How a value is read: the members of `ValueKind` in `src/input/text/plan.ts`.
const pointerKind: i32 = 1;
const symbolKind: i32 = 2;
const symbolToEndKind: i32 = 3;

function hexDigit(c: u32): u32 {
  if (isDigit(c)) return c - 0x30;
  const letter = (c | 0x20) - 0x61;
  return letter < 6 ? letter + 10 : 255;
}

/** A hexadecimal number at `from`. Returns the position after it, or -1 where there is none of at most 16 digits. */
function hex(from: i32, field: i32): i32 {
  let value: u64 = 0;
  let at = from;
  for (let digit = hexDigit(load<u8>(at)); digit !== 255; digit = hexDigit(load<u8>(++at)))
    value = (value << 4) | digit;
  if (at === from || at - from > 16) return -1;
  put(field, value);
  return at;
}

function put(field: i32, value: u64): void {
  store<u32>(high + (field << 2), <u32>(value >> 32));
  store<u32>(low + (field << 2), <u32>value);
}

function isHexMark(at: i32): bool {
  return load<u8>(at) === 0x30 && (load<u8>(at + 1) | 0x20) === 0x78;
}

/** A number at `from`: decimal, negative decimal, `0x`. Returns the position after it, or -1 for the rarer forms. */
function number(from: i32, field: i32): i32 {
  if (isHexMark(from)) return hex(from + 2, field);
  const isNegative = load<u8>(from) === 0x2d;
  const start = from + i32(isNegative);
  let value: u64 = 0;
  let at = start;
  for (let c = load<u8>(at); isDigit(c); c = load<u8>(++at)) value = value * 10 + (c - 0x30);
  // A negative hexadecimal number is none.
  if (at === start || at - start > 18 || (isNegative && isHexMark(start))) return -1;
  put(field, isNegative ? -value : value);
  return at;
}

/** A symbol of this owner at `from`. Returns the position after it, or -1 where it was not kept. */
function symbol(owner: i32, from: i32, end: i32, isToEnd: bool, field: i32): i32 {
  let to = from;
  if (isToEnd) {
    to = end;
    while (to > from && load<u8>(to - 1) <= 0x20) to--;
  } else {
    while (to < end && load<u8>(symbolEnds + load<u8>(to)) === 0) to++;
  }
  const place = recall(owner, from, to - from);
  if (place < 0) return -1;
  put(field, load<u32>(values + (place << 2)));
  return to;
}

function isLiteral(at: i32, literal: i32, length: i32): bool {
  const last = (length - 1) & ~7;
  for (let i = 0; i < last; i += 8) if (load<u64>(at + i) !== load<u64>(literal + i)) return false;
  return lastWord(at, length) === lastWord(literal, length);
}

/**
 * Reads the arguments in [from, end) by plan `index` (see `Plan` in `src/input/text/plan.ts`) into `high` and `low`.
 * Returns the position after the last value, or -1 where the line is another one.
 */
export function plan(index: i32, from: i32, end: i32): i32 {
  let step = plans + index * mostSteps * stepSize;
  let at = from;
  for (let length = load<i32>(step); length !== 0; length = load<i32>(step)) {
    if (at + length > end || !isLiteral(at, step + 16, length)) return -1;
    at = skipBlanks(at + length);
    const field = load<i32>(step + 4);
    const kind = load<i32>(step + 8);
    if (kind >= symbolKind) at = symbol(load<i32>(step + 12), at, end, kind === symbolToEndKind, field);
    else if (kind === pointerKind) at = hex(isHexMark(at) ? at + 2 : at, field);
    else at = number(at, field);
    if (at < 0) return -1;
    step += stepSize;
  }
  return at;
}
