import type { Record } from '../record.js';
import { Byte, ByteClass, byteClass } from './bytes.js';
import { readHex, readNumber } from './numbers.js';
import type { SymbolReader } from './symbols.js';

/** How the value of a field is read. */
export enum ValueKind {
  number,
  pointer,
  symbol,
}

/** A value that the complete reader found behind a label. */
export interface FoundValue {
  /** Index of the label, and of its field. */
  readonly label: number;
  readonly field: number;
  /** Where the label begins and ends. */
  readonly start: number;
  readonly end: number;
  /** The position after the value. */
  readonly after: number;
}

/**
 * The fast path of `LabelReader`: where the labels of an event stand, learnt from a line of it.
 *
 *     VCPU: 3, IRQ 27, level 0
 *     ^^^^^  ^^^^^^^  ^^^^^^^^    fixed, compared as they stand; a value is read behind each
 *
 * `LabelReader` walks over the arguments and looks for labels; what it does at a place follows from the bytes there
 * and from the labels it has found before. So if the bytes from the end of one value to the end of the next label are
 * those of the learnt line, it does there what it did in the learnt line: it finds this label and no other. That holds
 * provided that
 *
 * - both read a value with the same function, from the same place (`after` is then the same), and the last byte of a
 *   value before another label is none after which a label may begin: the walk goes on from that byte;
 * - no other label of the event stands before this one in the fixed bytes, or begins there and reaches beyond them,
 *   into bytes that are not compared (`makePlan` refuses such a plan);
 * - behind the last value either nothing is left that `LabelReader` would look for, or the line ends.
 *
 * Whatever else a line holds, `read` gives false and the complete reader decides.
 */
export class Plan {
  private readonly fields: Uint8Array;
  /** By step, see `ValueKind`. */
  private readonly kinds: Uint8Array;
  private readonly symbols: readonly (SymbolReader | undefined)[];
  private readonly lengths: Int32Array;
  /** The fixed bytes of all steps as words, each step's last one cut to its length by `masks`. */
  private readonly words: Int32Array;
  private readonly masks: Int32Array;
  private readonly present: number;
  /** Whether the line must end behind the last value. */
  private readonly isToEnd: boolean;

  constructor(
    literals: readonly Uint8Array[],
    fields: Uint8Array,
    kinds: Uint8Array,
    symbols: readonly (SymbolReader | undefined)[],
    isToEnd: boolean,
  ) {
    this.fields = fields;
    this.kinds = kinds;
    this.symbols = symbols;
    this.lengths = Int32Array.from(literals, ({ length }) => length);
    const words = literals.flatMap(maskedWords);
    this.words = Int32Array.from(words, ({ word }) => word);
    this.masks = Int32Array.from(words, ({ mask }) => mask);
    this.present = fields.reduce((mask, field) => mask | (1 << field), 0);
    this.isToEnd = isToEnd;
  }

  /** Fills the record's fields. @returns false where the line is another one; the record's fields then mean nothing. */
  read(bytes: Uint8Array, view: DataView, from: number, end: number, record: Record): boolean {
    const { fields, kinds, lengths, words, masks } = this;
    const { hi, lo } = record;
    const lastWord = bytes.length - 4;
    const steps = fields.length;
    let word = 0;
    let at = from;
    for (let step = 0; step < steps; step++) {
      const literalEnd = at + lengths[step]!;
      if (literalEnd > end) return false;
      for (; at < literalEnd; at += 4) {
        // A word may reach beyond the line, which the mask makes good, but not beyond the chunk.
        if (at > lastWord || (view.getInt32(at, true) & masks[word]!) !== words[word]!) return false;
        word++;
      }
      at = literalEnd;
      while (at < end && bytes[at] === Byte.blank) at++;
      const field = fields[step]!;
      const kind = kinds[step]!;
      if (kind === ValueKind.number) {
        // What most numbers are, up to nine decimal digits, is read here; `readNumber` knows all the others.
        const start = at;
        let value = 0;
        while (at < end) {
          const digit = bytes[at]! - Byte.zero;
          if (digit < 0 || digit > 9 || at - start === 9) break;
          value = value * 10 + digit;
          at++;
        }
        if (at === start || at - start === 9 || (value === 0 && at < end && bytes[at]! > Byte.nine)) {
          at = readNumber(bytes, start, end, record, field);
          if (at < 0) return false;
        } else {
          hi[field] = 0;
          lo[field] = value;
        }
      } else if (kind === ValueKind.pointer) {
        at = readHex(bytes, at, end, record, field);
        if (at < 0) return false;
      } else {
        at = this.symbols[step]!.read(bytes, at, end, record, field);
        if (at < 0) return false;
        if (step + 1 < steps && (byteClass[bytes[at - 1]!]! & ByteClass.beforeLabel) !== 0) return false;
      }
    }
    if (this.isToEnd && at !== end) return false;
    record.present = this.present;
    return true;
  }
}

/** A text as words, the last one with a mask for the bytes that belong to the text. */
function maskedWords(text: Uint8Array): { word: number; mask: number }[] {
  const padded = new Uint8Array((text.length + 3) & ~3);
  padded.set(text);
  const view = new DataView(padded.buffer);
  return Array.from({ length: padded.length / 4 }, (_, index) => {
    const rest = Math.min(4, text.length - index * 4);
    return { word: view.getInt32(index * 4, true), mask: rest === 4 ? -1 : (1 << (rest * 8)) - 1 };
  });
}

/**
 * Makes a plan of the values that the complete reader found in the line whose arguments are [args, end).
 *
 * @param labels  the texts of all labels, in the order in which they are tried at a place
 * @param isAll   whether the reader had then found all it looks for
 * @returns undefined where there is no such plan.
 */
export function makePlan(
  bytes: Uint8Array,
  args: number,
  end: number,
  labels: readonly Uint8Array[],
  found: readonly FoundValue[],
  isAll: boolean,
  kinds: Uint8Array,
  symbols: readonly (SymbolReader | undefined)[],
): Plan | undefined {
  const literals: Uint8Array[] = [];
  let from = args;
  for (const value of found) {
    for (let at = from; at <= value.start; at++) {
      // At its own place the label that was found is tried before those behind it in the list.
      const rivals = at === value.start ? labels.slice(0, value.label) : labels;
      if (rivals.some((label) => begins(label, bytes, at, value.end))) return undefined;
    }
    literals.push(bytes.subarray(from, value.end));
    from = value.after;
  }
  if (found.length === 0 || (!isAll && from !== end)) return undefined;
  return new Plan(
    literals,
    Uint8Array.from(found, ({ field }) => field),
    Uint8Array.from(found, ({ field }) => kinds[field]!),
    found.map(({ field }) => symbols[field]),
    !isAll,
  );
}

/** Whether `label` agrees with the bytes [from, to), as far as both go. */
function begins(label: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  const length = Math.min(label.length, to - from);
  for (let i = 0; i < length; i++) if (label[i] !== bytes[from + i]) return false;
  return true;
}
