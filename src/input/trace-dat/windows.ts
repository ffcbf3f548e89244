import type { ConditionSink } from '../../events/conditions.js';
import { InputError } from '../errors.js';
import type { RandomAccess } from '../random-access.js';
import type { Codec } from './compression.js';
import type { CpuData } from './layout.js';

/** Bytes of plain pages read at a time. */
const plainWindow = 64 * 1024;

/** Windows end at a multiple of so many bytes. */
const grain = 16;

/** Bytes of the number of chunks: writers differ in whether a CPU's size includes it. */
const countSize = 4;

/** Largest chunk: writers make them of ten pages. */
const longestChunk = 16 * 1024 * 1024;

/**
 * Most memory for the windows of all CPUs: the chunks of a small file need little. From `freeMemory` on, plain pages are
 * read one at a time.
 */
const mostMemory = 512 * 1024 * 1024;
const freeMemory = 64 * 1024 * 1024;
const memoryPerByte = 64;

/**
 * How much more may come out of a file than is in it: whole pages of nothing compress to a five-hundredth, and a
 * file made to keep a reader busy for ever to much less.
 */
const mostExpansion = 2000;
const freeExpansion = 1024 * 1024 * 1024;

/** What the windows of all CPUs share. */
export class Progress {
  /** Bytes of the file read so far. */
  bytes = 0;
  /** Bytes of pages, uncompressed. */
  pages = 0;
  /** Memory taken for chunks. */
  memory = 0;
  /** Windows that may still be opened in this slice of work. */
  quota = 0;

  /**
   * Counts memory that is going to be taken for a window.
   *
   * @throws InputError when it is more than a file of that size can need
   */
  reserve(bytes: number, file: RandomAccess): void {
    this.memory += bytes;
    const most = Math.min(mostMemory, freeMemory + file.size * memoryPerByte);
    if (this.memory > most)
      throw new InputError(
        `the pages of all CPUs need more than ${Math.floor(most / 1024 / 1024)} MiB at a time: the file is damaged, or ` +
          'convert it with `trace-cmd convert --compression none`',
      );
  }
}

/** The pages of one CPU, a piece at a time, always whole pages but for the last one of a file that was cut. */
export interface Windows {
  /** The pages at hand; aligned, and valid until the next call of `next`. */
  readonly bytes: Uint8Array;
  /** Place of the window in the CPU's uncompressed data. */
  readonly start: number;
  /** Whether bytes are missing between this window and the one before, or behind the last one. */
  readonly isBroken: boolean;
  /**
   * Goes on to the next window.
   *
   * @returns bytes of it, 0 when there is nothing more
   */
  next(): number;
  /** Place in the file of a byte of the window, or of the chunk that it came from. */
  place(offset: number): number;
}

/** Pages as they are. */
export class PlainWindows implements Windows {
  readonly bytes: Uint8Array;
  start = 0;
  isBroken = false;
  private readonly file: RandomAccess;
  private readonly data: CpuData;
  private readonly progress: Progress;
  private readonly sink: ConditionSink;
  private done = 0;
  private isCut = false;

  constructor(file: RandomAccess, data: CpuData, pageSize: number, progress: Progress, sink: ConditionSink) {
    this.file = file;
    this.data = data;
    this.progress = progress;
    this.sink = sink;
    const pages = progress.memory > freeMemory ? 1 : Math.max(1, Math.floor(plainWindow / pageSize));
    // No more than the file can have there; a page's header can be asked for all the same.
    const available = Math.max(grain, Math.min(data.size, file.size - data.offset));
    const size = Math.min(pages * pageSize, Math.ceil(available / grain) * grain);
    progress.reserve(size, file);
    this.bytes = new Uint8Array(size);
  }

  next(): number {
    const { data, progress } = this;
    this.isBroken = this.isCut;
    this.start = this.done;
    const wanted = Math.min(this.bytes.length, data.size - this.done);
    if (wanted === 0) return 0;
    const count = this.file.read(this.bytes.subarray(0, wanted), data.offset + this.done);
    this.done += count;
    progress.bytes += count;
    progress.pages += count;
    progress.quota--;
    if (count < wanted) {
      const missing = data.size - this.done;
      this.sink.condition(
        'truncated-input',
        1,
        data.offset + this.done,
        `CPU ${data.cpu}: expected ${missing} more bytes at byte ${data.offset + this.done}, found the end of the file`,
      );
      this.isCut = true;
      this.done = data.size;
      if (count === 0) this.isBroken = true;
    }
    return count;
  }

  place(offset: number): number {
    return this.data.offset + this.start + offset;
  }
}

