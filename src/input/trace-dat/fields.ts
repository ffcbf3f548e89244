import { type EventSpec, type FieldSpec, otherSymbol } from '../catalogue.js';
import { PrevStates, prevState } from '../prev-state.js';
import type { Record } from '../record.js';
import { NameTable } from '../text/names.js';
import type { EventFormat, FormatField } from './formats.js';
import { addressKey } from './symbols.js';

/** How one field is read. */
enum Read {
  word,
  signedWord,
  double,
  byte,
  signedByte,
  half,
  signedHalf,
  /** Not at a word's boundary. */
  unaligned,
  signedUnaligned,
  unalignedDouble,
  /** A string whose place and length stand in the record. */
  string,
  relativeString,
  /** A string in the record itself. */
  characters,
  /** A function by its address. */
  function,
  /** sched_switch's prev_state. */
  state,
  /** Several small fields that together name a symbol. */
  parts,
}

/** Bytes of the common fields, the pid included. */
const commonSize = 8;

/** Where a record is read from: the walk's words and bytes. */
export interface Source {
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
}

/** Resolves an address to the functions' names, or nothing. */
export type Resolve = (hi: number, lo: number) => readonly string[] | undefined;

/** One field of an event in the records of this file. */
interface Field {
  readonly slot: number;
  readonly read: number;
  readonly offset: number;
  readonly size: number;
  readonly symbols: SymbolValues | undefined;
  readonly parts: readonly number[];
  readonly values: ReadonlyMap<number, number> | undefined;
}

/** Field names that a spec may have in a format, the best first: as in text, where a label `name=` is one. */
function namesOf(spec: FieldSpec): string[] {
  const labels = (spec.labels ?? []).filter((label) => /^\w+=$/.test(label)).map((label) => label.slice(0, -1));
  return labels.includes(spec.name) ? labels : [...labels, spec.name];
}

/** Reads the wanted fields of one event, as the formats of this file lay them out. */
export class FieldReader {
  /** The record that is read into, each time again: what is the same in all of the event stays in it. */
  readonly record: Record;
  /** Mask of the fields that a record must have. */
  private readonly required: number;
  private readonly isBigEndian: boolean;
  /** All fields that the format has, and those of them that are no aligned numbers. */
  private readonly fields: readonly Field[];
  private readonly others: readonly Field[];
  // The aligned numbers, flat for the loops over every record's fields: where in the record the lower word of each is, and
  // of which slot it is the value. Those of doubles come first, for their upper words, and those of signed words last.
  private readonly low: Uint16Array;
  private readonly high: Uint16Array;
  private readonly slots: Uint8Array;
  private readonly unsigned: number;
  /** Bytes of a record that has all fields, and the mask of those. */
  private readonly wholeLength: number;
  private readonly allPresent: number;
  /** For sched_switch: whose state it is, and what it means. */
  private readonly pidSlot: number;
  private readonly states = new PrevStates();

  constructor(
    spec: EventSpec,
    record: Record,
    format: EventFormat,
    isBigEndian: boolean,
    longSize: number,
    resolve: Resolve,
  ) {
    this.record = record;
    // Nothing is required of a function's entry: the user chose what it carries.
    this.required =
      record.source === 'tracepoint'
        ? spec.fields.reduce((mask, field, slot) => (field.required ? mask | (1 << slot) : mask), 0)
        : 0;
    this.isBigEndian = isBigEndian;
    this.pidSlot = Math.max(
      0,
      spec.fields.findIndex(({ name }) => name === 'prev_pid'),
    );
    this.fields = spec.fields.flatMap((field, slot) => {
      const found = fieldOf(field, slot, spec, format, longSize, resolve);
      return found === undefined ? [] : [found];
    });
    const order = [Read.double, Read.word, Read.signedWord];
    const plain = order.flatMap((kind) => this.fields.filter(({ read }) => read === kind));
    const doubles = plain.filter(({ read }) => read === Read.double);
    this.others = this.fields.filter((field) => !plain.includes(field));
    const isSecond = (field: Field) => isBigEndian && field.read === Read.double;
    this.low = Uint16Array.from(plain, (field) => field.offset / 4 + (isSecond(field) ? 1 : 0));
    this.high = Uint16Array.from(doubles, (field) => field.offset / 4 + (isSecond(field) ? 0 : 1));
    this.unsigned = plain.filter(({ read }) => read !== Read.signedWord).length;
    this.slots = Uint8Array.from(plain, ({ slot }) => slot);
    this.wholeLength = this.fields.reduce((length, { offset, size }) => Math.max(length, offset + size), commonSize);
    this.allPresent = this.fields.reduce((mask, { slot }) => mask | (1 << slot), 0);
  }

