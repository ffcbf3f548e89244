import { deflateSync } from 'node:zlib';

/** How a file is laid out; everything but the records. */
export interface Form {
  readonly version: 6 | 7;
  readonly isBigEndian: boolean;
  readonly longSize: 4 | 8;
  readonly pageSize: number;
  readonly compression: 'none' | 'zlib';
  /** Of the machine, where the buffers' pages (sub-buffers) are larger. */
  readonly machinePage?: number;
}

export const plain: Form = { version: 7, isBigEndian: false, longSize: 8, pageSize: 4096, compression: 'none' };

/** One item of a page, as the kernel writes it. */
export type Item =
  /** a record with its payload; `isBig` gives its length a word of its own */
  | { readonly delta: number; readonly payload: Uint8Array; readonly isBig?: boolean }
  | { readonly extend: number }
  /** absolute time, its lower 59 bits */
  | { readonly stamp: bigint }
  /** a discarded record of so many words */
  | { readonly delta: number; readonly discarded: number }
  | { readonly rest: true };

export interface Page {
  readonly time: bigint;
  readonly items: readonly Item[];
  /** Records lost before the page: their number, or -1 when the kernel had no room for it. */
  readonly lost?: number;
  /** Instead of the length of the items. */
  readonly commit?: number;
}

export interface Buffer_ {
  readonly name: string;
  readonly clock?: string;
  readonly cpus: readonly { readonly cpu: number; readonly pages: readonly Page[] }[];
}

export interface File {
  readonly buffers: readonly Buffer_[];
  /** What a latency tracer printed, instead of buffers. */
  readonly text?: string;
  readonly formats?: readonly (readonly [system: string, text: string])[];
  readonly options?: readonly (readonly [id: number, data: Uint8Array])[];
  readonly kallsyms?: string;
  readonly cmdlines?: string;
}

/** Collects bytes in a file's byte order. */
export class Bytes {
  private readonly parts: Uint8Array[] = [];
  length = 0;
  private readonly form: Form;

  constructor(form: Form) {
    this.form = form;
  }

  raw(...parts: (Uint8Array | string)[]): this {
    for (const part of parts) {
      const bytes = typeof part === 'string' ? Buffer.from(part, 'latin1') : part;
      this.parts.push(bytes);
      this.length += bytes.length;
    }
    return this;
  }

  number(value: number | bigint, size: 1 | 2 | 4 | 8): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt.asUintN(size * 8, BigInt(value)));
    const used = bytes.subarray(0, size);
    return this.raw(this.form.isBigEndian ? Uint8Array.from(used).reverse() : used);
  }

  u16 = (value: number) => this.number(value, 2);
  u32 = (value: number) => this.number(value, 4);
  u64 = (value: number | bigint) => this.number(value, 8);
  long = (value: number | bigint) => this.number(value, this.form.longSize);
  text = (value: string) => this.raw(`${value}\0`);

  align(size: number): this {
    return this.raw(new Uint8Array((size - (this.length % size)) % size));
  }

  done(): Buffer {
    return Buffer.concat(this.parts, this.length);
  }
}

/** An event's format text with fields of (declaration, offset, size, signed). */
export function format(
  name: string,
  id: number,
  fields: readonly (readonly [declaration: string, offset: number, size: number, isSigned: boolean])[],
): string {
  const all = [
    ['unsigned short common_type', 0, 2, false],
    ['unsigned char common_flags', 2, 1, false],
    ['unsigned char common_preempt_count', 3, 1, false],
    ['int common_pid', 4, 4, true],
    ...fields,
  ] as const;
  const lines = all.map(([declaration, offset, size, isSigned], index) => {
    const blank = index === 3 ? '\n' : '';
    return `\tfield:${declaration};\toffset:${offset};\tsize:${size};\tsigned:${isSigned ? 1 : 0};\n${blank}`;
  });
  return `name: ${name}\nID: ${id}\nformat:\n${lines.join('')}\nprint fmt: ""\n`;
}

function word(form: Form, type: number, delta: number): number {
  return form.isBigEndian ? type * 0x8000000 + delta : delta * 32 + type;
}

