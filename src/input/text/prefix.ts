import { Context } from '../../events/event.js';
import { Byte, decimal, hexValue, skipBlanks, skipDigits, skipWord } from './bytes.js';
import { TimeReader } from './clock.js';

/** CPU numbers beyond this are no CPUs (NR_CPUS is at most 8192). */
const mostCpus = 65_536;

/** Length of the name before the pid: `%16s`, in the latency format `%8.8s`. */
const commWidth = 16;
const latencyCommWidth = 8;

/** A prefix ends within this many bytes: instance or file name, printk's own time, then the columns. */
const longestPrefix = 600;

/** Flags of `trace-cmd report -R -l`, which prints them as a number (enum trace_flag_type). */
const hardirqFlag = 0x08;
const softirqFlag = 0x10;

/**
 * What ftrace prints before an event's name, in all its forms:
 *
 *            CPU 0/KVM-2113    (   2110) [003] d..2.   812.402115: kvm_entry: …
 *     CPU 0/KV-2113      3d..2.   812.402115: kvm_entry: …
 *
 * The thread's name is any 15 bytes, `-7 [001]` included, so the place of the `-` before the pid is kept from
 * line to line: the kernel pads the name to a fixed width.
 */
export class Prefix {
  pid = 0;
  /** -1 where the recording has none. */
  tgid = -1;
  cpu = 0;
  /** See `Context`. */
  context: number = Context.unknown;
  readonly time = new TimeReader();
  commEnd = 0;
  private lineStart = 0;
  /** Whether the line has the latency format: the name cut to 8 bytes, the CPU before the flags. */
  isLatency = false;
  /** Where the `-` before the pid stands in most lines. */
  column = commWidth;

  /**
   * Reads the prefix of the line in [start, end).
   *
   * @returns the position of the event's name, or -1 when the line is no event.
   */
  read(bytes: Uint8Array, start: number, end: number): number {
    const dash = start + this.column;
    if (dash < end && bytes[dash] === Byte.minus) {
      const name = this.afterDash(bytes, start, dash, end);
      if (name >= 0) return name;
    }
    return this.search(bytes, start, end);
  }

  /** Takes over where the thread's name stands in a line whose columns are known. */
  setThread(start: number, dash: number, isLatency: boolean): void {
    this.isLatency = isLatency;
    this.lineStart = start;
    this.commEnd = dash;
  }

  /** Where the thread's name begins, with the blanks that pad it; `commEnd` is where it ends. */
  get commStart(): number {
    return Math.max(this.lineStart, this.commEnd - (this.isLatency ? latencyCommWidth : commWidth));
  }

  /** A line whose columns moved: leading blanks lost in a mail, another instance's name, the first line. */
  private search(bytes: Uint8Array, start: number, end: number): number {
    const limit = Math.min(end, start + longestPrefix);
    let last = limit;
    let found = -1;
    for (let at = start; at < last; at++) {
      if (bytes[at] !== Byte.minus || this.afterDash(bytes, start, at, end) < 0) continue;
      // A name may look like a prefix; the real one is then to its right, no farther than a name is long.
      if (found < 0) last = Math.min(limit, at + commWidth);
      found = at;
    }
    if (found < 0) return -1;
    const name = this.afterDash(bytes, start, found, end);
    const width = this.isLatency ? latencyCommWidth : commWidth;
    if (found - start >= width) this.column = found - start;
    return name;
  }

  private afterDash(bytes: Uint8Array, start: number, dash: number, end: number): number {
    let at = dash + 1;
    let pid = 0;
    for (; at < end; at++) {
      const digit = bytes[at]! - Byte.zero;
      if (digit < 0 || digit > 9) break;
      pid = pid * 10 + digit;
    }
    if (at === dash + 1 || at - dash > 10 || at >= end || bytes[at]! > Byte.blank) return -1;
    at = skipBlanks(bytes, at, end);
    if (at >= end) return -1;
    this.tgid = -1;
    if (bytes[at] === Byte.openRound) {
      at = this.readTgid(bytes, at, end);
      if (at < 0) return -1;
    }
    const isLatency = at >= end || bytes[at] !== Byte.openSquare;
    const name = this.afterThread(bytes, isLatency ? at : at + 1, end, isLatency);
    if (name < 0) return -1;
    this.pid = pid;
    this.setThread(start, dash, isLatency);
    return name;
  }

