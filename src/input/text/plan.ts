import type { Record } from '../record.js';
import { Byte, ByteClass, byteClass } from './bytes.js';
import { readHex, readNumber } from './numbers.js';
import type { SymbolReader } from './symbols.js';
import { Literal } from './words.js';

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
 * - both read a value with the same function, from the same place (`after` is then the same), and a value's last byte
 *   is none after which a label may begin: the walk goes on from there;
 * - no other label of the event stands in the fixed bytes, or begins there and reaches beyond them, into bytes that
 *   are not compared (`makePlan` refuses such a plan);
 * - behind the last value either nothing is left that `LabelReader` would look for, or the line ends.
 *
 * Whatever else a line holds, `read` gives false and the complete reader decides.
 */
export class Plan {
  private readonly literals: readonly Literal[];
  private readonly fields: Uint8Array;
  private readonly kinds: Uint8Array;
  private readonly symbols: readonly (SymbolReader | undefined)[];
  private readonly present: number;
  /** Whether the line must end behind the last value. */
  private readonly isToEnd: boolean;

  constructor(
    literals: readonly Literal[],
    fields: Uint8Array,
    kinds: Uint8Array,
    symbols: readonly (SymbolReader | undefined)[],
    isToEnd: boolean,
  ) {
    this.literals = literals;
    this.fields = fields;
    this.kinds = kinds;
    this.symbols = symbols;
    this.present = fields.reduce((mask, field) => mask | (1 << field), 0);
    this.isToEnd = isToEnd;
  }

  /** Fills the record's fields. @returns false where the line is another one; the record's fields then mean nothing. */
  read(bytes: Uint8Array, view: DataView, from: number, end: number, record: Record): boolean {
    const { literals, fields, kinds } = this;
    let at = from;
    for (let step = 0; step < literals.length; step++) {
      const literal = literals[step]!;
      if (!literal.standsAt(view, at, end)) return false;
      at += literal.length;
      while (at < end && bytes[at] === Byte.blank) at++;
      const field = fields[step]!;
      const kind = kinds[step]!;
      if (kind === ValueKind.number) at = readNumber(bytes, at, end, record, field);
      else if (kind === ValueKind.pointer) at = readHex(bytes, at, end, record, field);
      else at = this.symbols[step]!.read(bytes, at, end, record, field);
      if (at < 0) return false;
      if (kind === ValueKind.symbol && (byteClass[bytes[at - 1]!]! & ByteClass.beforeLabel) !== 0) return false;
    }
    if (this.isToEnd && at !== end) return false;
    record.present = this.present;
    return true;
  }
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
  const literals: Literal[] = [];
  let from = args;
  for (const value of found) {
    for (let at = from; at < value.end; at++) {
      // At its own place the label that was found is tried before those behind it in the list.
      const rivals = at === value.start ? labels.slice(0, value.label) : labels;
      if (rivals.some((label) => begins(label, bytes, at, value.end))) return undefined;
    }
    literals.push(new Literal(bytes.subarray(from, value.end)));
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
