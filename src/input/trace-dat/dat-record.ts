import { Context } from '../../events/event.js';
import { type EventSpec, otherSymbol } from '../catalogue.js';
import { PrevStates, prevState } from '../prev-state.js';
import { maxFields, Record } from '../record.js';
import { type Field, fieldOf, Read, type Resolve } from './fields.js';
import type { EventFormat } from './formats.js';

/** Bytes of the common fields, the pid included. */
const commonSize = 8;

/** Bits of common_flags (enum trace_flag_type). */
const hardirqOrNmi = 0x08 | 0x40;
const softirq = 0x10;

/** Instead of a word: the value is in `hi` or `lo`; it is the sign of the lower half. */
const parsed = -1;
const sign = -2;

/** Where a record is read from: the walk over the pages of a CPU. */
export interface Source {
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  readonly cpu: number;
  /** Time of the record at hand, and that of the trace's first one; place of the record. */
  readonly time: number;
  readonly first: number;
  readonly position: number;
}

/**
 * The record of one event, as the formats of this file lay it out. Numbers at a word's boundary, as most are, stay in
 * the page until somebody asks for them; the others are parsed.
 */
export class DatRecord extends Record {
  /** Records of which a field lies beyond their end, and where the first of them is. */
  cut = 0;
  firstCut = 0;
  private words: Uint32Array = new Uint32Array(0);
  /** First word of the record. */
  private payload = 0;
  /** By field: in which word of the record each half of it is, else `parsed` or `sign`. */
  private readonly lowWords = new Int16Array(maxFields).fill(parsed);
  private readonly highWords = new Int16Array(maxFields).fill(parsed);
  /** All fields that the format has, and those that have to be parsed. */
  private readonly fields: readonly Field[];
  private readonly others: readonly Field[];
  private readonly othersCount: number;
  /** Bytes of a record that has all fields, and the mask of those. */
  private readonly wholeLength: number;
  private readonly allPresent: number;
  /** Mask of the fields that a record must have. */
  private readonly required: number;
  private readonly isBigEndian: boolean;
  /** Where the flags are in the record's first word. */
  private readonly flagsShift: number;
  /** For sched_switch: whose state it is, and what it means. */
  private readonly pidField: number;
  private readonly states = new PrevStates();

  /** @param source of a function's entry nothing is required: the user chose what it carries */
  constructor(
    spec: EventSpec,
    source: Record['source'],
    format: EventFormat,
    layout: { readonly isBigEndian: boolean; readonly longSize: number },
    resolve: Resolve,
  ) {
    super();
    this.source = source;
    this.isBigEndian = layout.isBigEndian;
    this.flagsShift = layout.isBigEndian ? 8 : 16;
    this.fields = spec.fields.flatMap((field, slot) => {
      const found = fieldOf(field, slot, spec, format, layout.longSize, resolve);
      return found === undefined ? [] : [found];
    });
    this.others = this.fields.filter(({ read }) => read > Read.double);
    this.othersCount = this.others.length;
    for (const { slot, read, offset } of this.fields) {
      if (read > Read.double) continue;
      const word = offset / 4;
      this.lowWords[slot] = read === Read.double && this.isBigEndian ? word + 1 : word;
      if (read === Read.double) this.highWords[slot] = this.isBigEndian ? word : word + 1;
      if (read === Read.signedWord) this.highWords[slot] = sign;
    }
    this.wholeLength = this.fields.reduce((length, { offset, size }) => Math.max(length, offset + size), commonSize);
    this.allPresent = this.fields.reduce((mask, { slot }) => mask | (1 << slot), 0);
    const isRequired = (slot: number) => source === 'tracepoint' && spec.fields[slot]!.required === true;
    this.required = spec.fields.reduce((mask, _, slot) => (isRequired(slot) ? mask | (1 << slot) : mask), 0);
    this.pidField = Math.max(
      0,
      spec.fields.findIndex(({ name }) => name === 'prev_pid'),
    );
  }

  override low(field: number): number {
    const word = this.lowWords[field]!;
    return word >= 0 ? this.words[this.payload + word]! | 0 : this.lo[field]!;
  }

  override high(field: number): number {
    const word = this.highWords[field]!;
    if (word >= 0) return this.words[this.payload + word]! | 0;
    return word === sign ? this.low(field) >> 31 : this.hi[field]!;
  }

  /**
   * Goes on to another record of the event: the fields are read, and `present` says which it has.
   *
   * @param payload first word of its payload
   * @param length bytes of it
   * @returns whether it has all that are required
   */
  goTo(source: Source, payload: number, length: number): boolean {
    const { words } = source;
    this.words = words;
    this.payload = payload;
    this.time = source.time - source.first;
    this.position = source.position;
    this.cpu = source.cpu;
    this.pid = words[payload + 1]! | 0;
    const flags = words[payload]! >>> this.flagsShift;
    this.context =
      (flags & hardirqOrNmi) !== 0 ? Context.hardirq : (flags & softirq) !== 0 ? Context.softirq : Context.task;
    if (length < this.wholeLength) return this.readShort(source.bytes, length);
    let present = this.allPresent;
    for (let index = 0; index < this.othersCount; index++) {
      const field = this.others[index]!;
      if (field.read === Read.byte) this.lo[field.slot] = source.bytes[payload * 4 + field.offset]!;
      else if (!this.parse(field, source.bytes, length)) present &= ~(1 << field.slot);
    }
    this.present = present;
    if (present !== this.allPresent) this.countCut();
    return (present & this.required) === this.required;
  }

  /** A record that is too short for all of its fields. */
  private readShort(bytes: Uint8Array, length: number): boolean {
    this.present = 0;
    for (const field of this.fields) {
      const isThere =
        field.offset + field.size <= length && (field.read <= Read.double || this.parse(field, bytes, length));
      if (isThere) this.present |= 1 << field.slot;
    }
    if (this.present !== this.allPresent) this.countCut();
    return length >= commonSize && (this.present & this.required) === this.required;
  }

  private countCut(): void {
    // One that lacks a field that it must have is counted by whoever leaves it out.
    if ((this.present & this.required) === this.required && this.cut++ === 0) this.firstCut = this.position;
  }

  /** A field that is no number at a word's boundary. @returns whether the record has it */
  private parse(field: Field, bytes: Uint8Array, length: number): boolean {
    const { words, payload, isBigEndian } = this;
    const at = payload * 4 + field.offset;
    const word = payload + (field.offset >>> 2);
    let hi = 0;
    let lo = 0;
    switch (field.read) {
      case Read.state:
        lo = this.states.sleeping(
          this.low(this.pidField),
          prevState(words[isBigEndian && field.size === 8 ? word + 1 : word]!),
        );
        break;
      case Read.function: {
        const isLong = field.size === 8;
        hi = isLong ? words[isBigEndian ? word : word + 1]! : 0;
        lo = words[isLong && isBigEndian ? word + 1 : word]!;
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
        hi = this.word(bytes, isBigEndian ? at : at + 4);
        lo = this.word(bytes, isBigEndian ? at + 4 : at);
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
    this.hi[field.slot] = hi;
    this.lo[field.slot] = lo;
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
