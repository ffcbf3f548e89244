import { endianness } from 'node:os';
import type { RecordSink } from '../record.js';
import type { DatRecord } from './dat-record.js';
import type { Completeness } from './statistics.js';
import type { Tally } from './tally.js';
import type { Progress, Windows } from './windows.js';

/** Values of a record's type_len (include/linux/ring_buffer.h); below 29 it is the payload's length in words. */
const padding = 29;
const timeExtend = 30;
const timeStamp = 31;

/** Time deltas have 27 bits. */
const deltaRange = 0x8000000;

/** Bits of a page's `commit` beside its length. */
const missedEvents = 0x80000000;
const missedStored = 0x40000000;
const lengthMask = 0x07ffffff;

/** Bits of an absolute time stamp that are not in the record. */
const stampTop = 0xf8000000;

/** Times farther apart than this are damage: they could not be told apart any more. */
const longest = 2 ** 53;

/** No loss is pending. */
export const noLoss = -2;

/** Where a walk has stopped. */
export enum Stop {
  /** Before a record that is wanted, or the first one behind a loss. */
  record,
  /** The windows of this slice of work are used up; `run` goes on. */
  pause,
  /** Behind the last record. */
  end,
}

/** Who gets what a walk comes to. */
export interface StreamSink {
  /** By index among the wanted events: the record of one that has only to be read; nothing where there is more to it. */
  readonly plain: readonly (DatRecord | undefined)[];
  /**
   * A wanted record that is not plain, or that could not be read: its time and position are the stream's.
   *
   * @param event its index among the wanted ones
   * @param payload first word of its payload in the stream's `words`
   * @param length bytes of the payload
   */
  deliver(stream: CpuStream, event: number, payload: number, length: number): void;
  /** Records were lost before the one at the stream's position, -1 when their number is not known. */
  lost(stream: CpuStream, count: number): void;
}

/**
 * The records of one CPU: a walk over its pages that delivers those which are wanted. What changes from record to record
 * is in local variables while it goes, and nothing is allocated.
 */
export class CpuStream {
  readonly cpu: number;
  /** Index of its buffer. */
  readonly buffer: number;
  /**
   * Time of the record at hand, counted from the tally's base. Times are born as no integers: so all streams have one
   * shape from the beginning, whose fields the walk reaches directly.
   */
  time = Number.NaN;
  /** Time of the trace's first record: those that are delivered count from it. */
  first = Number.NaN;
  /** Latest time that `run` delivers. No parameter of it: as such each time would be an object. */
  until = Number.NaN;
  /** Place of the latest record that was delivered in the CPU's uncompressed data. */
  position = 0;
  /** Whether this CPU's data told of a loss. */
  hasLoss = false;
  /** Records so far, wanted or not. */
  records = 0;
  /** Raw times of the first and the latest record. */
  firstTime = Number.NaN;
  lastTime = Number.NEGATIVE_INFINITY;
  /** How often its clock stepped back, and where first. */
  stepsBack = 0;
  firstStepBack = 0;
  /** Raw time of the first page, in two halves. */
  firstHi = Number.NaN;
  firstLo = Number.NaN;
  /** The window's words in this machine's byte order, and its bytes as they are. */
  words: Uint32Array = new Uint32Array(0);
  bytes: Uint8Array = new Uint8Array(0);
  private readonly windows: Windows;
  private readonly tally: Tally;
  private readonly progress: Progress;
  private readonly sink: RecordSink;
  private readonly events: StreamSink;
  /** A raw time in the trace's clock; undefined where that is the same. */
  private readonly timeAt: ((raw: number, cpu: number) => number) | undefined;
  /** Checks the number of records, where the file says it. */
  private readonly completeness: Completeness | undefined;
  private readonly isBigEndian: boolean;
  private readonly isSwapped: boolean;
  private readonly longSize: number;
  private readonly pageWords: number;
  /** Bytes of the window, and the word of the page that comes next. */
  private windowBytes = 0;
  private windowStart = 0;
  private nextPage = 0;
  /** The walk: next word, and first word behind the page's data. */
  private at = 0;
  private end = 0;
  private clock = Number.NaN;
  private pageHi = 0;
  /** The next record has to be looked at: behind a loss, or its time may have stepped back. */
  private attentive = true;
  private pendingLoss = noLoss;
  private isOver = false;
  private isFirst = true;
  /** The page at hand is not whole, because the file ends there. */
  private isCut = false;
  /** Place in the file of an empty page, which must be the last; -1 without one. */
  private emptyPage = -1;

  constructor(
    cpu: number,
    buffer: number,
    windows: Windows,
    layout: { readonly isBigEndian: boolean; readonly longSize: number; readonly pageSize: number },
    shared: {
      readonly tally: Tally;
      readonly progress: Progress;
      readonly sink: RecordSink;
      readonly events: StreamSink;
      readonly timeAt: ((raw: number, cpu: number) => number) | undefined;
    },
    completeness?: Completeness,
  ) {
    this.cpu = cpu;
    this.buffer = buffer;
    this.windows = windows;
    this.tally = shared.tally;
    this.progress = shared.progress;
    this.sink = shared.sink;
    this.events = shared.events;
    this.timeAt = shared.timeAt;
    this.completeness = completeness;
    this.isBigEndian = layout.isBigEndian;
    this.isSwapped = layout.isBigEndian !== (endianness() === 'BE');
    this.longSize = layout.longSize;
    this.pageWords = layout.pageSize / 4;
  }