  /** `(    643)`, or `(-------)` where the kernel no longer knows. @returns the position after it, or -1. */
  private readTgid(bytes: Uint8Array, open: number, end: number): number {
    let at = skipBlanks(bytes, open + 1, end);
    const digits = skipDigits(bytes, at, end);
    if (digits > at) this.tgid = decimal(bytes, at, digits);
    at = digits;
    while (at < end && bytes[at] === Byte.minus) at++;
    return at < end && bytes[at] === Byte.closeRound ? skipBlanks(bytes, at + 1, end) : -1;
  }

  /** From the CPU to the name: `003] d..2.   812.402115: `, in the latency format `3d..2.   812.402115: `. */
  private afterThread(bytes: Uint8Array, from: number, end: number, isLatency: boolean): number {
    let at = from;
    let cpu = 0;
    for (; at < end; at++) {
      const digit = bytes[at]! - Byte.zero;
      if (digit < 0 || digit > 9) break;
      cpu = cpu * 10 + digit;
    }
    if (at === from || at - from > 5 || cpu >= mostCpus || at >= end) return -1;
    if (!isLatency) {
      if (bytes[at] !== Byte.closeSquare) return -1;
      at = skipBlanks(bytes, at + 1, end);
      if (at >= end) return -1;
    }
    let context: number = Context.unknown;
    const first = bytes[at]! - Byte.zero;
    if (first < 0 || first > 9) {
      const flags = at;
      while (at < end && bytes[at]! > Byte.blank) at++;
      if (at - flags < 3 || at - flags > 10) return -1;
      context = contextOf(bytes[flags + 2]!);
      // `trace-cmd report -R -l` prints the flags as a number: `3-0x1`.
      if (isLatency && bytes[flags] === Byte.minus && bytes[flags + 2] === 0x78)
        context = rawContext(bytes, flags + 3, at);
      at = skipBlanks(bytes, at, end);
    } else if (isLatency) {
      return -1;
    }
    at = this.time.read(bytes, at, end);
    if (at < 0 || (at < end && bytes[at] !== Byte.blank)) return -1;
    this.cpu = cpu;
    this.context = context;
    return this.name(bytes, at, end);
  }

  /** The event's name begins after blanks and, with `trace-cmd report --ts-diff`, after `(+123)`. */
  private name(bytes: Uint8Array, from: number, end: number): number {
    const at = skipBlanks(bytes, from, end);
    if (at + 1 < end && bytes[at] === Byte.openRound && bytes[at + 1] === Byte.plus) {
      return skipBlanks(bytes, skipWord(bytes, at, end), end);
    }
    return at;
  }
}

/** Third character of the flags column (trace_print_lat_fmt): interrupt context, `z` and `Z` with an NMI in it. */
function contextOf(flag: number): number {
  switch (flag) {
    case 0x68: // h
    case 0x48: // H, a hard interrupt inside a soft one
    case 0x7a: // z
    case 0x5a: // Z
      return Context.hardirq;
    case 0x73: // s
      return Context.softirq;
    case Byte.dot:
      return Context.task;
    default:
      return Context.unknown;
  }
}

function rawContext(bytes: Uint8Array, from: number, to: number): number {
  let flags = 0;
  for (let at = from; at < to; at++) {
    const digit = hexValue[bytes[at]!]!;
    if (digit === 255) return Context.unknown;
    flags = flags * 16 + digit;
  }
  if (flags & hardirqFlag) return Context.hardirq;
  return flags & softirqFlag ? Context.softirq : Context.task;
}
