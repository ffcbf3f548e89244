/**
 * The inner loops of the text readers, compiled to WebAssembly by AssemblyScript: finding the end of a line, and
 * recognising what earlier lines have taught. Nothing here knows what a line means. A text that was seen before is found
 * again by its bytes, and the JavaScript that read it then has kept what it says; whatever is new, longer or otherwise
 * unlike what was learnt is refused, and the complete readers in JavaScript decide.
 *
 * Positions are addresses in the memory that the readers share with this module: a line lies in [from, end), and at `end`
 * stands its newline or a carriage return, so that a scan for digits, blanks or letters stops there by itself. Wide loads
 * may reach beyond the line, but never beyond the memory, whose last parts are the tables.
 *
 * `npm run generate` compiles it into `scanner-code.ts` in the folder above.
 */

// Where things are, and how many; `scanner.ts` there learns it from the exports.

/** Text lies in [0, window). */
export const window: i32 = 0x140000;

/** Texts that were seen before: pairs of places, each a key of at most `longestKey` bytes, its tag and its value. */
export const places: i32 = 2048;
export const longestKey: i32 = 64;
const keys: i32 = window + 0x100;
/** By place: length and owner of the text. */
const tags: i32 = keys + places * longestKey;
/** By place: what the text means, a number of the caller's. */
export const values: i32 = tags + places * 4;

// Whose a text is: the same bytes mean one thing in the columns and another in a field. Symbols have the numbers behind.
export const columnsOwner: i32 = 1;
export const namesOwner: i32 = 2;

/** Plans: at most `mostSteps` steps each, of a fixed text and of how the value behind it is read. */
export const mostPlans: i32 = 128;
export const mostSteps: i32 = 8;
export const longestLiteral: i32 = 64;
export const plans: i32 = values + places * 4;

// Parts of a step.
const literalPart: i32 = 0;
const lengthPart: i32 = longestLiteral;
const placementPart: i32 = lengthPart + 4;
const kindPart: i32 = lengthPart + 8;
const fieldPart: i32 = lengthPart + 12;
const ownerPart: i32 = lengthPart + 16;
const endsPart: i32 = lengthPart + 20;
const blanksPart: i32 = lengthPart + 24;
export const stepSize: i32 = lengthPart + 28;

// Where a step's fixed text stands: the members of `Placement` in `scanner.ts` there; 0 ends a plan.
const elsewhere: i32 = 2;

// How its value is read: the members of `ValueKind` there.
const numberKind: i32 = 1;
const pointerKind: i32 = 2;
const symbolKind: i32 = 3;

/** The values that `plan` has read, by field: halves of 64 bits. */
export const high: i32 = plans + mostPlans * mostSteps * stepSize;
export const low: i32 = high + 64;

/** By plan: 0 while it reads nothing, then what may follow its last value, a member of `Ending` in `scanner.ts` there. */
export const endings: i32 = low + 64;
const lineEnds: i32 = 2;

/** By byte: see `ByteClass` in `bytes.ts` there. */
export const classes: i32 = endings + mostPlans * 4;
const beforeLabelClass: i32 = 1;

/** By place of columns: the whole seconds of the time in them. Their value is the CPU. */
export const seconds: i32 = classes + 256;

/** By the value of a name: what is done with its lines, see `Treatment` in `scanner.ts` there; others go to JavaScript. */
export const mostNames: i32 = 1024;
export const treatments: i32 = seconds + places * 8;
/** By the value of a name: lines passed over. */
export const passed: i32 = treatments + mostNames * 4;

/** The clock: the time that counts as 0, its parts apart, what is added, the latest time so far; see `Clock` there. */
export const clock: i32 = passed + mostNames * 8;

/** By CPU: time of the last record, and number of records; see `CpuTimes` there. */
export const mostCpus: i32 = 65536;
export const lastTimes: i32 = clock + 32;
export const counts: i32 = lastTimes + mostCpus * 8;

/** What the functions find beside what they return: the members of `Result` there, and a time. */
export const results: i32 = counts + mostCpus * 8;
const nextResult: i32 = results;
const startResult: i32 = results + 4;
const endResult: i32 = results + 8;
const columnsResult: i32 = results + 12;
const nameResult: i32 = results + 16;
const linesResult: i32 = results + 20;
export const time: i32 = results + 24;

/** Bytes in a vector. */
const wide: i32 = 16;

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

