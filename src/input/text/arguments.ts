import type { EventSpec } from '../catalogue.js';
import type { TextRecord } from './text-record.js';

/** Takes the arguments of one event apart. */
export interface ArgumentReader {
  /** Mask of the fields that a record must have. */
  readonly required: number;
  /** Mask of those whose absence is counted, although the record is used. */
  readonly expected: number;
  /**
   * Fills the record's fields from the arguments in [from, end). `record.present` says which were found,
   * `record.pid` is already set.
   */
  read(bytes: Uint8Array, from: number, end: number, record: TextRecord): void;
  /** Number of the scanner's plan that reads most lines of the event, or -1. */
  readonly plan: number;
  /** Does what remains of `read` where that plan has read the fields. */
  planned(record: TextRecord): void;
}

/** Mask of the fields that every record of this event has, and that it can be used without. */
export function expectedMask(spec: EventSpec): number {
  return spec.fields.reduce((mask, field, index) => (field.expected ? mask | (1 << index) : mask), 0);
}

/** Mask of the fields that a record of this event must have. */
export function requiredMask(spec: EventSpec): number {
  return spec.fields.reduce((mask, field, index) => (field.required ? mask | (1 << index) : mask), 0);
}
