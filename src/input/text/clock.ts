import type { CpuRecords } from '../record.js';
import { Byte, decimal, skipDigits } from './bytes.js';
import type { Scanner } from './scanner.js';

/** How a time is written. */
export enum TimeForm {
  /** `812.402115`, `10.703282688`: seconds and a fraction */
  seconds = 0,
  /** `19353us`: microseconds since the buffer's beginning (latency format, console) */
  microseconds = 1,
  /** `30`: the value of a clock that does not count nanoseconds (`counter`) */
  counter = 2,
}

const scale = [1e9, 1e8, 1e7, 1e6, 1e5, 1e4, 1e3, 100, 10, 1] as const;

/** A time of the trace, its two parts apart so that nothing is lost. */
export class TimeReader {
  /** Whole seconds; for a counter the value without its last nine digits. */
  seconds = 0;
  /** 0..999999999; for a counter its last nine digits. */
  nanoseconds = 0;
  /** See `TimeForm`. */
  form: number = TimeForm.seconds;
  /** Position of the dot, where `form` is `seconds`. */
  dot = 0;

  /**
   * Reads a time and the colon behind it.
   *
   * @returns the position after the colon, or -1.
   */
  read(bytes: Uint8Array, from: number, end: number): number {
    let at = from;
    let value = 0;
    while (at < end) {
      const digit = bytes[at]! - Byte.zero;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      at++;
    }
    const digits = at - from;
    if (digits === 0 || digits > 20 || at >= end) return -1;
    if (bytes[at] === Byte.dot) {
      if (digits > 15) return -1;
      return this.fraction(bytes, at + 1, end, value);
    }
    if (bytes[at] === 0x75) {
      // `19353us : `, `23us+: `: the mark tells of a delay to the next event.
      if (digits > 15 || at + 1 >= end || bytes[at + 1] !== 0x73) return -1;
      at += 2;
      if (at < end && bytes[at] !== Byte.colon) at++;
      this.seconds = Math.floor(value / 1e6);
      this.nanoseconds = (value % 1e6) * 1000;
      this.form = TimeForm.microseconds;
    } else {
      const split = digits > 9 ? at - 9 : from;
      this.seconds = decimal(bytes, from, split);
      this.nanoseconds = decimal(bytes, split, at);
      this.form = TimeForm.counter;
    }
    return at < end && bytes[at] === Byte.colon ? at + 1 : -1;
  }

  /**
   * Reads the digits behind the dot and the colon behind them.
   *
   * @param seconds what stood before the dot
   * @returns as `read` does.
   */
  private fraction(bytes: Uint8Array, from: number, end: number, seconds: number): number {
    let at = from;
    let value = 0;
    while (at < end && at - from < 9) {
      const digit = bytes[at]! - Byte.zero;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      at++;
    }
    const digits = at - from;
    if (digits === 9) at = skipDigits(bytes, at, end);
    if (digits === 0 || at >= end || bytes[at] !== Byte.colon) return -1;
    this.seconds = seconds;
    this.nanoseconds = value * scale[digits]!;
    this.form = TimeForm.seconds;
    this.dot = from - 1;
    return at + 1;
  }
}

/** What the scanner's memory holds of a clock. */
enum Part {
  /** time of the first record, which counts as 0 */
  seconds = 0,
  nanoseconds = 1,
  /** what is added, nanoseconds */
  offset = 2,
  /** the largest result so far */
  latest = 3,
}

/** Makes times relative to the first record. */
export class Clock {
  private started = false;
  /** See `Part`. The scanner computes with them as `relative` does. */
  private readonly state: Float64Array;

  /** @param scanner that also reads times of this clock */
  constructor(scanner: Scanner) {
    this.state = scanner.clock;
  }

  /** Called with the time of the first record, in the unit of the trace's clock: nanoseconds, or counts. */
  onStart: (origin: bigint) => void = () => {};

