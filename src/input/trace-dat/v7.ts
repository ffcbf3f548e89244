import type { ConditionSink } from '../../events/conditions.js';
import { InputError } from '../errors.js';
import type { RandomAccess } from '../random-access.js';
import type { Codec } from './compression.js';
import { type Bytes, bytesOf, Cursor } from './cursor.js';
import type { Formats } from './formats.js';
import type { BufferLayout, CpuData, Layout } from './layout.js';
import {
  beside,
  type HeaderInfo,
  readCmdlines,
  readEventFormats,
  readFtraceFormats,
  readHeaderInfo,
  readKallsyms,
} from './metadata.js';
import { OptionId, Options } from './options.js';

/** Bytes of a section header: u16 id, u16 flags, u32 string id, u64 size. */
const headerSize = 16;
const compressedFlag = 1;

/** Bytes of a CPU in a buffer's table: u32 number, u64 place, u64 size. */
const cpuSize = 20;

/** Section that holds the pages of a buffer. */
const flyrecord = 3;

/** Largest section that is taken into memory; kallsyms have some ten megabytes. */
const longestSection = 128 * 1024 * 1024;

/** Symbols compress to a fifth and event formats to a twentieth: more than this comes out of no section. */
const mostExpansion = 64;
const freeExpansion = 16 * 1024 * 1024;

/** More OPTIONS sections than a writer makes: one at the start and one for each buffer. */
const mostOptionSections = 1024;

const cure = 'the file is damaged; copy it again';

interface Section {
  readonly flags: number;
  /** Place of its content in the file, and bytes of it there. */
  readonly start: number;
  readonly size: number;
}

/** Reads the sections of a file of version 7. */
export class Version7 {
  private readonly file: RandomAccess;
  private readonly isBigEndian: boolean;
  private readonly codec: Codec | undefined;
  private readonly sink: ConditionSink;
  private readonly options = new Options();
  private readonly sections = new Map<number, number>();
  private readonly buffers: BufferLayout[] = [];
  private text: Bytes | undefined;
  /** Bytes that may still come out of the file's sections. */
  private expansion = freeExpansion;

  constructor(file: RandomAccess, isBigEndian: boolean, codec: Codec | undefined, sink: ConditionSink) {
    this.file = file;
    this.isBigEndian = isBigEndian;
    this.codec = codec;
    this.sink = sink;
  }

  /**
   * @param firstOptions place of the first OPTIONS section
   * @throws InputError when no records can be found or understood
   */
  read(firstOptions: number, formats: Formats): Layout {
    const seen = new Set<number>();
    for (let at = firstOptions; at !== 0; at = this.readOptions(at)) {
      if (seen.has(at) || seen.size >= mostOptionSections)
        throw new InputError(`byte ${at}: the chain of OPTIONS sections never ends: ${cure}`);
      seen.add(at);
    }
    let header: HeaderInfo = { longSize: 8, pageSize: undefined };
    if (this.text === undefined || this.buffers.length > 0) {
      header = readHeaderInfo(this.needed(OptionId.headerInfo, 'the header of a page'));
      const ftrace = this.optional(OptionId.ftraceEvents);
      if (ftrace !== undefined) readFtraceFormats(ftrace, formats);
      readEventFormats(this.needed(OptionId.eventFormats, 'the event formats'), formats);
    }
    const { options } = this;
    return {
      version: 7,
      isBigEndian: this.isBigEndian,
      longSize: header.longSize,
      headerPageSize: header.pageSize,
      buffers: this.buffers,
      text: this.text,
      formats,
      comms: this.comms(),
      kallsyms: () => this.kallsyms(),
      kernel: options.kernel,
      cpus: options.cpus,
      clock: options.times,
      guests: options.guests,
      stats: options.stats,
      counts: options.counts,
    };
  }

  /** Takes the options of one section. @returns the place of the next OPTIONS section, 0 after the last. */
  private readOptions(at: number): number {
    const cursor = this.content(at, OptionId.done, 'an OPTIONS section');
    while (cursor.left > 0) {
      const id = cursor.u16('the id of an option');
      const size = cursor.u32('the size of an option');
      if (id === OptionId.done) return size >= 8 ? cursor.u64('the place of the next OPTIONS section') : 0;
      const place = cursor.position;
      const data = cursor.bytes(size, `option ${id}`);
      this.take(id, data, place);
    }
    throw cursor.error(cursor.position, 'the option that ends its section', 'the end');
  }

  private take(id: number, data: Buffer, at: number): void {
    if (this.options.take(id, data, this.isBigEndian, at)) return;
    const cursor = new Cursor(bytesOf(data), this.isBigEndian, 0, ` of the option at byte ${at}`);
    switch (id) {
      case OptionId.buffer:
        this.buffers.push(this.buffer(cursor));
        return;
      case OptionId.bufferText:
        this.text ??= this.textBuffer(cursor);
        return;
      case OptionId.headerInfo:
      case OptionId.ftraceEvents:
      case OptionId.eventFormats:
      case OptionId.kallsyms:
      case OptionId.cmdlines:
        this.sections.set(id, cursor.u64('the place of a section'));
    }
  }

