import { otherSymbol } from '../catalogue.js';
import { agrees, Byte, ByteClass, byteClass, hexValue } from './bytes.js';
import { NameTable } from './names.js';
import { type Halves, readHex, readNumber } from './numbers.js';
import type { Scanner } from './scanner.js';

/** Marks a symbol that was read as a plain number. */
const isNumber = -2;

/** Digits of a kernel address as `%lx` prints it. */
const addressDigits = 16;

/** Reads the values of one `symbol` field. */
export class SymbolReader {
  /** Whose the texts are in the scanner's memory. */
  readonly owner: number;
  /** The value extends to the end of the line, blanks included. */
  readonly toEnd: boolean;
  private readonly scanner: Scanner;
  private readonly rivals: readonly Uint8Array[];
  private readonly table: NameTable;

  /**
   * @param scanner in whose memory the lines lie
   * @param symbols text to number
   * @param toEnd   the value extends to the end of the line, blanks included
   * @param rivals  labels that may begin where a symbol begins
   */
  constructor(
    scanner: Scanner,
    symbols: Readonly<Record<string, number>>,
    toEnd: boolean,
    rivals: readonly Uint8Array[],
  ) {
    this.scanner = scanner;
    this.rivals = rivals;
    this.owner = scanner.newOwner();
    const known = new Map(Object.entries(symbols));
    this.table = new NameTable((name) => known.get(name) ?? (isPlainNumber(name) ? isNumber : otherSymbol));
    this.toEnd = toEnd;
  }

  /**
   * Reads the symbol that begins at `from` into slot `slot`.
   *
   * @returns the position after it, or -1 when nothing stands there.
   */
  read(bytes: Uint8Array, from: number, end: number, into: Halves, slot: number): number {
    let to = from;
    let hash = 0;
    if (this.toEnd) {
      to = end;
      while (to > from && bytes[to - 1]! <= Byte.blank) to--;
      hash = NameTable.hash(bytes, from, to);
    } else {
      while (to < end && (byteClass[bytes[to]!]! & ByteClass.symbolEnd) === 0) {
        hash = (Math.imul(hash, 31) + bytes[to]!) | 0;
        to++;
      }
    }
    if (to === from) return -1;
    return this.store(bytes, from, to, hash, into, slot);
  }

  /** Reads exactly [from, to) as a symbol; see `read`. */
  readExactly(bytes: Uint8Array, from: number, to: number, into: Halves, slot: number): number {
    if (to === from) return -1;
    return this.store(bytes, from, to, NameTable.hash(bytes, from, to), into, slot);
  }

  private store(bytes: Uint8Array, from: number, to: number, hash: number, into: Halves, slot: number): number {
    const entry = this.table.entry(bytes, from, to, hash);
    const value = this.table.values[entry]!;
    if (value === isNumber) {
      const isAddress = to - from === addressDigits && hexValue[bytes[from + 1]!] !== 255;
      return isAddress ? readHex(bytes, from, to, into, slot) : readNumber(bytes, from, to, into, slot);
    }
    if (this.table.isOneName(entry)) this.keep(bytes, from, to, value);
    into.hi[slot] = 0;
    into.lo[slot] = value;
    return to;
  }

  /** Remembers a symbol for the plans, unless a label may begin with it. */
  private keep(bytes: Uint8Array, from: number, to: number, value: number): void {
    const { scanner, owner } = this;
    const length = to - from;
    if (length > scanner.longestText) return;
    // What follows a word is no part of one.
    const isRival = (label: Uint8Array) =>
      agrees(label, bytes, from, to) &&
      (label.length <= length || (byteClass[label[length]!]! & ByteClass.noWord) !== 0);
    if (!this.rivals.some(isRival)) scanner.keep(owner, from, length, value);
  }
}

function isPlainNumber(name: string): boolean {
  return /^(-?\d{1,15}|0[xX][0-9a-fA-F]{1,16}|[0-9a-f]{16})$/.test(name);
}