  /**
   * Fills the record's fields; `present` says which the record has.
   *
   * @returns whether it has all that are required
   */
  read(source: Source, payload: number, length: number): boolean {
    if (length < this.wholeLength) return this.readShort(source, payload, length);
    const { low, high, slots, others, unsigned, record } = this;
    const { hi, lo } = record;
    const { words } = source;
    for (let index = 0; index < low.length; index++) lo[slots[index]!] = words[payload + low[index]!]!;
    for (let index = 0; index < high.length; index++) hi[slots[index]!] = words[payload + high[index]!]!;
    // The upper half of an unsigned word stays 0.
    for (let index = unsigned; index < slots.length; index++) hi[slots[index]!] = lo[slots[index]!]! >> 31;
    let present = this.allPresent;
    for (let other = 0; other < others.length; other++) {
      const field = others[other]!;
      if (!this.readField(field, source, payload, length)) present &= ~(1 << field.slot);
    }
    record.present = present;
    return (present & this.required) === this.required;
  }

  /** A record that is too short for all of its fields. */
  private readShort(source: Source, payload: number, length: number): boolean {
    let present = 0;
    for (const field of this.fields) {
      if (field.offset + field.size <= length && this.readField(field, source, payload, length))
        present |= 1 << field.slot;
    }
    this.record.present = present;
    return length >= commonSize && (present & this.required) === this.required;
  }

  /** One field of any kind. @returns whether the record has it */
  private readField(field: Field, source: Source, payload: number, length: number): boolean {
    const { record } = this;
    const { words, bytes } = source;
    const at = payload * 4 + field.offset;
    const word = payload + (field.offset >>> 2);
    const slot = field.slot;
    let hi = 0;
    let lo = 0;
    switch (field.read) {
      case Read.word:
        lo = words[word]!;
        break;
      case Read.signedWord:
        lo = words[word]! | 0;
        hi = lo >> 31;
        break;
      case Read.double:
        hi = words[this.isBigEndian ? word : word + 1]!;
        lo = words[this.isBigEndian ? word + 1 : word]!;
        break;
      case Read.state:
        lo = this.states.sleeping(
          record.lo[this.pidSlot]!,
          prevState(words[this.isBigEndian && field.size === 8 ? word + 1 : word]!),
        );
        break;
      case Read.function: {
        const isLong = field.size === 8;
        hi = isLong ? words[this.isBigEndian ? word : word + 1]! : 0;
        lo = words[isLong && this.isBigEndian ? word + 1 : word]!;
        const value = field.symbols!.ofFunction(hi, lo);
        if (value !== undefined) {
          hi = 0;
          lo = value;
        }
        break;
      }
      case Read.byte:
        lo = bytes[at]!;
        break;
      case Read.signedByte:
        lo = (bytes[at]! << 24) >> 24;
        hi = lo >> 31;
        break;
      case Read.half:
        lo = this.half(bytes, at);
        break;
      case Read.signedHalf:
        lo = (this.half(bytes, at) << 16) >> 16;
        hi = lo >> 31;
        break;
      case Read.unaligned:
        lo = this.word(bytes, at);
        break;
      case Read.signedUnaligned:
        lo = this.word(bytes, at);
        hi = lo >> 31;
        break;
      case Read.unalignedDouble:
        hi = this.word(bytes, this.isBigEndian ? at : at + 4);
        lo = this.word(bytes, this.isBigEndian ? at + 4 : at);
        break;
      case Read.string:
      case Read.relativeString: {
        const where = words[word]!;
        const from = (where & 0xffff) + (field.read === Read.relativeString ? field.offset + 4 : 0);
        const to = from + (where >>> 16);
        if (to > length) return false;
        lo = field.symbols!.ofText(bytes, payload * 4 + from, payload * 4 + to);
        break;
      }
      case Read.characters:
        lo = field.symbols!.ofText(bytes, at, at + field.size);
        break;
      case Read.parts: {
        let key = 0;
        for (let part = 0; part < field.parts.length; part++)
          key = key * 256 + bytes[payload * 4 + field.parts[part]!]!;
        lo = field.values!.get(key) ?? otherSymbol;
        break;
      }
    }
    record.hi[slot] = hi;
    record.lo[slot] = lo;
    return true;
  }

  private half(bytes: Uint8Array, at: number): number {
    return this.isBigEndian ? (bytes[at]! << 8) | bytes[at + 1]! : bytes[at]! | (bytes[at + 1]! << 8);
  }

