import type { Reader, RecordSink } from '../record.js';
import { Byte } from './bytes.js';

/** A line beyond this is no trace: it is passed over so that a file without newlines cannot fill the memory. */
const longestLine = 1 << 20;

/**
 * Cuts chunks into lines and hands each over where it lies; only a line that straddles two chunks is copied.
 *
 * A last line without a lineEnd is not used: where the input was cut, a number in it may be cut as well.
 */
export abstract class LineReader implements Reader {
  protected readonly sink: RecordSink;
  /** Number of the line at hand, from 1. */
  protected lineNumber = 0;
  /** Event records read since `counted` was last called. */
  protected records = 0;
  private unparsed = 0;
  private firstUnparsed = 0;
  private carry = Buffer.allocUnsafeSlow(4096);
  private carried = 0;
  private overlong = false;

  constructor(sink: RecordSink) {
    this.sink = sink;
  }

  /** One line in [start, end), without its lineEnd and carriage return. The bytes are valid during the call only. */
  protected abstract line(bytes: Buffer, start: number, end: number): void;

  /** Whether a last line without a lineEnd could have been an event: elsewhere its loss is none. */
  protected wasNeeded(_bytes: Buffer, _start: number, _end: number): boolean {
    return true;
  }

  /** Called once after the last line; conditions that are gathered are reported here. */
  protected abstract finish(): void;

  push(chunk: Uint8Array): void {
    // One class of array in the whole reader keeps its inner loops fast, whatever the caller's chunks are.
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const length = bytes.length;
    let from = 0;
    if (this.carried > 0 || this.overlong) {
      const lineEnd = bytes.indexOf(Byte.newline);
      this.keep(bytes, 0, lineEnd < 0 ? length : lineEnd);
      if (lineEnd < 0) return;
      const carried = this.carried;
      this.carried = 0;
      this.take(this.carry, 0, carried);
      from = lineEnd + 1;
    }
    from = this.takeLines(bytes, from);
    if (from < length) this.keep(bytes, from, length);
    this.reportCount();
  }

  end(): void {
    this.reportCount();
    let at = 0;
    while (at < this.carried && this.carry[at]! <= Byte.blank) at++;
    if (this.overlong || (at < this.carried && this.wasNeeded(this.carry, 0, this.carried))) {
      this.sink.condition('truncated-line', 1, this.lineNumber + 1);
    }
    this.carried = 0;
    this.overlong = false;
    this.finish();
    this.reportCount();
    if (this.unparsed > 0) this.sink.condition('unparsed-line', this.unparsed, this.firstUnparsed);
    this.unparsed = 0;
  }

  /** Counts the line at hand as one that nobody understands. */
  protected notUnderstood(): void {
    if (this.unparsed++ === 0) this.firstUnparsed = this.lineNumber;
  }

  /** Hands over the whole lines from `from` on. @returns where the last, unfinished one begins. */
  private takeLines(bytes: Buffer, from: number): number {
    let start = from;
    for (let lineEnd = bytes.indexOf(Byte.newline, start); lineEnd >= 0; lineEnd = bytes.indexOf(Byte.newline, start)) {
      this.take(bytes, start, lineEnd);
      start = lineEnd + 1;
    }
    return start;
  }

  private take(bytes: Buffer, start: number, lineEnd: number): void {
    this.lineNumber++;
    if (this.overlong || lineEnd - start > longestLine) {
      this.overlong = false;
      this.notUnderstood();
      return;
    }
    let end = lineEnd;
    while (end > start && bytes[end - 1] === Byte.carriageReturn) end--;
    if (end > start) this.line(bytes, start, end);
  }

  private keep(bytes: Buffer, from: number, to: number): void {
    const length = this.carried + (to - from);
    if (this.overlong || length > longestLine) {
      this.overlong = true;
      this.carried = 0;
      return;
    }
    if (length > this.carry.length) {
      const larger = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(length)));
      this.carry.copy(larger, 0, 0, this.carried);
      this.carry = larger;
    }
    bytes.copy(this.carry, this.carried, from, to);
    this.carried = length;
  }

  private reportCount(): void {
    if (this.records > 0) this.sink.counted(this.records);
    this.records = 0;
  }
}
