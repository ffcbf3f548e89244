import { agrees, ByteClass } from './bytes.js';
import { Ending, Placement, type Scanner, type Step, ValueKind } from './scanner.js';
import type { SymbolReader } from './symbols.js';

/** A value that the complete reader found behind a label, or as the first word, before a text. */
export interface FoundValue {
  /** Index of the label, or the text behind the word. */
  readonly label: number | Uint8Array;
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
 *   into bytes that are not compared (`learn` refuses such a plan), nor begins with the word that stands before a text
 *   (`SymbolReader` remembers no such word);
 * - behind the last value either nothing is left that `LabelReader` would look for, or the line ends.
 *
 * Whatever else a line holds, `read` gives false and the complete reader decides.
 */
export class Plan {
  private readonly scanner: Scanner;
  private readonly labels: readonly Uint8Array[];
  private readonly kinds: readonly ValueKind[];
  private readonly symbols: readonly (SymbolReader | undefined)[];
  /** Number of the plan in the scanner; -1 where there is no room for it. */
  readonly index: number;
  /** Mask of the fields that are read. */
  present = 0;

  /**
   * @param labels  the texts of all labels, in the order in which they are tried at a place
   * @param kinds   by field, see `ValueKind`
   * @param symbols by field
   */
  constructor(
    scanner: Scanner,
    labels: readonly Uint8Array[],
    kinds: readonly ValueKind[],
    symbols: readonly (SymbolReader | undefined)[],
  ) {
    this.scanner = scanner;
    this.labels = labels;
    this.kinds = kinds;
    this.symbols = symbols;
    this.index = scanner.newPlan();
  }

  /** Fills the record's fields. @returns false where the line is another one; the record's fields then mean nothing. */
  read(from: number, end: number): boolean {
    return this.index >= 0 && this.scanner.plan(this.index, from, end) >= 0;
  }

  /**
   * Makes a plan of the values that the complete reader found in the line whose arguments are [args, end); none where
   * they allow none.
   *
   * @param isAll whether the reader had then found all it looks for
   */
  learn(bytes: Uint8Array, args: number, end: number, found: readonly FoundValue[], isAll: boolean): void {
    if (this.index < 0) return;
    this.scanner.forgetPlan(this.index);
    const steps: Step[] = [];
    let from = args;
    /** What must stand behind the first word. */
    let behind: Uint8Array = new Uint8Array(0);
    for (const { label, field, start, end: labelEnd, after } of found) {
      const step = {
        placement: Placement.here,
        kind: this.kinds[field]!,
        field,
        owner: this.symbols[field]?.owner ?? 0,
      };
      if (typeof label !== 'number') {
        behind = label;
        steps.push({ ...step, literal: new Uint8Array(0), blanks: false, ends: ByteClass.noWord });
      } else {
        for (let at = from; at <= start; at++) {
          // At its own place the label that was found is tried before those behind it in the list.
          const rivals = at === start ? this.labels.slice(0, label) : this.labels;
          if (rivals.some((rival) => agrees(rival, bytes, at, labelEnd))) return;
        }
        if (labelEnd - from < behind.length) return;
        behind = new Uint8Array(0);
        const ends = this.symbols[field]?.toEnd === true ? 0 : ByteClass.symbolEnd;
        steps.push({ ...step, literal: bytes.subarray(from, labelEnd), blanks: true, ends });
      }
      from = after;
    }
    if (!isAll && from !== end) return;
    if (behind.length > 0) steps.push(textOnly(behind));
    this.scanner.setPlan(this.index, steps, isAll ? Ending.anything : Ending.lineEnd);
    this.present = found.reduce((mask, { field }) => mask | (1 << field), 0);
  }
}

/** A step without a value. */
export function textOnly(literal: Uint8Array): Step {
  return { literal, placement: Placement.here, blanks: false, kind: ValueKind.none, field: 0, owner: 0, ends: 0 };
}