  private word(bytes: Uint8Array, at: number): number {
    return this.isBigEndian
      ? (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
      : bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  }
}

/** One shape for all fields, since they are read at every record. */
function makeField(
  slot: number,
  read: Read,
  offset: number,
  size: number,
  symbols?: SymbolValues,
  parts: readonly number[] = [],
  values?: ReadonlyMap<number, number>,
): Field {
  return { slot, read, offset, size, symbols, parts, values };
}

function fieldOf(
  spec: FieldSpec,
  slot: number,
  event: EventSpec,
  format: EventFormat,
  longSize: number,
  resolve: Resolve,
): Field | undefined {
  if (spec.parts !== undefined) {
    const parts = spec.parts.names.map((name) =>
      format.fields.find((field) => field.name === name && field.size === 1),
    );
    if (parts.every((part) => part !== undefined)) {
      const offsets = parts.map((part) => part.offset);
      const values = new Map(Object.entries(spec.parts.values).map(([text, value]) => [partsKey(text), value]));
      return makeField(slot, Read.parts, Math.max(...offsets), 1, undefined, offsets, values);
    }
  }
  let field: FormatField | undefined;
  for (const name of namesOf(spec)) field ??= format.fields.find((candidate) => candidate.name === name);
  if (field === undefined) return undefined;
  const { offset, size } = field;
  if (event.shape === 'sched_switch' && spec.name === 'prev_state' && (size === 8 || size === 4) && offset % 4 === 0)
    return makeField(slot, Read.state, offset, size);
  if (spec.type === 'symbol') {
    const symbols = new SymbolValues(spec, resolve);
    if (/^__rel_loc /.test(field.type)) return makeField(slot, Read.relativeString, offset, size, symbols);
    if (/^__data_loc /.test(field.type)) return makeField(slot, Read.string, offset, size, symbols);
    if (/\bchar \w+\s*\[/.test(field.type)) return makeField(slot, Read.characters, offset, size, symbols);
    // A pointer to a string in the recorded kernel tells nothing.
    if (/\bchar \*/.test(field.type)) return undefined;
    if (field.type.includes('*') && size === longSize && offset % 4 === 0)
      return makeField(slot, Read.function, offset, size, symbols);
  }
  const read = readOf(offset, size, field.isSigned);
  return read === undefined ? undefined : makeField(slot, read, offset, size);
}

function readOf(offset: number, size: number, isSigned: boolean): number | undefined {
  const isAligned = offset % 4 === 0;
  switch (size) {
    case 1:
      return isSigned ? Read.signedByte : Read.byte;
    case 2:
      return isSigned ? Read.signedHalf : Read.half;
    case 4:
      if (isAligned) return isSigned ? Read.signedWord : Read.word;
      return isSigned ? Read.signedUnaligned : Read.unaligned;
    case 8:
      return isAligned ? Read.double : Read.unalignedDouble;
    default:
      return undefined;
  }
}

/** `3,3,14,2,0` as one number. */
function partsKey(text: string): number {
  return text.split(',').reduce((key, part) => key * 256 + Number(part), 0);
}

/** Most addresses whose function is remembered. */
const mostAddresses = 4096;

/** Numbers of a symbol field's texts. */
class SymbolValues {
  private readonly symbols: ReadonlyMap<string, number>;
  private readonly resolve: Resolve;
  private readonly texts: NameTable;
  private readonly functions = new Map<number, number>();
  private lastHi = -1;
  private lastLo = -1;
  private last: number | undefined;

  constructor(spec: FieldSpec, resolve: Resolve) {
    this.symbols = new Map(Object.entries(spec.symbols ?? {}));
    this.resolve = resolve;
    this.texts = new NameTable((text) => this.symbols.get(text) ?? otherSymbol);
  }

  /** A string up to its NUL. */
  ofText(bytes: Uint8Array, from: number, to: number): number {
    let end = from;
    while (end < to && bytes[end] !== 0) end++;
    return this.texts.values[this.texts.entry(bytes, from, end, NameTable.hash(bytes, from, end))]!;
  }

  /** The function at an address; undefined when nothing tells its name. */
  ofFunction(hi: number, lo: number): number | undefined {
    if (hi === this.lastHi && lo === this.lastLo) return this.last;
    const key = addressKey(hi, lo);
    let value = this.functions.get(key);
    if (value === undefined) {
      const names = this.resolve(hi, lo);
      const known = names?.map((name) => this.value(name)).find((found) => found !== undefined);
      value = names === undefined ? unresolved : (known ?? otherSymbol);
      if (this.functions.size < mostAddresses) this.functions.set(key, value);
    }
    this.lastHi = hi;
    this.lastLo = lo;
    this.last = value === unresolved ? undefined : value;
    return this.last;
  }

  private value(name: string): number | undefined {
    const dot = name.indexOf('.');
    return this.symbols.get(dot > 0 ? name.slice(0, dot) : name);
  }
}

/** No symbol is this number. */
const unresolved = -1;
