import { type EventSpec, type FieldSpec, otherSymbol } from '../catalogue.js';
import { NameTable } from '../text/names.js';
import type { EventFormat, FormatField } from './formats.js';
import { addressKey } from './symbols.js';

/** How one field is read. */
export enum Read {
  // Numbers at a word's boundary.
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

/** Resolves an address to the functions' names, or nothing. */
export type Resolve = (hi: number, lo: number) => readonly string[] | undefined;

/** One field of an event in the records of this file. */
export interface Field {
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

/** Where an event's format has a field, and how it is read; undefined where it has none that can be. */
export function fieldOf(
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

/** Most bytes of a text that is remembered. */
const longestText = 64;

/** A text, what stands behind its NUL included, and its number. */
interface Text {
  readonly bytes: Uint8Array;
  value: number;
}

/** Numbers of a symbol field's texts. */
class SymbolValues {
  private readonly symbols: ReadonlyMap<string, number>;
  private readonly resolve: Resolve;
  private readonly texts: NameTable;
  /** By length: the latest text of that length, which is mostly the next as well. */
  private readonly latest: Text[] = Array.from({ length: longestText + 1 }, (_, length) => ({
    bytes: new Uint8Array(length),
    value: unresolved,
  }));
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
    const latest = this.latest[to - from];
    if (latest === undefined) return this.lookUp(bytes, from, to);
    const text = latest.bytes;
    let same = 0;
    while (same < text.length && text[same] === bytes[from + same]) same++;
    if (same < text.length || latest.value === unresolved) {
      text.set(bytes.subarray(from, to));
      latest.value = this.lookUp(bytes, from, to);
    }
    return latest.value;
  }

  private lookUp(bytes: Uint8Array, from: number, to: number): number {
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
      value = this.resolved(hi, lo);
      if (this.functions.size < mostAddresses) this.functions.set(key, value);
    }
    this.lastHi = hi;
    this.lastLo = lo;
    this.last = value === unresolved ? undefined : value;
    return this.last;
  }

  private resolved(hi: number, lo: number): number {
    const names = this.resolve(hi, lo);
    const known = names?.map((name) => this.value(name)).find((found) => found !== undefined);
    return names === undefined ? unresolved : (known ?? otherSymbol);
  }

  private value(name: string): number | undefined {
    const dot = name.indexOf('.');
    return this.symbols.get(dot > 0 ? name.slice(0, dot) : name);
  }
}

/** No symbol is this number. */
const unresolved = -1;
