import type { Reader, RecordSink } from '../record.js';
import { Byte } from './bytes.js';
import { Scanner } from './scanner.js';

/** A line beyond this is no trace: it is passed over so that a file without newlines cannot fill the memory. */
const longestLine = 1 << 20;

/** Bytes taken at a time: they and the longest line fit the scanner's memory. */
const pieceSize = 1 << 16;

/** What an editor may put before UTF-8. */
const byteOrderMark = [0xef, 0xbb, 0xbf] as const;

function isByteOrderMark(bytes: Uint8Array, at: number): boolean {
  return byteOrderMark.every((byte, index) => bytes[at + index] === byte);
}

/**
 * Copies chunks into the scanner's memory, behind what is left of the chunk before, and hands over the lines there.
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
  protected readonly scanner = new Scanner();
  /** Bytes of an unfinished line at the beginning of the memory. */
  private carried = 0;
  private overlong = false;

  constructor(sink: RecordSink) {
    this.sink = sink;
  }

  /** One line in [start, end), without its lineEnd and carriage return, the first without a byte order mark. The bytes are valid during the call only. */
  protected abstract line(bytes: Buffer, start: number, end: number): void;

  /**
   * Takes lines of [from, to) that are like earlier ones; the first begins at `from`.
   *
   * @returns where the first other line begins.
   */
  protected known(from: number, _to: number): number {
    return from;
  }

  /** Whether a last line without a lineEnd could have been an event: elsewhere its loss is none. */
  protected wasNeeded(_bytes: Buffer, _start: number, _end: number): boolean {
    return true;
  }

  /** Called once after the last line; conditions that are gathered are reported here. */
  protected abstract finish(): void;

  push(chunk: Uint8Array): void {
    for (let from = 0; from < chunk.length; from += pieceSize) this.takePiece(chunk.subarray(from, from + pieceSize));
    this.reportCount();
  }

  end(): void {
    this.reportCount();
    let at = 0;
    while (at < this.carried && this.scanner.bytes[at]! <= Byte.blank) at++;
    if (this.overlong || (at < this.carried && this.wasNeeded(this.scanner.bytes, 0, this.carried))) {
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

  private takePiece(piece: Uint8Array): void {
    const { bytes } = this.scanner;
    const to = this.carried + piece.length;
    bytes.set(piece, this.carried);
    const rest = this.takeLines(bytes, this.carried, to);
    if (this.overlong || to - rest > longestLine) {
      this.overlong = true;
      this.carried = 0;
      return;
    }
    if (rest > 0) bytes.copyWithin(0, rest, to);
    this.carried = to - rest;
  }

  /** Hands over the whole lines before `to`; none ends before `from`. @returns where the last, unfinished one begins. */
  private takeLines(bytes: Buffer, from: number, to: number): number {
    const { scanner } = this;
    let start = 0;
    for (let lineEnd = scanner.lineEnd(from, to); lineEnd >= 0; lineEnd = scanner.lineEnd(start, to)) {
      this.take(bytes, start, lineEnd);
      start = this.known(lineEnd + 1, to);
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
    const begin = this.lineNumber === 1 && isByteOrderMark(bytes, start) ? start + byteOrderMark.length : start;
    let end = lineEnd;
    while (end > begin && bytes[end - 1] === Byte.carriageReturn) end--;
    if (end > begin) this.line(bytes, begin, end);
  }

  private reportCount(): void {
    if (this.records > 0) this.sink.counted(this.records);
    this.records = 0;
  }
}
