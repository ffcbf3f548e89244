/** A line whose columns and name are known from earlier ones. */
import { skipBlanks, wide } from './bytes';
import {
  argsResult,
  clock,
  columnsHead,
  columnsOwner,
  counts,
  headSize,
  heads,
  lastTimes,
  longestText,
  mostNames,
  nameHead,
  namesOwner,
  passed,
  seconds,
  startHead,
  times,
  treatments,
  values,
} from './memory';
import { Decimal } from './numbers';
import { planned } from './plan';
import { Texts } from './texts';

// What becomes of a line.
export const unknown: i32 = 0;
export const isRecord: i32 = 1;
export const isPassedOver: i32 = 2;

/** What becomes of the lines of a name: 0 when JavaScript has to see them, this, or the plan number `treatment - 1`. */
const passOver: i32 = -1;

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

/** See `Bytes`. */
export class Line {
  /** The event's name at `from`, a word and a blank. Returns the word's place, or -1; the result `args` is what follows. */
  @inline
  static name(from: i32): i32 {
    const blank = i8x16.splat(0x20);
    for (let at = from; at < from + longestText; at += 2 * wide) {
      const first = i8x16.bitmask(i8x16.le_u(v128.load(at), blank));
      const second = i8x16.bitmask(i8x16.le_u(v128.load(at + wide), blank));
      const found = first | (second << wide);
      if (found === 0) continue;
      const to = at + ctz(found);
      const args = skipBlanks(to);
      if (args === to || load<u8>(args) === 0x09) return -1;
      store<i32>(argsResult, args);
      return Texts.place(namesOwner, from, to - from);
    }
    return -1;
  }

  /** The fraction of a second at `from`, a colon, blanks. Returns the position of the event's name, or -1. */
  @inline
  static fraction(from: i32): i32 {
    const digits = Decimal.count(from);
    if (digits === 0 || digits > 9 || load<u16>(from + digits) !== 0x203a) return -1;
    let value = <u32>Decimal.value(from, digits);
    // Most clocks write microseconds.
    if (digits === 6) value *= 1000;
    else for (let missing = digits; missing < 9; missing++) value *= 10;
    const at = skipBlanks(from + digits + 2);
    // A tab is a blank too, and `(+123)` no name.
    if (load<u8>(at) === 0x28 || load<u8>(at) === 0x09) return -1;
    nanoseconds = value;
    return at;
  }

  /** `Clock.relative` above. */
  @inline
  static relative(seconds: f64, nanoseconds: f64): f64 {
    return (seconds - load<f64>(clock)) * 1e9 + (nanoseconds - load<f64>(clock + 8)) + load<f64>(clock + 16);
  }

  /** Takes the line in [start, end), if it is a known one; as this record, unless it is to be passed over. See `next`. */
  @inline
  static read(start: i32, end: i32, longestStep: f64, record: i32): i32 {
    const dash = start + dashColumn;
    const dot = dash + columnsLength;
    if (dot >= end) return unknown;
    const columns = Texts.place(columnsOwner, dash, columnsLength);
    if (columns < 0) return unknown;
    const from = Line.fraction(dot);
    if (from < 0) return unknown;
    const word = Line.name(from);
    if (word < 0) return unknown;
    const event = load<i32>(values + (word << 2));
    if (event >= mostNames) return unknown;
    const treatment = load<i32>(treatments + (event << 2));
    if (treatment === 0) return unknown;
    // `(` and `_` may begin what a probe prints.
    const args = load<i32>(argsResult);
    if (load<u8>(args) === 0x28 || load<u8>(args) === 0x5f) return unknown;

    const cpu = load<i32>(values + (columns << 2));
    const now = Line.relative(load<f64>(seconds + (columns << 3)), <f64>nanoseconds);
    const step = now - load<f64>(lastTimes + (cpu << 3));
    if (!(step >= 0 && step <= longestStep)) return unknown;
    if (treatment !== passOver && planned(treatment - 1, args, end, record) < 0) return unknown;

    store<f64>(lastTimes + (cpu << 3), now);
    store<f64>(counts + (cpu << 3), load<f64>(counts + (cpu << 3)) + 1);
    store<f64>(clock + 24, max(load<f64>(clock + 24), now));
    if (treatment === passOver) {
      store<f64>(passed + (event << 3), load<f64>(passed + (event << 3)) + 1);
      return isPassedOver;
    }
    const head = heads + record * headSize;
    store<i32>(head + columnsHead, columns);
    store<i32>(head + nameHead, event);
    store<i32>(head + startHead, start);
    store<f64>(times + (record << 3), now);
    return isRecord;
  }
}