  /**
   * Opens the first window, so that times can be made to count from the earliest page.
   *
   * @returns whether there is a page; its raw time is then in `firstHi` and `firstLo`
   */
  start(): boolean {
    if (!this.openWindow() || this.windowBytes < 8) return false;
    this.firstHi = this.words[this.isBigEndian ? 0 : 1]!;
    this.firstLo = this.words[this.isBigEndian ? 1 : 0]!;
    return true;
  }

  /**
   * Delivers the wanted records up to the time `until`, and goes on to the first one behind it: `time` is then that
   * record's. With a time before all others it stops at the CPU's first record.
   *
   * @returns why it stopped, see `Stop`
   */
  run(): Stop {
    const { tally, sink, events, until, isBigEndian, timeAt } = this;
    const { wanted, unused } = tally;
    const { plain } = events;
    for (;;) {
      const { words, end } = this;
      let { at, clock, lastTime } = this;
      let records = 0;
      while (at < end) {
        const head = words[at]!;
        const type = isBigEndian ? head >>> 27 : head & 31;
        const delta = isBigEndian ? head & 0x07ffffff : head >>> 5;
        let payload = at + 1;
        let length = type;
        if (type === 0 || type >= padding) {
          if (payload >= end && !(type === padding && delta === 0)) break;
          const second = words[payload]!;
          if (type === timeExtend) {
            clock += second * deltaRange + delta;
            if (!(clock < longest)) break;
            at += 2;
            continue;
          }
          if (type === timeStamp) {
            clock = this.stamp(second, delta);
            if (!(Math.abs(clock) < longest)) break;
            this.attentive = true;
            at += 2;
            continue;
          }
          if (type === padding) {
            if (delta === 0) {
              at = end;
              continue;
            }
            // The length counts its own word: a lesser one would lead into the padding, as would one that wraps.
            if (second < 4 || second > (end - payload) * 4) break;
            clock += delta;
            at = payload + ((second + 3) >>> 2);
            continue;
          }
          // The length counts its own word.
          length = (second - 1) >>> 2;
          payload++;
          if (second <= 4) break;
        }
        const next = payload + length;
        if (next > end) break;
        const raw = clock + delta;
        const first = words[payload]!;
        const id = isBigEndian ? first >>> 16 : first & 0xffff;
        const event = wanted[id]!;
        if (event < 0 && !this.attentive) {
          if (unused[id]!++ === 0) tally.leaveFirst(id, this.windowStart + at * 4);
        } else {
          const time = timeAt === undefined ? raw : timeAt(raw, this.cpu);
          if (time > until && (event >= 0 || this.isFirst || this.pendingLoss !== noLoss)) {
            this.time = time;
            this.clock = clock;
            this.lastTime = lastTime;
            this.leave(at, records);
            return Stop.record;
          }
          if (this.attentive) {
            this.lastTime = lastTime;
            this.clock = raw;
            this.attend(at);
          }
          if (event >= 0) {
            this.time = time;
            this.position = this.windowStart + at * 4;
            const record = plain[event];
            if (record?.goTo(this, payload, length * 4)) sink.record(record);
            else events.deliver(this, event, payload, length * 4);
          } else tally.leave(id, this.windowStart + at * 4);
        }
        records++;
        clock = raw;
        lastTime = raw;
        at = next;
      }
      this.clock = clock;
      this.lastTime = lastTime;
      this.end = 0;
      this.leave(0, records);
      if (at !== end) this.broken(at);
      if (this.nextPage * 4 >= this.windowBytes) {
        if (this.isOver) return this.finish();
        if (this.progress.quota <= 0 && this.windowBytes > 0) return Stop.pause;
        if (!this.openWindow()) return this.finish();
      }
      this.openPage();
    }
  }

  /** Keeps where the walk is. Times are none of the parameters: as such each would be an object. */
  private leave(at: number, records: number): void {
    this.at = at;
    this.records += records;
  }

  /** Whether bytes were missing behind the last record. */
  get endsBroken(): boolean {
    return this.pendingLoss !== noLoss;
  }

  /** Records, at most, that the statistics count and the data lacks without telling of a loss. */
  get missing(): number {
    return this.hasLoss ? 0 : (this.completeness?.missing(this.records) ?? 0);
  }

  private finish(): number {
    this.isOver = true;
    this.at = this.end = 0;
    this.nextPage = 0;
    this.windowBytes = 0;
    return Stop.end;
  }