  private buffer(cursor: Cursor): BufferLayout {
    const at = cursor.u64('the place of a buffer');
    const name = cursor.string('the name of a buffer');
    const clock = cursor.string('the clock of a buffer');
    const pageSize = cursor.u32('a page size');
    const count = cursor.u32('a number of CPUs');
    const cpus: CpuData[] = [];
    for (let index = 0; index < count; index++)
      cpus.push({ cpu: cursor.u32('a CPU'), offset: cursor.u64('a place'), size: cursor.u64('a size') });
    if (cursor.left >= cpuSize) throw cursor.error(cursor.position, 'the end of the table of CPUs', 'more CPUs');
    const isCompressed =
      count > 0 && (this.header(at, flyrecord, 'the pages of a buffer').flags & compressedFlag) !== 0;
    if (isCompressed && this.codec === undefined)
      throw new InputError(
        `byte ${at}: expected no compression, as the header says, found a compressed buffer: ${cure}`,
      );
    return { name, clock, pageSize, isCompressed, cpus };
  }

  /** Text of a latency tracer: u64 place, name, clock. */
  private textBuffer(cursor: Cursor): Bytes {
    const { flags, start, size } = this.header(cursor.u64('the place of a text'), OptionId.bufferText, 'a text');
    if ((flags & compressedFlag) === 0)
      return { size, read: (into, position) => this.file.read(into.subarray(0, size - position), start + position) };
    return bytesOf(this.chunks(new Cursor(this.file, this.isBigEndian, start, '', start + size)));
  }

  /** A list of chunks as a whole. */
  private chunks(cursor: Cursor): Buffer {
    const parts: Uint8Array[] = [];
    let total = 0;
    const count = cursor.u32('a number of chunks');
    for (let index = 0; index < count; index++) {
      const part = this.decompress(cursor);
      total += part.length;
      if (total > longestSection) throw cursor.error(cursor.position, `at most ${longestSection} bytes`, 'more');
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  private kallsyms(): Uint8Array | undefined {
    return beside(this.sink, 'the symbols of the kernel', () => {
      const cursor = this.optional(OptionId.kallsyms);
      return cursor && readKallsyms(cursor, cursor.u32('the length of kallsyms'));
    });
  }

  private comms(): ReadonlyMap<number, string> {
    const read = () => {
      const cursor = this.optional(OptionId.cmdlines);
      return cursor === undefined ? undefined : readCmdlines(cursor);
    };
    return beside(this.sink, 'the names of the threads', read) ?? new Map();
  }

  private needed(id: number, what: string): Cursor {
    const cursor = this.optional(id);
    if (cursor !== undefined) return cursor;
    throw new InputError(
      `the file has no section with ${what} (option ${id}): it is not the whole output of trace-cmd; copy it again`,
    );
  }

  private optional(id: number): Cursor | undefined {
    const at = this.sections.get(id);
    return at === undefined ? undefined : this.content(at, id, `section ${id}`);
  }

  private content(at: number, id: number, what: string): Cursor {
    const { flags, start, size } = this.header(at, id, what);
    const cursor = new Cursor(this.file, this.isBigEndian, start, '', start + size);
    if ((flags & compressedFlag) === 0) {
      if (start + size > this.file.size)
        throw cursor.error(start, `${size} bytes of ${what}`, `${this.file.size - start}`);
      return cursor;
    }
    return new Cursor(bytesOf(this.decompress(cursor)), this.isBigEndian, 0, ` of the section at byte ${at}`);
  }

  private header(at: number, id: number, what: string): Section {
    const cursor = new Cursor(this.file, this.isBigEndian, at);
    if (at + headerSize > this.file.size) throw cursor.error(at, what, `the end of the file at byte ${this.file.size}`);
    const found = cursor.u16(what);
    if (found !== id) throw cursor.error(at, `${what} (id ${id})`, `id ${found}`);
    const flags = cursor.u16('flags');
    cursor.skip(4, 'the name of a section');
    const size = cursor.u64('the size of a section');
    return { flags, start: at + headerSize, size };
  }

  /** One compressed block: u32 compressed size, u32 size, data. */
  private decompress(cursor: Cursor): Uint8Array {
    const at = cursor.position;
    if (this.codec === undefined) throw cursor.error(at, 'no compression, as the header says', 'a compressed section');
    const compressed = cursor.u32('a compressed size');
    const size = cursor.u32('a size');
    if (size > longestSection) throw cursor.error(at, `a section of at most ${longestSection} bytes`, `${size}`);
    const data = cursor.bytes(compressed, 'compressed data');
    this.expansion += compressed * mostExpansion - size;
    if (this.expansion < 0)
      throw cursor.error(at, `at most ${mostExpansion} times as much as the sections have bytes`, `${size} bytes more`);
    const bytes = new Uint8Array(size);
    try {
      this.codec.decompress(data, bytes);
      return bytes;
    } catch (error) {
      throw cursor.error(at, 'a compressed section', (error as Error).message);
    }
  }
}