function pageBytes(form: Form, page: Page): Buffer {
  const items = new Bytes(form);
  for (const item of page.items) {
    if ('payload' in item) {
      const words = Math.ceil(item.payload.length / 4);
      if (item.isBig || words > 28 || words === 0) items.u32(word(form, 0, item.delta)).u32(item.payload.length + 4);
      else items.u32(word(form, words, item.delta));
      items.raw(item.payload).align(4);
    } else if ('extend' in item) {
      items.u32(word(form, 30, item.extend % 0x8000000)).u32(Math.floor(item.extend / 0x8000000));
    } else if ('stamp' in item) {
      items.u32(word(form, 31, Number(item.stamp & 0x7ffffffn))).u32(Number((item.stamp >> 27n) & 0xffffffffn));
    } else if ('discarded' in item) {
      items.u32(word(form, 29, item.delta)).u32(item.discarded * 4);
      items.raw(new Uint8Array(item.discarded * 4 - 4));
    } else {
      items.u32(word(form, 29, 0));
    }
  }
  const lost = page.lost ?? 0;
  const flags = (lost === 0 ? 0 : 0x80000000) + (lost > 0 ? 0x40000000 : 0);
  const bytes = new Bytes(form)
    .u64(page.time)
    .long((page.commit ?? items.length) + flags)
    .raw(items.done());
  if (lost > 0) bytes.long(lost);
  if (bytes.length > form.pageSize) throw new RangeError('the items do not fit the page');
  // What the kernel leaves behind the data is no zeros.
  return bytes.raw(new Uint8Array(form.pageSize - bytes.length).fill(0xa5)).done();
}

/** As the kernel describes the pages of the top buffer, whatever the machine's pages are. */
const headerPage = ({ longSize, pageSize }: Form) =>
  '\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n' +
  `\tfield: local_t commit;\toffset:8;\tsize:${longSize};\tsigned:1;\n` +
  `\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n` +
  `\tfield: char data;\toffset:${8 + longSize};\tsize:${pageSize - 8 - longSize};\tsigned:1;\n`;
const headerEvent = '# compressed entry header\n\ttype_len    :    5 bits\n\ttime_delta  :   27 bits\n';

const clocks = (clock: string) => `[${clock}] global counter\n`;

/** The parts that both versions have. */
function parts(form: Form, file: File) {
  const make = () => new Bytes(form);
  const page = headerPage(form);
  const formats = file.formats ?? [];
  const ftrace = formats.filter(([system]) => system === 'ftrace');
  const systems = [...new Set(formats.map(([system]) => system))].filter((system) => system !== 'ftrace');
  const header = make().text('header_page').u64(page.length).raw(page);
  header.text('header_event').u64(headerEvent.length).raw(headerEvent);
  const ftraceFormats = make().u32(ftrace.length);
  for (const [, text] of ftrace) ftraceFormats.u64(text.length).raw(text);
  const events = make().u32(systems.length);
  for (const system of systems) {
    const own = formats.filter(([other]) => other === system);
    events.text(system).u32(own.length);
    for (const [, text] of own) events.u64(text.length).raw(text);
  }
  const kallsyms = file.kallsyms ?? '';
  const cmdlines = file.cmdlines ?? '';
  return {
    header: header.done(),
    ftrace: ftraceFormats.done(),
    events: events.done(),
    kallsyms: make().u32(kallsyms.length).raw(kallsyms).done(),
    printk: make().u32(0).done(),
    cmdlines: make().u64(cmdlines.length).raw(cmdlines).done(),
  };
}

function begin(form: Form): Bytes {
  return new Bytes(form)
    .raw('\x17\x08\x44tracing')
    .text(`${form.version}`)
    .number(form.isBigEndian ? 1 : 0, 1)
    .number(8, 1)
    .u32(form.machinePage ?? form.pageSize);
}

/** A whole trace.dat. */
export function traceDat(form: Form, file: File): Buffer {
  return form.version === 6 ? version6(form, file) : version7(form, file);
}

function version6(form: Form, file: File): Buffer {
  const { header, ftrace, events, kallsyms, printk, cmdlines } = parts(form, file);
  const [top, ...instances] = file.buffers;
  const count = 1 + Math.max(...file.buffers.flatMap(({ cpus }) => cpus.map(({ cpu }) => cpu)), 0);
  const build = (places: readonly number[], tables: readonly Buffer[]) => {
    const bytes = begin(form).raw(header, ftrace, events, kallsyms, printk, cmdlines).u32(count);
    bytes.raw('options  \0').u16(4).u32(0);
    for (const [index, { name }] of instances.entries()) {
      bytes.u16(3).u32(9 + name.length);
      bytes.u64(places[index] ?? 0).text(name);
    }
    for (const [id, data] of file.options ?? []) bytes.u16(id).u32(data.length).raw(data);
    if (file.text !== undefined) return { bytes: bytes.u16(0).raw('latency  \0', file.text), places: [] };
    bytes
      .u16(0)
      .raw('flyrecord\0')
      .raw(tables[0] ?? new Uint8Array(count * 16));
    const clock = clocks(top?.clock ?? 'local');
    bytes.u64(clock.length).raw(clock);
    const found = instances.map((_, index) => {
      const place = bytes.length;
      bytes.raw('flyrecord\0').raw(tables[index + 1] ?? new Uint8Array(count * 16));
      return place;
    });
    return { bytes, places: found };
  };
  const first = build([], []);
  if (file.text !== undefined) return first.bytes.done();
  let at = Math.ceil(first.bytes.length / form.pageSize) * form.pageSize;
  const data: Uint8Array[] = [];
  const tables = file.buffers.map(({ cpus }) => {
    const table = new Bytes(form);
    for (let cpu = 0; cpu < count; cpu++) {
      const pages = cpus.find((own) => own.cpu === cpu)?.pages ?? [];
      const bytes = Buffer.concat(pages.map((page) => pageBytes(form, page)));
      table.u64(at).u64(bytes.length);
      data.push(bytes);
      at += bytes.length;
    }
    return table.done();
  });
  return build(first.places, tables)
    .bytes.align(form.pageSize)
    .raw(...data)
    .done();
}