/** Pages in compressed chunks: u32 number of chunks, of each u32 compressed size, u32 size, data. */
export class ChunkWindows implements Windows {
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  isBroken = false;
  private readonly file: RandomAccess;
  private readonly data: CpuData;
  private readonly codec: Codec;
  private readonly pageSize: number;
  private readonly isBigEndian: boolean;
  private readonly progress: Progress;
  private readonly sink: ConditionSink;
  private readonly head = Buffer.alloc(8);
  private compressed = new Uint8Array(0);
  private left = -1;
  private position: number;
  private readonly end: number;
  private chunkAt = 0;
  private size = 0;

  constructor(
    file: RandomAccess,
    data: CpuData,
    pageSize: number,
    progress: Progress,
    sink: ConditionSink,
    codec: Codec,
    isBigEndian: boolean,
  ) {
    this.file = file;
    this.data = data;
    this.pageSize = pageSize;
    this.progress = progress;
    this.sink = sink;
    this.codec = codec;
    this.isBigEndian = isBigEndian;
    this.position = data.offset;
    this.end = data.offset + data.size + countSize;
  }

  next(): number {
    this.isBroken = false;
    this.start += this.size;
    this.size = 0;
    if (this.left < 0) {
      if (this.data.size === 0) return 0;
      if (!this.readHead(countSize, 'a number of chunks')) return 0;
      this.left = this.u32(0);
    }
    while (this.left > 0) {
      this.left--;
      this.chunkAt = this.position;
      if (!this.readHead(8, 'a chunk')) return 0;
      const compressedSize = this.u32(0);
      const size = this.u32(4);
      if (size === 0 || size > longestChunk || size % this.pageSize !== 0)
        return this.stop(
          `whole pages of ${this.pageSize} bytes in at most ${longestChunk}`,
          `a chunk of ${size} bytes`,
        );
      if (compressedSize > this.end - this.position)
        return this.stop(`at most ${this.end - this.position} compressed bytes`, `${compressedSize}`);
      if (this.load(compressedSize, size)) return size;
      this.start += size;
    }
    if (this.position < this.end - countSize)
      return this.stop('the end of the chunks', `${this.end - this.position} more bytes`);
    return 0;
  }

  place(): number {
    return this.chunkAt;
  }

  /** Decompresses the chunk at hand. @returns whether it could be used */
  private load(compressedSize: number, size: number): boolean {
    const { progress } = this;
    if (this.compressed.length < compressedSize) {
      progress.reserve(compressedSize - this.compressed.length, this.file);
      this.compressed = new Uint8Array(compressedSize);
    }
    const data = this.compressed.subarray(0, compressedSize);
    const count = this.file.read(data, this.position);
    if (count < compressedSize) {
      this.stop(`${compressedSize} bytes of a chunk`, `${count} bytes before the end of the file`, 'truncated-input');
      return false;
    }
    this.position += compressedSize;
    progress.bytes += compressedSize + 8;
    progress.pages += size;
    progress.quota--;
    if (progress.pages > progress.bytes * mostExpansion + freeExpansion) {
      this.stop(`at most ${mostExpansion} times as much data as the file has bytes`, 'more');
      return false;
    }
    if (this.bytes.length !== size) {
      progress.reserve(size - this.bytes.length, this.file);
      this.bytes = new Uint8Array(size);
    }
    try {
      this.codec.decompress(data, this.bytes);
    } catch (error) {
      this.report('a chunk', (error as Error).message, 'damaged-page');
      return false;
    }
    this.size = size;
    return true;
  }

  private readHead(length: number, what: string): boolean {
    const available = Math.min(length, this.end - this.position);
    const count = this.file.read(this.head.subarray(0, available), this.position);
    if (count < length) {
      const isCut = this.position + length > this.file.size;
      this.stop(what, `${count} bytes`, isCut ? 'truncated-input' : 'damaged-page');
      return false;
    }
    this.position += length;
    return true;
  }

  /** Nothing behind this place can be found any more. */
  private stop(expected: string, found: string, kind: 'truncated-input' | 'damaged-page' = 'damaged-page'): 0 {
    this.report(expected, found, kind);
    this.position = this.end;
    this.left = 0;
    return 0;
  }

  private report(expected: string, found: string, kind: 'truncated-input' | 'damaged-page'): void {
    this.isBroken = true;
    const at = this.chunkAt === 0 ? this.position : this.chunkAt;
    const detail = `CPU ${this.data.cpu}: expected ${expected} at byte ${at}, found ${found}`;
    this.sink.condition(kind, 1, at, detail);
  }

  private u32(at: number): number {
    return this.isBigEndian ? this.head.readUInt32BE(at) : this.head.readUInt32LE(at);
  }
}
