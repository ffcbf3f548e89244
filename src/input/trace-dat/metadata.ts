import type { ConditionSink } from '../../events/conditions.js';
import { InputError } from '../errors.js';
import type { Cursor } from './cursor.js';
import type { Formats } from './formats.js';

/** Largest text of one event's format. */
const longestFormat = 1 << 20;

/** Most thread names: a kernel keeps at most PID_MAX_DEFAULT (32768), each of TASK_COMM_LEN (16). */
const mostComms = 65_536;
const longestCmdlines = 4 * 1024 * 1024;

/** Longest text of /proc/kallsyms: distributions' kernels with their modules have 5 to 15 MB. */
const longestKallsyms = 48 * 1024 * 1024;

/** Longest text of `header_page`; kernels print four lines. */
const longestHeader = 64 * 1024;

/** What `header_page` says of the pages of the top buffer. */
export interface HeaderInfo {
  /** Bytes of the kernel's `long`: those of the field `commit`. */
  readonly longSize: 4 | 8;
  /** Bytes of a page, up to the end of its field `data`; undefined where that is not described. */
  readonly pageSize: number | undefined;
}

/**
 * Reads `header_page`, and passes over `header_event`.
 *
 * @throws InputError when the texts are not there
 */
export function readHeaderInfo(cursor: Cursor): HeaderInfo {
  cursor.expect('header_page\0', 'the page header');
  const at = cursor.position;
  const length = cursor.u64('a length');
  if (length > longestHeader) throw cursor.error(at, `a page header of at most ${longestHeader} bytes`, `${length}`);
  const page = cursor.bytes(length, 'the page header').toString('latin1');
  const size = headerField(page, 'commit', '8')?.size;
  if (size !== 4 && size !== 8) throw cursor.error(at, 'the size of `commit` (4 or 8)', JSON.stringify(size ?? ''));
  cursor.expect('header_event\0', 'the event header');
  cursor.skip(cursor.u64('a length'), 'the event header');
  const data = headerField(page, 'data', '\\d{1,3}');
  return { longSize: size, pageSize: data && data.offset + data.size };
}

function headerField(text: string, name: string, at: string): { offset: number; size: number } | undefined {
  const line = new RegExp(`field:[^;\\n]{0,100}\\b${name};\\s{0,8}offset:(${at});\\s{0,8}size:(\\d{1,9});`).exec(text);
  return line === null ? undefined : { offset: Number(line[1]), size: Number(line[2]) };
}

/** The formats of ftrace's own events: u32 count, each u64 length and text. */
export function readFtraceFormats(cursor: Cursor, formats: Formats): void {
  const count = cursor.u32('a number of event formats');
  for (let index = 0; index < count; index++) formats.add('ftrace', readFormat(cursor));
}

/** The formats of all systems: u32 count, each a name and its formats. */
export function readEventFormats(cursor: Cursor, formats: Formats): void {
  const systems = cursor.u32('a number of event systems');
  for (let system = 0; system < systems; system++) {
    const name = cursor.string('the name of an event system');
    const count = cursor.u32('a number of event formats');
    for (let index = 0; index < count; index++) formats.add(name, readFormat(cursor));
  }
}

function readFormat(cursor: Cursor): Buffer {
  const at = cursor.position;
  const length = cursor.u64('the length of an event format');
  if (length > longestFormat) throw cursor.error(at, `an event format of at most ${longestFormat} bytes`, `${length}`);
  return cursor.bytes(length, 'an event format');
}

/**
 * `PID NAME` lines.
 *
 * @throws InputError when there are more than a kernel keeps
 */
export function readCmdlines(cursor: Cursor): Map<number, string> {
  const at = cursor.position;
  const length = cursor.u64('the length of the thread names');
  if (length > longestCmdlines) throw cursor.error(at, `thread names of at most ${longestCmdlines} bytes`, `${length}`);
  const text = cursor.bytes(length, 'the thread names').toString('utf8');
  const comms = new Map<number, string>();
  for (const [, pid, comm] of text.matchAll(/^(\d{1,10}) (.*)$/gm)) {
    comms.set(Number(pid), comm!);
    if (comms.size > mostComms) throw cursor.error(at, `at most ${mostComms} thread names`, 'more');
  }
  return comms;
}

/**
 * Text of /proc/kallsyms.
 *
 * @throws InputError when it is longer than that of any kernel
 */
export function readKallsyms(cursor: Cursor, length: number): Buffer {
  if (length > longestKallsyms)
    throw cursor.error(cursor.position, `kallsyms of at most ${longestKallsyms} bytes`, `${length}`);
  return cursor.bytes(length, 'kallsyms');
}

/** What stands beside the records: without it they can still be checked. */
export function beside<T>(sink: ConditionSink, what: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    sink.condition('damaged-metadata', 1, 0, `${what}: ${error.message}`);
    return undefined;
  }
}
