import { InputError } from '../errors.js';

const newline = 0x0a;
const carriageReturn = 0x0d;
const byteOrderMark = [0xef, 0xbb, 0xbf];

/** Longest line in bytes: far more than a row needs, so that an input without line ends cannot fill the memory. */
const maxLine = 0x10000;

/**
 * Cuts bytes into lines, whatever the cuts between chunks. Line ends and a byte order mark are taken off; a last
 * line without an end counts.
 */
export class Lines {
  /** Number of the line being delivered, from 1. */
  number = 0;
  private rest: Uint8Array<ArrayBufferLike> = new Uint8Array(0);

  /** @param deliver gets the line's bytes, which are valid only during the call */
  constructor(private readonly deliver: (line: Uint8Array) => void) {}

  push(chunk: Uint8Array): void {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const piece = chunk.subarray(start, end);
      start = end + 1;
      if (this.rest.length === 0) {
        this.line(piece);
      } else {
        const whole = Buffer.concat([this.rest, piece]);
        this.rest = new Uint8Array(0);
        this.line(whole);
      }
    }
    if (start === chunk.length) return;
    // A copy: the caller may reuse the chunk.
    this.rest = Buffer.concat([this.rest, chunk.subarray(start)]);
    if (this.rest.length > maxLine) this.tooLong();
  }

  end(): void {
    const rest = this.rest;
    this.rest = new Uint8Array(0);
    if (rest.length > 0) this.line(rest);
  }

  private line(bytes: Uint8Array): void {
    if (bytes.length > maxLine) this.tooLong();
    this.number++;
    let start = 0;
    if (this.number === 1 && byteOrderMark.every((byte, i) => bytes[i] === byte)) start = byteOrderMark.length;
    const end = bytes[bytes.length - 1] === carriageReturn ? bytes.length - 1 : bytes.length;
    this.deliver(bytes.subarray(start, end));
  }

  private tooLong(): never {
    throw new InputError(`line ${this.number + 1}: expected a row of at most ${maxLine} bytes, found a longer line`);
  }
}
