/** Writes an uncompressed trace.dat of version 7, a page at a time, in constant memory. */
import { closeSync, ftruncateSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { ids, type Metadata } from './metadata.js';

const pageSize = 4096;
const pageHeader = 16;
/** Pages that a CPU collects before they are written. */
const pagesHeld = 64;
const flushed = Buffer.alloc(1 << 20);

/** One CPU's ring-buffer pages, collected in a file of their own until the sizes of all CPUs are known. */
export class CpuStream {
  readonly #buffer = Buffer.alloc(pageSize * pagesHeld);
  /** Where {@link reserve} puts payloads. */
  readonly view = new DataView(this.#buffer.buffer, this.#buffer.byteOffset, this.#buffer.length);
  readonly path: string;
  readonly #fd: number;
  #page = 0;
  #used = 0;
  #time = 0;
  events = 0;
  /** In the file, in bytes. */
  size = 0;
  /** Of the payloads and their record headers, in bytes. */
  bytes = 0;

  constructor(path: string) {
    this.path = path;
    this.#fd = openSync(path, 'w+');
  }

  /**
   * Appends a record.
   *
   * @param time nanoseconds, not before the record before it
   * @param length of the payload in bytes, a multiple of 4 up to 112
   * @returns where in `view` the zeroed payload starts; valid until the next call
   */
  reserve(time: number, length: number): number {
    const delta = time - this.#time;
    const extended = delta >= 1 << 27;
    const needed = 4 + length + (extended ? 8 : 0);
    if (this.#used === 0 || this.#used + needed > pageSize) {
      this.#nextPage(time);
      return this.#append(0, length);
    }
    this.#time = time;
    if (extended) {
      const at = this.#page * pageSize + this.#used;
      this.view.setUint32(at, (30 | ((delta % (1 << 27)) << 5)) >>> 0, true);
      this.view.setUint32(at + 4, Math.floor(delta / (1 << 27)), true);
      this.#used += 8;
      return this.#append(0, length);
    }
    return this.#append(delta, length);
  }

  #append(delta: number, length: number): number {
    const at = this.#page * pageSize + this.#used;
    this.view.setUint32(at, ((length >> 2) | (delta << 5)) >>> 0, true);
    for (let i = 4; i <= length; i += 4) this.view.setUint32(at + i, 0, true);
    this.#used += 4 + length;
    this.bytes += 4 + length;
    this.events++;
    return at + 4;
  }

  #nextPage(time: number): void {
    if (this.#used > 0) this.#closePage();
    const at = this.#page * pageSize;
    this.view.setUint32(at, time >>> 0, true);
    this.view.setUint32(at + 4, Math.floor(time / 2 ** 32), true);
    this.#used = pageHeader;
    this.#time = time;
  }

  #closePage(): void {
    const at = this.#page * pageSize;
    this.view.setUint32(at + 8, this.#used - pageHeader, true);
    this.view.setUint32(at + 12, 0, true);
    this.#buffer.fill(0, at + this.#used, at + pageSize);
    this.#used = 0;
    this.#page++;
    if (this.#page === pagesHeld) this.#flush();
  }

  #flush(): void {
    this.size += writeSync(this.#fd, this.#buffer, 0, this.#page * pageSize);
    this.#page = 0;
  }

  /** Ends the last page. */
  finish(): void {
    if (this.#used > 0) this.#closePage();
    this.#flush();
  }

  /** Appends all pages to a file, and removes the own one. */
  moveTo(out: number, position: number): void {
    for (let from = 0; from < this.size; ) {
      const read = readSync(this.#fd, flushed, 0, flushed.length, from);
      writeSync(out, flushed, 0, read, position + from);
      from += read;
    }
    closeSync(this.#fd);
    rmSync(this.path);
  }
}

export class DatWriter {
  readonly cpus: readonly CpuStream[];
  readonly #path: string;
  readonly #metadata: Metadata;

  constructor(path: string, metadata: Metadata, cpus: number) {
    this.#path = path;
    this.#metadata = metadata;
    this.cpus = Array.from({ length: cpus }, (_, cpu) => new CpuStream(`${path}.cpu${cpu}`));
  }

  /**
   * Puts the file together.
   *
   * @param comms names of threads by pid
   * @param clock the trace clock that the times are of
   */
  finish(comms: ReadonlyMap<number, string>, clock: string): void {
    const { prefix, sections, options } = this.#metadata;
    for (const cpu of this.cpus) cpu.finish();
    const cmdlines = Buffer.from([...comms].map(([pid, comm]) => `${pid} ${comm}\n`).join(''));
    const contents = new Map(sections).set(ids.cmdlines, Buffer.concat([u64(cmdlines.length), cmdlines]));

    const head: Buffer[] = [prefix, u64(0)];
    let at = prefix.length + 8;
    const places: Buffer[] = [];
    for (const [id, content] of contents) {
      places.push(option(id, u64(at)));
      head.push(section(id, content.length), content);
      at += 16 + content.length;
    }
    const fixed = [...options].map(([id, data]) => option(id, data));
    const statistics = this.cpus.map((stream, cpu) => option(2, cpuStatistics(cpu, stream)));
    const optionsAt = at;
    const pairs = this.cpus.length;
    const bufferSize = 8 + 1 + clock.length + 1 + 4 + 4 + pairs * 20;
    const before = Buffer.concat([...fixed, ...statistics, option(ids.cpuCount, u32(pairs)), ...places]);
    const optionsSize = before.length + 6 + bufferSize + 14;
    const bufferAt = optionsAt + 16 + optionsSize;
    const dataAt = aligned(bufferAt + 16);

    const positions: number[] = [];
    let end = dataAt;
    for (const cpu of this.cpus) {
      positions.push(end);
      end += cpu.size;
    }
    const buffer = Buffer.concat([
      u64(bufferAt),
      Buffer.from(`\0${clock}\0`, 'latin1'),
      u32(pageSize),
      u32(pairs),
      ...this.cpus.flatMap((cpu, i) => [u32(i), u64(positions[i]!), u64(cpu.size)]),
    ]);
    head[1] = u64(optionsAt);
    head.push(section(0, optionsSize), before, option(ids.buffer, buffer), option(0, u64(0)));
    head.push(section(ids.buffer, end - bufferAt - 16));

    const out = openSync(this.#path, 'w');
    const bytes = Buffer.concat(head);
    if (bytes.length !== bufferAt + 16) throw new Error('the sections do not end where the options say');
    writeSync(out, bytes, 0, bytes.length, 0);
    for (const [i, cpu] of this.cpus.entries()) cpu.moveTo(out, positions[i]!);
    ftruncateSync(out, end);
    closeSync(out);
  }
}

const aligned = (offset: number) => Math.ceil(offset / pageSize) * pageSize;

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function option(id: number, data: Buffer): Buffer {
  const head = Buffer.alloc(6);
  head.writeUInt16LE(id, 0);
  head.writeUInt32LE(data.length, 2);
  return Buffer.concat([head, data]);
}

/** A section's header; neither compressed nor described. */
function section(id: number, size: number): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt16LE(id, 0);
  head.writeBigUInt64LE(BigInt(size), 8);
  return head;
}

/** What `per_cpu/cpuN/stats` of a ring buffer without loss says. */
function cpuStatistics(cpu: number, { events, bytes }: CpuStream): Buffer {
  return Buffer.from(
    `CPU: ${cpu}\nentries: ${events}\noverrun: 0\ncommit overrun: 0\nbytes: ${bytes}\ndropped events: 0\nread events: 0\n\n\0`,
  );
}