/** The 16 bytes at `from`; zeros instead of those from `count` on. */
function masked(from: i32, count: i32): v128 {
  const numbers = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return v128.and(v128.load(from), i8x16.lt_s(numbers, i8x16.splat(<i8>count)));
}

/** Whether the `length` bytes at `from` are those of a text that zeros follow up to a multiple of 32. */
function isText(from: i32, text: i32, length: i32): bool {
  // Two vectors at a time: most texts need no third, and what takes always the same way is quick.
  for (let i = 0; i < length; i += 2 * wide) {
    const a = v128.xor(masked(from + i, length - i), v128.load(text + i));
    const b = v128.xor(masked(from + i + wide, length - i - wide), v128.load(text + i + wide));
    if (v128.any_true(v128.or(a, b))) return false;
  }
  return true;
}

/** The first 8 bytes of a text from `from` on, or its last ones where fewer are left; no text is shorter. */
function wordOf(from: i32, last: i32): u64 {
  return load<u64>(min(from, last));
}

/** A number of 64 bits that is another one for most other texts; of the longest not all bytes count. */
function hashOf(from: i32, length: i32): u64 {
  if (length < 8) return (load<u64>(from) << ((8 - length) << 3)) * mixer;
  const last = from + length - 8;
  return (
    load<u64>(from) * mixer +
    wordOf(from + 8, last) * (mixer + 0x1b873594) +
    wordOf(from + 16, last) * (mixer + 0x85ebca6c) +
    wordOf(from + 24, last) * (mixer + 0xc2b2ae36) +
    wordOf(from + 32, last) * (mixer + 0xe6546b64) +
    load<u64>(last) * (mixer + 0xcc9e2d52)
  );
}

/** Any large odd number. */
const mixer: u64 = ((<u64>0x2c1b3c6d) << 32) | 0x297a2d39;

/** The first of the two places of the text that `recall` was asked for last. */
let pair: i32 = 0;

/** The place of the text [from, from + length) of this owner, or -1 when it was not kept. */
export function recall(owner: i32, from: i32, length: i32): i32 {
  if (length <= 0 || length > longestKey) return -1;
  pair = <i32>(hashOf(from, length) >> 48) & (places - 2);
  const tag = (owner << 8) | length;
  for (let place = pair; place < pair + 2; place++) {
    if (load<i32>(tags + (place << 2)) === tag && isText(from, keys + place * longestKey, length)) return place;
  }
  return -1;
}

/** Which place of a pair was given away last. */
let turn: i32 = 0;

/**
 * Keeps the text [from, from + length), 1 to `longestKey` bytes, and what it means. Returns its place; another text that
 * was there is forgotten.
 */
export function keep(owner: i32, from: i32, length: i32, value: i32): i32 {
  let place = recall(owner, from, length);
  if (place < 0) {
    place = pair;
    // A free place of the two, or each in turn.
    if (load<i32>(tags + (pair << 2)) !== 0) {
      turn = load<i32>(tags + (pair << 2) + 4) === 0 ? 1 : turn ^ 1;
      place += turn;
    }
    store<i32>(tags + (place << 2), (owner << 8) | length);
    memory.fill(keys + place * longestKey, 0, longestKey);
    memory.copy(keys + place * longestKey, from, length);
  }
  store<i32>(values + (place << 2), value);
  return place;
}

/** Position of the first byte from `from` on that is no blank. */
function skipBlanks(from: i32): i32 {
  let at = from;
  let count: i32;
  do {
    count = ctz(~i8x16.bitmask(i8x16.eq(v128.load(at), i8x16.splat(0x20))));
    at += count;
  } while (count === wide);
  return at;
}

