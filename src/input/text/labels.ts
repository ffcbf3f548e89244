import type { EventSpec } from '../catalogue.js';
import type { Record } from '../record.js';
import { type ArgumentReader, expectedMask, requiredMask } from './arguments.js';
import { ascii, Byte, ByteClass, byteClass, find, matches } from './bytes.js';
import { readHex, readNumber } from './numbers.js';
import { type FoundValue, Plan } from './plan.js';
import { type Scanner, ValueKind } from './scanner.js';
import { SymbolReader } from './symbols.js';
import type { TextRecord } from './text-record.js';

/** Counts pointers that the kernel hid. */
export interface PointerTally {
  hashedPointers: number;
}

/** What the kernel prints for a pointer before it can hash: nothing that tells two of them apart. */
const unhashed = ascii('(____ptrval____)');

/** Rank of a field that has no value yet. */
const noRank = 127;

/**
 * Fields by their labels, in one walk over the arguments: at each place where a label can begin, the labels
 * with that first byte are compared. Most lines of an event have the same labels at the same places, and then a
 * `Plan` reads them without the walk.
 */
export class LabelReader implements ArgumentReader {
  readonly required: number;
  readonly expected: number;
  readonly plan: number;
  /** By field, see `ValueKind`. */
  private readonly kinds: readonly ValueKind[];
  private readonly symbols: readonly (SymbolReader | undefined)[];
  private readonly before: readonly (Uint8Array | undefined)[];
  private readonly hasBefore: boolean;
  /** Of each label, the best first: its text, its field, and its rank in the field's list, where a lower one wins. */
  private readonly labelText: readonly Uint8Array[];
  private readonly labelField: Uint8Array;
  private readonly labelRank: Uint8Array;
  /** By first byte: index + 1 of the first label that begins with it; `nextLabel` continues the chain. */
  private readonly firstLabel = new Uint8Array(256);
  private readonly nextLabel: Uint8Array;
  private readonly rank: Uint8Array;
  private readonly tally: PointerTally;
  private readonly usual: Plan;
  /** Lines that the plan did not fit. */
  private misses = 0;
  private isLearning = false;
  /** While learning: the values of the line in their order. */
  private readonly found: FoundValue[] = [];

  /** @param scanner in whose memory the lines lie */
  constructor(spec: EventSpec, scanner: Scanner, tally: PointerTally) {
    this.required = requiredMask(spec);
    this.expected = expectedMask(spec);
    this.tally = tally;
    this.kinds = spec.fields.map(({ type }) => ValueKind[type]);
    this.before = spec.fields.map((field) => (field.before === undefined ? undefined : ascii(field.before)));
    this.hasBefore = this.before.some((text) => text !== undefined);
    const labels = spec.fields.flatMap((field, index) => {
      // Rank 0 belongs to `before`, which is no label.
      const texts = field.before === undefined ? [...(field.labels ?? [])] : ['', ...(field.labels ?? [])];
      if (!texts.includes(`${field.name}=`)) texts.push(`${field.name}=`);
      return texts
        .map((text, rank) => ({ field: index, rank, text: ascii(text) }))
        .filter(({ text }) => text.length > 0);
    });
    this.labelText = labels.map(({ text }) => text);
    this.symbols = spec.fields.map(({ type, symbols = {}, toEnd = false, before }) => {
      const rivals = before === undefined ? [] : this.labelText;
      return type === 'symbol' ? new SymbolReader(scanner, symbols, toEnd, rivals) : undefined;
    });
    this.labelField = Uint8Array.from(labels, ({ field }) => field);
    this.labelRank = Uint8Array.from(labels, ({ rank }) => rank);
    this.nextLabel = new Uint8Array(labels.length + 1);
    // Backwards, so that the chain of one byte is in the order of the fields.
    for (let index = labels.length; index > 0; index--) {
      const first = labels[index - 1]!.text[0]!;
      this.nextLabel[index] = this.firstLabel[first]!;
      this.firstLabel[first] = index;
    }
    this.rank = new Uint8Array(spec.fields.length);
    this.usual = new Plan(scanner, this.labelText, this.kinds, this.symbols);
    this.plan = this.usual.index;
  }

  read(bytes: Uint8Array, from: number, end: number, record: TextRecord): void {
    if (this.usual.read(from, end)) {
      this.planned(record);
      return;
    }
    this.misses++;
    // A plan is made anew at every doubling of the misses: seldom enough to cost nothing where no plan ever fits.
    this.isLearning = (this.misses & (this.misses - 1)) === 0;
    this.readAll(bytes, from, end, record);
  }