  /** Nanoseconds (counter: counts) since the first record; exact below 2^53. */
  relative(time: TimeReader): number {
    const { state } = this;
    const offset = state[Part.offset]!;
    if (!this.started) {
      this.started = true;
      state[Part.seconds] = time.seconds;
      state[Part.nanoseconds] = time.nanoseconds;
      if (offset === 0) this.onStart(BigInt(time.seconds) * 1_000_000_000n + BigInt(time.nanoseconds));
    }
    const relative =
      (time.seconds - state[Part.seconds]!) * 1e9 + (time.nanoseconds - state[Part.nanoseconds]!) + offset;
    if (relative > state[Part.latest]!) state[Part.latest] = relative;
    return relative;
  }

  /** The next time begins a new count (a further dump): it is placed at the end of what came before. */
  restart(): void {
    this.started = false;
    this.state[Part.offset] = this.state[Part.latest]!;
  }
}

/** Notices a CPU whose clock steps back; times of different CPUs are not compared. */
export class CpuTimes {
  /** Time of the last record since `restart`, and number of records; the scanner counts there as `record` does. */
  private readonly last: Float64Array;
  private readonly counts: Float64Array;
  /** By CPU: time of the first record. As long as the CPUs seen so far need. */
  private firsts = new Float64Array(0);
  /** By CPU: time of its last record in the recordings before this one. */
  private readonly ended = new Map<number, number>();
  private readonly backwards = new Map<number, { count: number; position: number }>();

  /** @param scanner that also takes records of these CPUs */
  constructor(scanner: Scanner) {
    this.last = scanner.lastTimes;
    this.counts = scanner.counts;
  }

  /** @returns true when this is the first record of the CPU. */
  record(cpu: number, time: number, position: number): boolean {
    if (cpu >= this.firsts.length) this.grow(cpu);
    const before = this.last[cpu]!;
    this.last[cpu] = time;
    if (this.counts[cpu]!++ === 0) this.firsts[cpu] = time;
    if (time < before) this.stepBack(cpu, position);
    return before === Number.NEGATIVE_INFINITY;
  }

  /** Time since the CPU's last record, as `record` is about to replace it; infinite for its first. */
  since(cpu: number, time: number): number {
    return cpu < this.firsts.length ? time - this.last[cpu]! : Number.POSITIVE_INFINITY;
  }

  /** Calls back once for every CPU whose clock stepped back. */
  report(each: (cpu: number, count: number, position: number) => void): void {
    for (const [cpu, { count, position }] of this.backwards) each(cpu, count, position);
    this.backwards.clear();
  }

  /** What each CPU has recorded so far, further recordings of the same log included. */
  records(): CpuRecords[] {
    return [...this.firsts.keys()]
      .filter((cpu) => this.counts[cpu]! > 0)
      .map((cpu) => ({ cpu, records: this.counts[cpu]!, first: this.firsts[cpu]!, last: this.lastOf(cpu) }));
  }

  /** Forgets the last times: what follows is another recording. */
  restart(): void {
    for (const { cpu, last } of this.records()) this.ended.set(cpu, last);
    this.last.fill(Number.NEGATIVE_INFINITY, 0, this.firsts.length);
  }

  /** Time of its last record, which may stand in an earlier recording of the log. */
  private lastOf(cpu: number): number {
    return Math.max(this.last[cpu]!, this.ended.get(cpu) ?? Number.NEGATIVE_INFINITY);
  }

  private stepBack(cpu: number, position: number): void {
    const known = this.backwards.get(cpu);
    if (known) known.count++;
    else this.backwards.set(cpu, { count: 1, position });
  }

  private grow(cpu: number): void {
    const before = this.firsts;
    this.firsts = new Float64Array(2 ** Math.ceil(Math.log2(cpu + 1)));
    this.firsts.set(before);
    this.last.fill(Number.NEGATIVE_INFINITY, before.length, this.firsts.length);
  }
}