/** Number of decimal digits at `from`, 16 at most. */
function countDigits(from: i32): i32 {
  const digits = i8x16.lt_u(i8x16.sub(v128.load(from), i8x16.splat(0x30)), i8x16.splat(10));
  return ctz(~i8x16.bitmask(digits));
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

/** Value of 1 to 16 decimal digits. */
function decimal(from: i32, count: i32): u64 {
  if (count <= 8) return shortDecimal(from, count);
  return shortDecimal(from, count - 8) * 100000000 + shortDecimal(from + count - 8, 8);
}

/** Where the `-` before the pid stands in a line, and how many bytes of columns from there on are looked up; 0 for none. */
let dashColumn: i32 = 0;
let columnsLength: i32 = 0;

/** Sets where the columns are. */
export function setColumns(dash: i32, length: i32): void {
  dashColumn = dash;
  columnsLength = length;
}

/** Nanoseconds behind the dot at the end of the columns, as `fraction` has read them. */
let nanoseconds: u32 = 0;

/** The fraction of a second at `from`, a colon, blanks. Returns the position of the event's name, or -1. */
function fraction(from: i32): i32 {
  const digits = countDigits(from);
  if (digits === 0 || digits > 9 || load<u16>(from + digits) !== 0x203a) return -1;
  let value = <u32>decimal(from, digits);
  for (let missing = digits; missing < 9; missing++) value *= 10;
  const at = skipBlanks(from + digits + 2);
  // A tab is a blank too, and `(+123)` no name.
  if (load<u8>(at) === 0x28 || load<u8>(at) === 0x09) return -1;
  nanoseconds = value;
  return at;
}

/** The event's name at `from`, a word and a blank. Returns the word's place, or -1. */
export function name(from: i32): i32 {
  const blank = i8x16.splat(0x20);
  for (let at = from; at < from + longestKey; at += 2 * wide) {
    const first = i8x16.bitmask(i8x16.le_u(v128.load(at), blank));
    const second = i8x16.bitmask(i8x16.le_u(v128.load(at + wide), blank));
    const found = first | (second << wide);
    if (found === 0) continue;
    const to = at + ctz(found);
    const args = skipBlanks(to);
    if (args === to || load<u8>(args) === 0x09) return -1;
    store<i32>(nextResult, args);
    return recall(namesOwner, from, to - from);
  }
  return -1;
}

function put(field: i32, value: u64): void {
  store<u32>(high + (field << 2), <u32>(value >> 32));
  store<u32>(low + (field << 2), <u32>value);
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

/** A hexadecimal number at `from`. Returns the position after it, or -1 where there is none that fits 64 bits. */
function hex(from: i32, field: i32): i32 {
  const start = isHexMark(from) ? from + 2 : from;
  const count = countHexDigits(start);
  if (count === 0 || (count === wide && countHexDigits(start + wide) !== 0)) return -1;
  if (count <= 8) put(field, shortHex(start, count));
  else put(field, (shortHex(start, count - 8) << 32) | shortHex(start + count - 8, 8));
  return start + count;
}

/** Whether `0x` or `0X` is at this position. */
function isHexMark(at: i32): bool {
  return (load<u16>(at) | 0x2000) === 0x7830;
}

/** A number at `from`: decimal, negative decimal, `0x`. Returns the position after it, or -1 for the rarer forms. */
function number(from: i32, field: i32): i32 {
  if (isHexMark(from)) return hex(from, field);
  const isNegative = load<u8>(from) === 0x2d;
  const start = from + i32(isNegative);
  const count = countDigits(start);
  // Sixteen digits may be more, and a negative hexadecimal number is none.
  if (count === 0 || count === wide || (isNegative && isHexMark(start))) return -1;
  const value = decimal(start, count);
  put(field, isNegative ? -value : value);
  return start + count;
}

/**
 * A symbol of this owner at `from`, up to a byte of the classes `ends`; with none of them up to the end of the line.
 * Returns the position after it, or -1 where it was not kept.
 */
function symbol(owner: i32, from: i32, end: i32, ends: i32, field: i32): i32 {
  let to = from;
  if (ends === 0) {
    to = end;
    while (to > from && load<u8>(to - 1) <= 0x20) to--;
  } else {
    while (to < end && (load<u8>(classes + load<u8>(to)) & ends) === 0) to++;
  }
  const place = recall(owner, from, to - from);
  if (place < 0) return -1;
  put(field, load<u32>(values + (place << 2)));
  return to;
}

/** First position in [from, end) where the text stands, or `end`. */
function seek(from: i32, end: i32, text: i32, length: i32): i32 {
  const first = v128.load8_splat(text);
  for (let block = from; block < end; block += wide) {
    let found = i8x16.bitmask(i8x16.eq(v128.load(block), first));
    for (; found !== 0; found &= found - 1) {
      const at = block + ctz(found);
      if (isText(at, text, length)) return at;
    }
  }
  return end;
}

function isBeforeLabel(at: i32): bool {
  return (load<u8>(classes + load<u8>(at)) & beforeLabelClass) !== 0;
}

/**
 * Reads the arguments in [from, end) by plan `index` (see `Step` in `scanner.ts` there). Returns the position
 * after the last step, or -1 where the line is another one.
 */
export function plan(index: i32, from: i32, end: i32): i32 {
  const ending = load<i32>(endings + (index << 2));
  if (ending === 0) return -1;
  let step = plans + index * mostSteps * stepSize;
  let at = from;
  for (let placement = load<i32>(step + placementPart); placement !== 0; placement = load<i32>(step + placementPart)) {
    const length = load<i32>(step + lengthPart);
    const literal = step + literalPart;
    if (placement === elsewhere) at = seek(at, end, literal, length);
    else if (!isText(at, literal, length)) return -1;
    at += length;
    if (at > end) return -1;
    if (load<i32>(step + blanksPart) !== 0) at = skipBlanks(at);
    const kind = load<i32>(step + kindPart);
    const field = load<i32>(step + fieldPart);
    if (kind === numberKind) at = number(at, field);
    else if (kind === pointerKind) at = hex(at, field);
    else if (kind === symbolKind) at = symbol(load<i32>(step + ownerPart), at, end, load<i32>(step + endsPart), field);
    if (at < 0) return -1;
    step += stepSize;
    // Behind the last byte of a symbol a label may begin, unless nothing more is looked for.
    if (kind === symbolKind && load<i32>(step + placementPart) !== 0 && isBeforeLabel(at - 1)) return -1;
  }
  return ending === lineEnds && at !== end ? -1 : at;
}

// What becomes of a line: the members of `Line` in `scanner.ts` there.
const unknown: i32 = 0;
const isRecord: i32 = 1;
const isPassedOver: i32 = 2;

/** What becomes of the lines of a name: 0 when JavaScript has to see them, this, or the plan number `treatment - 1`. */
const passOver: i32 = -1;

/** One line: see `next`. */
function line(start: i32, end: i32, longestStep: f64): i32 {
  const dash = start + dashColumn;
  const dot = dash + columnsLength;
  if (dot >= end) return unknown;
  const columns = recall(columnsOwner, dash, columnsLength);
  if (columns < 0) return unknown;
  const from = fraction(dot);
  if (from < 0) return unknown;
  const word = name(from);
  if (word < 0) return unknown;
  const event = load<i32>(values + (word << 2));
  if (event >= mostNames) return unknown;
  const treatment = load<i32>(treatments + (event << 2));
  if (treatment === 0) return unknown;
  // `(` and `_` may begin what a probe prints.
  const args = load<i32>(nextResult);
  if (load<u8>(args) === 0x28 || load<u8>(args) === 0x5f) return unknown;

  const cpu = load<i32>(values + (columns << 2));
  const now = relative(load<f64>(seconds + (columns << 3)), <f64>nanoseconds);
  const step = now - load<f64>(lastTimes + (cpu << 3));
  if (!(step >= 0 && step <= longestStep)) return unknown;
  if (treatment !== passOver && plan(treatment - 1, args, end) < 0) return unknown;

  store<f64>(lastTimes + (cpu << 3), now);
  store<f64>(counts + (cpu << 3), load<f64>(counts + (cpu << 3)) + 1);
  store<f64>(clock + 24, max(load<f64>(clock + 24), now));
  if (treatment === passOver) {
    store<f64>(passed + (event << 3), load<f64>(passed + (event << 3)) + 1);
    return isPassedOver;
  }
  store<i32>(columnsResult, columns);
  store<i32>(nameResult, event);
  store<f64>(time, now);
  return isRecord;
}

/** `Clock.relative` there. */
function relative(seconds: f64, nanoseconds: f64): f64 {
  return (seconds - load<f64>(clock)) * 1e9 + (nanoseconds - load<f64>(clock + 8)) + load<f64>(clock + 16);
}

/**
 * Takes lines of [from, to), of which the first begins at `from`: those to be passed over, up to the first one that is
 * another. Returns what that is: `isRecord` when a plan has read it, `unknown` when it is for JavaScript to see, or when
 * its end is missing.
 *
 * @param longestStep nanoseconds from one record of a CPU to the next, beyond which JavaScript has to see the line
 */
export function next(from: i32, to: i32, longestStep: f64): i32 {
  let start = from;
  for (let lines = 0; ; lines++) {
    let end = lineEnd(start, to);
    let found = unknown;
    const newline = end;
    if (end >= 0) {
      while (end > start && load<u8>(end - 1) === 0x0d) end--;
      found = line(start, end, longestStep);
    }
    if (found === isPassedOver) {
      start = newline + 1;
      continue;
    }
    store<i32>(linesResult, lines);
    store<i32>(startResult, start);
    store<i32>(endResult, newline);
    return found;
  }
}