  planned(record: TextRecord): void {
    record.present = this.usual.present;
  }

  private readAll(bytes: Uint8Array, from: number, end: number, record: Record): void {
    const { rank, firstLabel, labelText } = this;
    record.present = 0;
    for (let field = 0; field < rank.length; field++) rank[field] = noRank;
    // Fields whose best label has not been seen yet: at zero the rest of the line holds nothing more.
    let open = rank.length;
    if (this.hasBefore) open -= this.readBefore(bytes, from, end, record);
    let at = from;
    while (at < end && open > 0) {
      let index = firstLabel[bytes[at]!]!;
      while (index !== 0) {
        const text = labelText[index - 1]!;
        const length = text.length;
        // The first byte is known to be the same.
        let same = 1;
        while (same < length && bytes[at + same] === text[same]) same++;
        if (same === length && at + length <= end) {
          const after = this.take(index - 1, bytes, at + length, end, record);
          if (after >= 0) {
            if (this.labelRank[index - 1] === 0) open--;
            if (this.isLearning) this.note(index - 1, at, at + length, after);
            // The byte after the value may be the one before the next label, so it is looked at again.
            at = after - 1;
            break;
          }
        }
        index = this.nextLabel[index]!;
      }
      while (at < end && (byteClass[bytes[at]!]! & ByteClass.beforeLabel) === 0) at++;
      while (at < end && (byteClass[bytes[at]!]! & ByteClass.beforeLabel) !== 0) at++;
    }
    if (this.isLearning) this.usual.learn(bytes, from, end, this.found, open === 0);
    this.found.length = 0;
  }

  private note(label: number, start: number, end: number, after: number): void {
    this.found.push({ label, field: this.labelField[label]!, start, end, after });
  }

  /** Reads the value behind a label unless a better label gave one. @returns the position after it, or -1. */
  private take(label: number, bytes: Uint8Array, from: number, end: number, record: Record): number {
    const field = this.labelField[label]!;
    const rank = this.labelRank[label]!;
    if (rank >= this.rank[field]!) return -1;
    let start = from;
    while (start < end && bytes[start] === Byte.blank) start++;
    const after = this.value(field, bytes, start, end, record);
    if (after < 0) return -1;
    this.rank[field] = rank;
    record.present |= 1 << field;
    return after;
  }

  /** Fields that stand directly before a text. @returns how many were found. */
  private readBefore(bytes: Uint8Array, from: number, end: number, record: Record): number {
    let found = 0;
    for (let field = 0; field < this.before.length; field++) {
      const text = this.before[field];
      if (text === undefined) continue;
      let start = from;
      let to = from;
      while (to < end && (byteClass[bytes[to]!]! & ByteClass.word) !== 0) to++;
      // Most often the word is the first one. A text that does not begin like a word stands nowhere before it.
      const isFirst = (byteClass[text[0]!]! & ByteClass.noWord) !== 0 && matches(bytes, to, end, text);
      if (!isFirst) {
        to = find(bytes, from, end, text);
        start = to;
        while (start > from && (byteClass[bytes[start - 1]!]! & ByteClass.word) !== 0) start--;
      }
      const symbols = this.symbols[field];
      // A plan knows one word, and only as the first.
      if (!isFirst || to <= start || symbols === undefined || found > 0) this.isLearning = false;
      if (to <= start) continue;
      const after =
        symbols === undefined
          ? this.value(field, bytes, start, to, record)
          : symbols.readExactly(bytes, start, to, record, field);
      if (after !== to) this.isLearning = false;
      if (after < 0) continue;
      this.rank[field] = 0;
      record.present |= 1 << field;
      found++;
      if (this.isLearning) this.found.push({ label: text, field, start, end: start, after });
    }
    return found;
  }

  private value(field: number, bytes: Uint8Array, from: number, end: number, record: Record): number {
    const symbols = this.symbols[field];
    if (symbols !== undefined) return symbols.read(bytes, from, end, record, field);
    if (this.kinds[field] === ValueKind.number) return readNumber(bytes, from, end, record, field);
    if (from < end && bytes[from] === Byte.openRound && matches(bytes, from, end, unhashed)) {
      this.tally.hashedPointers++;
      return -1;
    }
    return readHex(bytes, from, end, record, field);
  }
}