function version7(form: Form, file: File): Buffer {
  const isCompressed = form.compression !== 'none';
  const bytes = begin(form)
    .text(form.compression)
    .text(isCompressed ? '1' : '');
  const firstOptions = bytes.length;
  const sections: [number, Uint8Array][] = [];
  const p = parts(form, file);
  sections.push([16, p.header], [17, p.ftrace], [18, p.events], [19, p.kallsyms], [20, p.printk], [21, p.cmdlines]);
  bytes.u64(0);
  const options = new Bytes(form);
  for (const [id, content] of sections) {
    options.u16(id).u32(8).u64(bytes.length);
    bytes
      .u16(id)
      .u16(isCompressed ? 1 : 0)
      .u32(0);
    if (isCompressed) {
      const data = deflateSync(content);
      bytes
        .u64(data.length + 8)
        .u32(data.length)
        .u32(content.length)
        .raw(data);
    } else bytes.u64(content.length).raw(content);
  }
  for (const [id, data] of file.options ?? []) options.u16(id).u32(data.length).raw(data);
  const done = patched(form, bytes, firstOptions);
  section(form, bytes, options, done);
  if (file.text !== undefined) {
    const option = new Bytes(form).u64(bytes.length).text('').text('local');
    const text = Buffer.from(file.text);
    const content = isCompressed ? chunks(form, [text]) : text;
    bytes
      .u16(22)
      .u16(isCompressed ? 1 : 0)
      .u32(0)
      .u64(content.length)
      .raw(content);
    section(form, bytes, new Bytes(form).u16(22).u32(option.length).raw(option.done()), done);
  }
  for (const buffer of file.buffers) {
    const place = bytes.length;
    const option = new Bytes(form)
      .u64(place)
      .text(buffer.name)
      .text(buffer.clock ?? 'local')
      .u32(form.pageSize);
    option.u32(buffer.cpus.length);
    const data = new Bytes(form);
    // Pages lie at page boundaries of the file.
    const start = isCompressed ? place + 16 : Math.ceil((place + 16) / form.pageSize) * form.pageSize;
    data.raw(new Uint8Array(start - place - 16));
    for (const { cpu, pages } of buffer.cpus) {
      const content = pages.map((page) => pageBytes(form, page));
      const stored = isCompressed ? chunks(form, content) : Buffer.concat(content);
      option
        .u32(cpu)
        .u64(place + 16 + data.length)
        .u64(stored.length);
      data.raw(stored);
    }
    bytes
      .u16(3)
      .u16(isCompressed ? 1 : 0)
      .u32(0)
      .u64(data.length)
      .raw(data.done());
    const own = new Bytes(form).u16(3).u32(option.length).raw(option.done());
    section(form, bytes, own, done);
  }
  return done.finish();
}

/** Pages, two to a chunk. */
function chunks(form: Form, pages: readonly Uint8Array[]): Buffer {
  const groups: Buffer[] = [];
  for (let at = 0; at < pages.length; at += 2) groups.push(Buffer.concat(pages.slice(at, at + 2)));
  const bytes = new Bytes(form).u32(groups.length);
  for (const group of groups) {
    const data = deflateSync(group);
    bytes.u32(data.length).u32(group.length).raw(data);
  }
  return bytes.done();
}

/** Options sections refer to the next one, whose place is known only when it is written. */
function patched(form: Form, bytes: Bytes, first: number) {
  const patches: [at: number, value: number][] = [];
  let last = first;
  return {
    section(place: number, link: number) {
      patches.push([last, place]);
      last = link;
    },
    finish(): Buffer {
      const file = bytes.done();
      for (const [at, value] of patches)
        form.isBigEndian ? file.writeBigUInt64BE(BigInt(value), at) : file.writeBigUInt64LE(BigInt(value), at);
      return file;
    },
  };
}

function section(form: Form, bytes: Bytes, options: Bytes, done: ReturnType<typeof patched>): void {
  const content = options.u16(0).u32(8).u64(0).done();
  const place = bytes.length;
  bytes.u16(0).u16(0).u32(0).u64(content.length).raw(content);
  done.section(place, bytes.length - 8);
  if (form.version !== 7) throw new RangeError('only version 7 has sections');
}
