import { maxFields, Record } from '../record.js';
import type { Scanner } from './scanner.js';

/** A record whose fields lie in the scanner's memory, beside those of others. */
export class TextRecord extends Record {
  /** Place of its first field. The complete readers know the first record only. */
  private base = 0;

  /** @param scanner in whose memory the lines lie */
  constructor(scanner: Scanner) {
    super(scanner.hi, scanner.lo);
  }

  /** Takes the fields of the scanner's record `index`. */
  choose(index: number): void {
    this.base = index * maxFields;
  }

  override low(field: number): number {
    return this.lo[this.base + field]!;
  }

  override high(field: number): number {
    return this.hi[this.base + field]!;
  }

  /** Sets a field whose upper half is zero. */
  setLow(field: number, value: number): void {
    this.lo[this.base + field] = value;
  }
}