  private openWindow(): boolean {
    this.windowBytes = this.windows.next();
    if (this.windows.isBroken) this.lose(-1);
    if (this.windowBytes === 0) return false;
    this.windowStart = this.windows.start;
    const bytes = this.windows.bytes;
    this.bytes = bytes;
    const count = bytes.length >>> 2;
    if (this.isSwapped) {
      if (this.words.length !== count) this.words = new Uint32Array(count);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let word = 0; word < count; word++) this.words[word] = view.getUint32(word * 4, !this.isBigEndian);
    } else if (this.words.buffer !== bytes.buffer || this.words.byteOffset !== bytes.byteOffset) {
      this.words = new Uint32Array(bytes.buffer, bytes.byteOffset, count);
    }
    this.nextPage = 0;
    return true;
  }

  /** Begins with the next page of the window: u64 time, long commit, records. */
  private openPage(): void {
    const { words, longSize, isBigEndian, tally } = this;
    const page = this.nextPage;
    const start = page + 2 + longSize / 4;
    const pageEnd = page + this.pageWords;
    const available = Math.min(pageEnd, this.windowBytes >>> 2);
    this.nextPage = pageEnd;
    this.at = this.end = 0;
    this.isCut = false;
    this.completeness?.page(this.records);
    if (this.emptyPage >= 0) this.damagedPage(this.emptyPage, 'records in a page before the last', 'none');
    this.emptyPage = -1;
    if (start > available) {
      this.damaged(page, 'the header of a page', 'the end of the data');
      return;
    }
    const hi = words[isBigEndian ? page : page + 1]!;
    const lo = words[isBigEndian ? page + 1 : page]!;
    const commit = words[isBigEndian && longSize === 8 ? page + 3 : page + 2]!;
    const length = commit & lengthMask;
    if ((hi | lo | commit) === 0) {
      // A page without records has a time all the same: this is a hole in the file.
      this.damaged(page, 'a page', 'zeros');
      return;
    }
    if ((commit & missedEvents) !== 0) {
      let count = -1;
      const at = start + ((length + 3) >>> 2);
      if ((commit & missedStored) !== 0 && at + longSize / 4 <= available) {
        const low = words[isBigEndian && longSize === 8 ? at + 1 : at]!;
        const high = longSize === 8 ? words[isBigEndian ? at : at + 1]! : 0;
        count = high * 0x100000000 + low;
      }
      this.lose(count);
    }
    // The kernel gives no page away without a record.
    if (length === 0) this.emptyPage = this.windows.place(page * 4);
    if (length > (pageEnd - start) * 4) {
      this.damaged(page, `at most ${(pageEnd - start) * 4} bytes of records in a page`, `${length}`);
      return;
    }
    const time = (hi - tally.baseHi) * 0x100000000 + (lo - tally.baseLo);
    if (!(Math.abs(time) < longest)) {
      this.damaged(page, 'a time near that of the first page', `${hi * 0x100000000 + lo}`);
      return;
    }
    this.clock = time;
    this.pageHi = hi;
    this.attentive = true;
    this.at = start;
    this.end = start + (length >>> 2);
    // The rest is missing because the file was cut there: that was told when the window was read.
    this.isCut = this.end > available;
    if (this.isCut) this.end = available;
  }

  /** Absolute time of a time stamp record: 59 bits, the others are those of the page. */
  private stamp(high: number, delta: number): number {
    const lo = (((high & 31) << 27) | delta) >>> 0;
    const hi = (((this.pageHi & stampTop) >>> 0) | (high >>> 5)) >>> 0;
    return (hi - this.tally.baseHi) * 0x100000000 + (lo - this.tally.baseLo);
  }

  /** The first record behind something: a loss stands before it, or its time is less than the one before. */
  private attend(at: number): void {
    const position = this.windowStart + at * 4;
    this.attentive = false;
    if (this.clock < this.lastTime && this.stepsBack++ === 0) this.firstStepBack = position;
    if (this.isFirst) {
      this.firstTime = this.clock;
      this.position = position;
      this.isFirst = false;
    }
    if (this.pendingLoss === noLoss) return;
    const count = this.pendingLoss;
    this.pendingLoss = noLoss;
    this.position = position;
    this.events.lost(this, count);
  }

  private lose(count: number): void {
    this.hasLoss = true;
    this.attentive = true;
    if (this.pendingLoss === noLoss) this.pendingLoss = count;
    else this.pendingLoss = this.pendingLoss < 0 || count < 0 ? -1 : this.pendingLoss + count;
  }

  /** A walk ended before its page did. */
  private broken(at: number): void {
    if (!(Math.abs(this.clock) < longest)) this.damaged(at, 'a time near that of the first page', 'one far from it');
    else if (!this.isCut) this.damaged(at, 'a record inside its page', 'one that goes beyond it');
  }

  /** The rest of the page cannot be used. */
  private damaged(word: number, expected: string, found: string): void {
    this.damagedPage(this.windows.place(word * 4), expected, found);
  }

  private damagedPage(at: number, expected: string, found: string): void {
    this.sink.condition('damaged-page', 1, at, `CPU ${this.cpu}: expected ${expected} at byte ${at}, found ${found}`);
    this.lose(-1);
  }
}
