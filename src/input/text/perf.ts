import { Context } from '../../events/event.js';
import type { Catalogue } from '../catalogue.js';
import type { RecordSink } from '../record.js';
import { ascii, Byte, decimal, hexValue, matches, skipBlanks, skipDigits, skipWord, textOf } from './bytes.js';
import { Clock, CpuTimes, TimeReader } from './clock.js';
import { TextEvents } from './events.js';
import { LineReader } from './lines.js';
import { reportLoss } from './notes.js';

const lostRecord = ascii('PERF_RECORD_LOST');
const sideRecord = ascii('PERF_RECORD_');

/** A name is 15 bytes at most, but perf prints `:745` for one that it does not know. */
const longestComm = 16;

const mostCpus = 65_536;
const longestPrefix = 600;

/**
 * What `perf script` prints before an event's name:
 *
 *            CPU 0/KVM  2113 [003]   812.402115:            kvm:kvm_entry: …
 *            CPU 0/KVM  2110/2113 [003]   812.402115123:   1 kvm:kvm_entry: …
 */
export class PerfPrefix {
  pid = 0;
  tgid = -1;
  cpu = 0;
  readonly time = new TimeReader();
  commStart = 0;
  commEnd = 0;
  private column = longestComm;

  /** @returns the position after the time's colon, or -1 when the line is no record. */
  read(bytes: Uint8Array, start: number, end: number): number {
    const open = start + this.column;
    if (open < end && bytes[open] === Byte.openSquare) {
      const after = this.afterOpen(bytes, start, open, end);
      if (after >= 0) return after;
    }
    let last = Math.min(end, start + longestPrefix);
    let found = -1;
    for (let at = start; at < last; at++) {
      if (bytes[at] !== Byte.openSquare || this.afterOpen(bytes, start, at, end) < 0) continue;
      // A thread may call itself `7 [001] 1.5:`; the real column is then to its right.
      if (found < 0) last = Math.min(last, at + longestComm + 12);
      found = at;
    }
    if (found < 0) return -1;
    this.column = found - start;
    return this.afterOpen(bytes, start, found, end);
  }

  private afterOpen(bytes: Uint8Array, start: number, open: number, end: number): number {
    const close = skipDigits(bytes, open + 1, end);
    if (close === open + 1 || close - open > 6 || close >= end || bytes[close] !== Byte.closeSquare) return -1;
    let at = skipBlanks(bytes, close + 1, end);
    // Flags of the interrupted context (`-F +flags`) and the like stand between CPU and time.
    for (let words = 0; words < 2 && at < end && !isDigit(bytes[at]!); words++) {
      at = skipBlanks(bytes, skipWord(bytes, at, end), end);
    }
    const after = this.time.read(bytes, at, end);
    if (after < 0 || (after < end && bytes[after] !== Byte.blank)) return -1;
    this.cpu = decimal(bytes, open + 1, close);
    return this.cpu < mostCpus && this.thread(bytes, start, open) ? after : -1;
  }

  /** `CPU 0/KVM  2110/2113 ` before the bracket, from right to left. */
  private thread(bytes: Uint8Array, start: number, open: number): boolean {
    let at = open;
    while (at > start && bytes[at - 1] === Byte.blank) at--;
    let digits = at;
    while (digits > start && isDigit(bytes[digits - 1]!)) digits--;
    if (digits === at || at === open) return false;
    this.pid = decimal(bytes, digits, at);
    this.tgid = -1;
    // A thread that has exited is `:-1 -1/-1`.
    if (digits > start && bytes[digits - 1] === Byte.minus) {
      this.pid = -1;
      digits--;
    }
    if (digits > start && bytes[digits - 1] === Byte.slash) {
      const separator = digits - 1;
      digits = separator;
      while (digits > start && isDigit(bytes[digits - 1]!)) digits--;
      if (digits === separator) return false;
      const isExited = digits > start && bytes[digits - 1] === Byte.minus;
      if (!isExited) this.tgid = decimal(bytes, digits, separator);
      else digits--;
    }
    if (digits > start && bytes[digits - 1] !== Byte.blank) return false;
    this.commStart = start;
    this.commEnd = digits;
    return true;
  }
}

function isDigit(c: number): boolean {
  return c >= Byte.zero && c <= Byte.nine;
}

/** Text of `perf script` with tracepoint events. */
export class PerfScriptReader extends LineReader {
  private readonly prefix = new PerfPrefix();
  private readonly events: TextEvents;
  private readonly clock = new Clock(this.scanner);
  private readonly times = new CpuTimes(this.scanner);
  private bytes: Uint8Array = new Uint8Array(0);

  constructor(catalogue: Catalogue, sink: RecordSink) {
    super(sink);
    this.events = new TextEvents(this.scanner, catalogue, sink);
    this.clock.onStart = (origin) => sink.fact({ origin });
    this.events.record.comm = () => textOf(this.bytes, this.prefix.commStart, this.prefix.commEnd).trim();
    this.events.record.context = Context.unknown;
  }

  protected line(bytes: Buffer, start: number, end: number): void {
    const prefix = this.prefix;
    const after = prefix.read(bytes, start, end);
    if (after < 0) {
      if (!isContinuation(bytes, start, end)) this.notUnderstood();
      return;
    }
    let name = skipBlanks(bytes, after, end);
    if (matches(bytes, name, end, sideRecord)) {
      this.sideBand(bytes, name, end);
      return;
    }
    // A period (`-F +period`) is a number on its own.
    const digits = skipDigits(bytes, name, end);
    if (digits > name && digits < end && bytes[digits] === Byte.blank) name = skipBlanks(bytes, digits, end);
    this.records++;
    this.bytes = bytes;
    const record = this.events.record;
    const time = this.clock.relative(prefix.time);
    this.times.record(prefix.cpu, time, this.lineNumber);
    record.time = time;
    record.cpu = prefix.cpu;
    record.pid = prefix.pid;
    record.tgid = prefix.tgid;
    record.position = this.lineNumber;
    this.events.event(bytes, name, end);
  }

  protected finish(): void {
    this.times.report((cpu, count, position) => this.sink.condition('time-backwards', count, position, `CPU ${cpu}`));
    this.sink.fact({ cpuRecords: this.times.records() });
    this.events.finish();
  }

  /** Records of perf itself (`--show-lost-events`, `--show-task-events`); those that tell of a loss matter. */
  private sideBand(bytes: Uint8Array, from: number, end: number): void {
    if (!matches(bytes, from, end, lostRecord)) return;
    const count = /lost (\d{1,15})\b/.exec(textOf(bytes, from, end));
    reportLoss(this.sink, this.prefix.cpu, count ? Number(count[1]) : -1, this.lineNumber);
  }
}

/** A blank line, or one of a call chain: an address, a symbol, a file in brackets. */
function isContinuation(bytes: Uint8Array, start: number, end: number): boolean {
  const first = skipBlanks(bytes, start, end);
  if (first >= end || bytes[first] === Byte.hash) return true;
  let at = first;
  while (at < end && hexValue[bytes[at]!] !== 255) at++;
  return first > start && at - first >= 4 && (at >= end || bytes[at] === Byte.blank);
}
