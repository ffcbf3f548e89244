/** What a generated trace.dat takes over from a real recording: event formats, kallsyms, host strings. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Ids of options and, where both have one, of sections. */
export const ids = {
  buffer: 3,
  traceClock: 4,
  uname: 5,
  cpuCount: 8,
  version: 9,
  traceId: 11,
  headers: 16,
  ftrace: 17,
  formats: 18,
  kallsyms: 19,
  printk: 20,
  cmdlines: 21,
} as const;

export interface Format {
  readonly id: number;
  /** By name: offset and size in bytes, from the start of the record. */
  readonly fields: ReadonlyMap<string, { readonly offset: number; readonly size: number }>;
}

export interface Metadata {
  /** The file's first bytes, up to where the compressor is named. */
  readonly prefix: Buffer;
  /** Contents of the sections `headers` to `printk`, uncompressed, by section id. */
  readonly sections: ReadonlyMap<number, Buffer>;
  /** Option data that describes the host and the clock, by option id. */
  readonly options: ReadonlyMap<number, Buffer>;
  /** By event name; a name that two systems have is the first one's. */
  readonly formats: ReadonlyMap<string, Format>;
  /** Address of a kernel function, from the recording's kallsyms. */
  readonly address: (symbol: string) => bigint;
}

/** Reads a version 7 little-endian recording; trace-cmd takes the compression off first. */
export function readMetadata(recording: string): Metadata {
  const folder = mkdtempSync(join(tmpdir(), 'timervet-bench-'));
  try {
    const plain = join(folder, 'plain.dat');
    execFileSync('trace-cmd', ['convert', '-i', recording, '-o', plain, '--compression', 'none'], { stdio: 'pipe' });
    return parse(readFileSync(plain), recording);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function parse(file: Buffer, name: string): Metadata {
  const header = Buffer.from('\x17\x08\x44tracing7\0\0\x08\0\x10\0\0none\0\0', 'latin1');
  if (!file.subarray(0, header.length).equals(header)) {
    throw new Error(`${name}: expected a little-endian trace.dat of version 7 with pages of 4096 bytes`);
  }
  const sections = new Map<number, Buffer>();
  const options = new Map<number, Buffer>();
  let next = Number(file.readBigUInt64LE(header.length));
  while (next !== 0) {
    let at = next + 16;
    next = 0;
    for (let done = false; !done; ) {
      const id = file.readUInt16LE(at);
      const data = file.subarray(at + 6, at + 6 + file.readUInt32LE(at + 2));
      at += 6 + data.length;
      if (id === 0) {
        next = Number(data.readBigUInt64LE(0));
        done = true;
      } else if (id >= ids.headers && id <= ids.cmdlines) {
        const section = Number(data.readBigUInt64LE(0));
        const size = Number(file.readBigUInt64LE(section + 8));
        sections.set(id, file.subarray(section + 16, section + 16 + size));
      } else if (id === ids.traceClock || id === ids.uname || id === ids.version || id === ids.traceId) {
        options.set(id, data);
      }
    }
  }
  const kallsyms = sections.get(ids.kallsyms)!.toString('latin1');
  return {
    prefix: header,
    sections,
    options,
    formats: parseFormats(sections.get(ids.formats)!.toString('latin1')),
    address: (symbol) => {
      const line = new RegExp(`^([0-9a-f]+) . ${symbol}$`, 'm').exec(kallsyms);
      if (!line) throw new Error(`${name}: expected ${symbol} in kallsyms`);
      return BigInt(`0x${line[1]}`);
    },
  };
}

function parseFormats(text: string): Map<string, Format> {
  const formats = new Map<string, Format>();
  for (const [, name, id, body] of text.matchAll(/name: (\w+)\nID: (\d+)\nformat:\n([\s\S]*?)\nprint fmt:/g)) {
    const fields = new Map<string, { offset: number; size: number }>();
    for (const [, field, offset, size] of body!.matchAll(
      /\bfield:[^;]*?(\w+)(?:\[\d*\])?;\toffset:(\d+);\tsize:(\d+);/g,
    )) {
      fields.set(field!, { offset: Number(offset), size: Number(size) });
    }
    if (!formats.has(name!)) formats.set(name!, { id: Number(id), fields });
  }
  return formats;
}
