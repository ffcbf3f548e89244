import type { Catalogue } from '../catalogue.js';
import type { RecordSink } from '../record.js';
import { textOf } from './bytes.js';
import { Clock, CpuTimes, TimeForm } from './clock.js';
import { Columns } from './columns.js';
import { TextEvents } from './events.js';
import { reportLoss } from './notes.js';
import { Prefix } from './prefix.js';
import { Head, type Scanner } from './scanner.js';

/** Nanoseconds without a record after which a CPU of an overwritten ring may have lost some. */
export const longSilence = 50_000_000;

/** The times of so many events tell the clock; a count goes on by so much from one event to the next, at most. */
const fewTimes = 32;
const longestStep = 50;

/** One line of ftrace's text as a record: the columns, the clock, the event. Shared by traces and kernel logs. */
export class FtraceLine {
  private readonly prefix = new Prefix();
  private readonly events: TextEvents;
  private readonly scanner: Scanner;
  private readonly columns: Columns;
  private readonly clock: Clock;
  private readonly times: CpuTimes;
  private readonly sink: RecordSink;
  private readonly announced = new Set<number>();
  private clockIsNamed = false;
  /** Events so far, until their times tell the clock. */
  private timed = 0;
  /** No event has been delivered since the recording began. */
  isFirst = true;
  private name = -1;

  /** @param scanner in whose memory the lines lie */
  constructor(scanner: Scanner, catalogue: Catalogue, sink: RecordSink) {
    this.sink = sink;
    this.scanner = scanner;
    this.columns = new Columns(scanner);
    this.clock = new Clock(scanner);
    this.times = new CpuTimes(scanner);
    this.events = new TextEvents(scanner, catalogue, sink);
    this.clock.onStart = (origin) => sink.fact({ origin });
    this.events.record.comm = () => textOf(scanner.bytes, this.prefix.commStart, this.prefix.commEnd).trim();
  }

  /** Whether the line in [start, end) is an event; `deliver` then takes it. */
  parse(bytes: Uint8Array, start: number, end: number): boolean {
    this.name = this.prefix.read(bytes, start, end);
    if (this.name < 0) return false;
    this.columns.keep(start, this.prefix);
    return true;
  }

  /**
   * Delivers the event that `parse` found.
   *
   * @param isOverwritten the tracer said that the ring buffer was overwritten
   */
  deliver(bytes: Uint8Array, end: number, position: number, isOverwritten: boolean): void {
    const prefix = this.prefix;
    const time = this.clock.relative(prefix.time);
    if (!this.clockIsNamed) this.nameClock(time);
    const cpu = prefix.cpu;
    if (isOverwritten) this.checkGap(cpu, time, position);
    if (this.times.record(cpu, time, position)) {
      // In an overwritten ring every CPU but the one that begins the trace has lost its beginning.
      if (isOverwritten && !this.isFirst) this.startCpu(cpu, position);
      this.isFirst = false;
    }
    const record = this.events.record;
    record.time = time;
    record.cpu = cpu;
    record.pid = prefix.pid;
    record.tgid = prefix.tgid;
    record.context = prefix.context;
    record.position = position;
    this.events.event(bytes, this.name, end);
  }

  /** Delivers the first `count` records of the scanner. @param position that of the line before those it took */
  deliverKnown(count: number, position: number): void {
    const { heads, times } = this.scanner;
    const { prefix, columns, events } = this;
    const { record } = events;
    for (let index = 0; index < count && !this.clockIsNamed; index++) this.nameClock(times[index]!);
    for (let index = 0; index < count; index++) {
      const head = index * Head.size;
      const thread = columns.at(heads[head + Head.columns]!);
      const start = heads[head + Head.start]!;
      prefix.setThread(start, start + prefix.column, thread.isLatency);
      record.time = times[index]!;
      record.cpu = thread.cpu;
      record.pid = thread.pid;
      record.tgid = thread.tgid;
      record.context = thread.context;
      record.position = position + heads[head + Head.line]!;
      events.planned(heads[head + Head.name]!, index);
    }
  }

  /**
   * The clock `uptime` has one number for all records of 10 ms. Plain numbers are those of the clock `counter`, which
   * goes on by one at a record, or nanoseconds.
   */
  private nameClock(time: number): void {
    if (++this.timed < fewTimes) return;
    this.clockIsNamed = true;
    const step = Math.abs(time) / (fewTimes - 1);
    if (step < 1 / 2) this.sink.fact({ clock: 'uptime' });
    else if (this.prefix.time.form === TimeForm.counter && step < longestStep) this.sink.fact({ clock: 'counter' });
  }

  /**
   * A ring that was overwritten while it was read begins with an old page: between that page and the next one
   * records are missing, and the kernel does not mark the place. A thread that goes on after a long silence is the
   * sign of it; where the CPU was idle, nothing tells a gap from idleness, so the state is not trusted either.
   */
  private checkGap(cpu: number, time: number, position: number): void {
    const silence = this.times.since(cpu, time);
    if (!(silence > longSilence) || silence === Number.POSITIVE_INFINITY) return;
    if (this.prefix.pid !== 0) {
      reportLoss(this.sink, cpu, -1, position);
      return;
    }
    this.sink.cpuStarted(cpu, position);
    this.sink.condition('possible-gap', 1, position, `CPU ${cpu}`);
  }

  /** The trace of a CPU begins here; said once for each. */
  startCpu(cpu: number, position: number): void {
    if (this.announced.has(cpu)) return;
    this.announced.add(cpu);
    this.sink.cpuStarted(cpu, position);
    this.sink.condition('missing-cpu-start', 1, position, `CPU ${cpu}`);
  }

  /** What follows is another recording, whose times begin anew. */
  restart(): void {
    this.clock.restart();
    this.times.restart();
    this.announced.clear();
    this.isFirst = true;
  }

  /** Reports what was gathered. */
  finish(): void {
    this.times.report((cpu, count, position) => this.sink.condition('time-backwards', count, position, `CPU ${cpu}`));
    this.sink.fact({ cpuRecords: this.times.records() });
    this.events.finish();
  }
}
