import { InputError } from '../errors.js';

/** Bytes at places: a file, or a section that was decompressed. */
export interface Bytes {
  readonly size: number;
  /** @returns the number of bytes read, less than asked for only at the end */
  read(into: Uint8Array, position: number): number;
  /** The bytes themselves, where they are in memory. */
  view?(position: number, length: number): Buffer;
}

/** Bytes fetched at a time; metadata is read from front to back. */
const blockSize = 64 * 1024;

/** Longest string that is a name or an option's word. */
const longestString = 64 * 1024;

/** Nothing but trace data is larger than this. */
const longestBlob = 128 * 1024 * 1024;

/** Reads metadata from front to back, in the file's byte order, and never beyond its end. */
export class Cursor {
  /** Place of the next byte. */
  position: number;
  readonly isBigEndian: boolean;
  private readonly source: Bytes;
  private readonly end: number;
  private readonly where: string;
  private block = Buffer.alloc(0);
  private blockStart = 0;

  /**
   * @param where what the places count from, for messages: nothing for the file itself, or ` of the section …`
   * @param end   first place that does not belong to it any more
   */
  constructor(source: Bytes, isBigEndian: boolean, position = 0, where = '', end = source.size) {
    this.source = source;
    this.isBigEndian = isBigEndian;
    this.position = position;
    this.where = where;
    this.end = Math.min(end, source.size);
  }

  /** Bytes that are left; none where a damaged place lies behind the end. */
  get left(): number {
    return Math.max(0, this.end - this.position);
  }

  u8(what: string): number {
    const at = this.take(1, what);
    return this.block[at]!;
  }

  u16(what: string): number {
    const at = this.take(2, what);
    return this.isBigEndian ? this.block.readUInt16BE(at) : this.block.readUInt16LE(at);
  }

  u32(what: string): number {
    const at = this.take(4, what);
    return this.isBigEndian ? this.block.readUInt32BE(at) : this.block.readUInt32LE(at);
  }

  /** A size or an offset: beyond 2^53 there is no file. */
  u64(what: string): number {
    const at = this.position;
    const value = Number(this.bigU64(what));
    if (!Number.isSafeInteger(value)) throw this.error(at, what, `${value}`);
    return value;
  }

  bigU64(what: string): bigint {
    const at = this.take(8, what);
    return this.isBigEndian ? this.block.readBigUInt64BE(at) : this.block.readBigUInt64LE(at);
  }

  /** A string that ends with NUL. */
  string(what: string): string {
    const start = this.position;
    const parts: string[] = [];
    while (this.left > 0 && this.position - start < longestString) {
      const at = this.fetch(Math.min(this.left, 256));
      const length = Math.min(this.left, 256);
      const nul = this.block.indexOf(0, at);
      const found = nul >= 0 && nul < at + length;
      parts.push(this.block.toString('latin1', at, found ? nul : at + length));
      this.position += found ? nul - at + 1 : length;
      if (found) return Buffer.from(parts.join(''), 'latin1').toString('utf8');
    }
    throw this.error(start, what, 'no end of the string');
  }

  /** Bytes that stay as they are: a part of those in memory, or a copy. */
  bytes(length: number, what: string): Buffer {
    if (length > this.left) throw this.error(this.position, `${what} of ${length} bytes`, this.rest());
    if (length > longestBlob) throw this.error(this.position, what, `a length of ${length} bytes`);
    const view = this.source.view?.(this.position, length);
    if (view !== undefined) {
      this.position += length;
      return view;
    }
    const bytes = Buffer.allocUnsafeSlow(length);
    const count = this.source.read(bytes, this.position);
    if (count < length) throw this.error(this.position, `${what} of ${length} bytes`, `${count} bytes`);
    this.position += length;
    return bytes;
  }

  skip(length: number, what: string): void {
    if (length > this.left) throw this.error(this.position, `${what} of ${length} bytes`, this.rest());
    this.position += length;
  }

  /** A mark that has to stand here. */
  expect(mark: string, what: string): void {
    const at = this.position;
    const found = this.bytes(mark.length, what).toString('latin1');
    if (found !== mark) throw this.error(at, `${what} (${JSON.stringify(mark)})`, JSON.stringify(found));
  }

  error(position: number, expected: string, found: string): InputError {
    return new InputError(
      `byte ${position}${this.where}: expected ${expected}, found ${found}: the file is damaged or was cut; ` +
        'copy it again, or record again',
    );
  }

  /** What is left, in words. */
  private rest(): string {
    if (this.left > 0) return `${this.left} bytes`;
    return this.position > this.end ? `the end at byte ${this.end}` : 'the end';
  }

  private take(length: number, what: string): number {
    if (length > this.left) throw this.error(this.position, what, this.rest());
    const at = this.fetch(length);
    this.position += length;
    return at;
  }

  /** Makes `length` bytes available at the returned place of `block`. */
  private fetch(length: number): number {
    const at = this.position - this.blockStart;
    if (at >= 0 && at + length <= this.block.length) return at;
    const block = Buffer.allocUnsafeSlow(Math.min(blockSize, this.end - this.position));
    const count = this.source.read(block, this.position);
    if (count < length) throw this.error(this.position, `${length} bytes`, `${count} bytes`);
    this.block = block.subarray(0, count);
    this.blockStart = this.position;
    return 0;
  }
}

/** Bytes in memory. */
export function bytesOf(memory: Uint8Array): Bytes {
  return {
    size: memory.length,
    read(into, position) {
      const part = memory.subarray(position, position + into.length);
      into.set(part);
      return part.length;
    },
    view: (position, length) => Buffer.from(memory.buffer, memory.byteOffset + position, length),
  };
}
