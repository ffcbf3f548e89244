import type { Cursor } from './cursor.js';
import type { Formats } from './formats.js';

/** Largest text of one event's format. */
const longestFormat = 1 << 20;

/**
 * `header_page` and `header_event`: the size of the field `commit` is that of the kernel's `long`.
 *
 * @throws InputError when the texts are not there
 */
export function readHeaderInfo(cursor: Cursor): 4 | 8 {
  cursor.expect('header_page\0', 'the page header');
  const at = cursor.position;
  const page = cursor.bytes(cursor.u64('a length'), 'the page header').toString('latin1');
  const size = /field:[^;]*\bcommit;\s*offset:8;\s*size:(\d+);/.exec(page)?.[1];
  if (size !== '4' && size !== '8') throw cursor.error(at, 'the size of `commit` (4 or 8)', JSON.stringify(size ?? ''));
  cursor.expect('header_event\0', 'the event header');
  cursor.skip(cursor.u64('a length'), 'the event header');
  return size === '4' ? 4 : 8;
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

/** `PID NAME` lines. */
export function readCmdlines(cursor: Cursor): Map<number, string> {
  const text = cursor.bytes(cursor.u64('the length of the thread names'), 'the thread names').toString('utf8');
  const comms = new Map<number, string>();
  for (const [, pid, comm] of text.matchAll(/^(\d{1,10}) (.*)$/gm)) comms.set(Number(pid), comm!);
  return comms;
}
