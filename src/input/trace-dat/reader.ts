import { lostToTheEnd } from '../../events/event.js';
import type { Catalogue } from '../catalogue.js';
import type { RandomAccess } from '../random-access.js';
import type { CpuRecords, RecordSink } from '../record.js';
import { FtraceReader } from '../text/ftrace.js';
import type { Codec } from './compression.js';
import { CpuStream, Stop } from './cpu-stream.js';
import { bytesOf } from './cursor.js';
import { DatEvents } from './events.js';
import { Formats } from './formats.js';
import { type Opened, readLayout } from './header.js';
import type { BufferLayout, Layout } from './layout.js';
import { checkBuffers } from './plausible.js';
import { StreamQueue } from './queue.js';
import { Completeness, type CpuCounts, keyOf, missingCpus } from './statistics.js';
import { Tally } from './tally.js';
import { ChunkWindows, PlainWindows, Progress } from './windows.js';

/** Windows of pages read before the caller gets to do something else: some eight thousand records. */
const windowsPerSlice = 4;

/** More CPUs than a kernel has (NR_CPUS is at most 8192). */
const mostCpus = 65_536;

/** Bytes of a latency tracer's text at a time. */
const textBlock = 64 * 1024;

/**
 * Reads a trace.dat of trace-cmd.
 *
 * @throws InputError when its records cannot be found or understood
 */
export async function openTraceDat(
  file: RandomAccess,
  catalogue: Catalogue,
  sink: RecordSink,
): Promise<TraceDatReader> {
  const formats = new Formats((name) => catalogue.tracepoint(name) >= 0 || name === 'function');
  return new TraceDatReader(file, await readLayout(file, formats, sink), catalogue, sink);
}

/** The records of a trace.dat: those of all CPUs and buffers, in the order of their times. */
export class TraceDatReader {
  private readonly file: RandomAccess;
  private readonly layout: Layout;
  private readonly codec: Codec | undefined;
  private readonly compression: string;
  private readonly catalogue: Catalogue;
  private readonly sink: RecordSink;
  private readonly tally = new Tally();
  private readonly progress = new Progress();
  private readonly events: DatEvents;
  private readonly isSteady: boolean;
  private streams: readonly CpuStream[] = [];
  /** CPUs that recorded, and of which the file has nothing. */
  private missing: readonly CpuCounts[] = [];
  /** Records that the sink knows of. */
  private counted = 0;
  /** Raw time from which streams count. */
  private base = 0n;
  /** Time of the first record as `timeAt` counts it. */
  private first = 0;

  constructor(file: RandomAccess, { layout, codec, compression }: Opened, catalogue: Catalogue, sink: RecordSink) {
    this.file = file;
    this.layout = layout;
    this.codec = codec;
    this.compression = compression;
    this.catalogue = catalogue;
    this.sink = sink;
    this.isSteady = layout.clock.isSteady;
    this.events = new DatEvents(layout, this.tally, catalogue, sink);
  }

  /**
   * Delivers everything, a slice at a time.
   *
   * @yields bytes of the file read so far
   */
  *slices(): Generator<number, void, undefined> {
    const { layout, sink } = this;
    const buffers = checkBuffers(layout, this.file.size, sink);
    const clock = buffers.find(({ cpus }) => cpus.length > 0)?.clock;
    const cpus = this.cpus();
    sink.fact({
      ...(layout.kernel !== undefined && { kernel: layout.kernel }),
      ...(cpus !== undefined && { cpus }),
      ...(clock && { clock }),
      ...(layout.guests.length > 0 && { guests: layout.guests }),
      version: String(layout.version),
      ...(this.compression !== 'none' && { compression: this.compression }),
      buffers: buffers.map((buffer) => ({
        name: buffer.name,
        ...(buffer.clock !== '' && { clock: buffer.clock }),
        cpus: buffer.cpus.length,
        pageSize: buffer.pageSize,
      })),
    });
    if (layout.text !== undefined) yield* this.text();
    const streams = this.open(buffers);
    this.streams = streams;
    this.missing = missingCpus(layout.counts, buffers, streams);
    for (const { cpu } of this.missing) sink.lost(cpu, lostToTheEnd, 0);
    yield* this.merge(streams);
    this.report();
    for (const stream of streams) {
      if (stream.stepsBack > 0)
        sink.condition('time-backwards', stream.stepsBack, stream.firstStepBack, `CPU ${stream.cpu}`);
    }
    this.events.finish();
    this.reportStatistics(streams);
    if (layout.text === undefined) sink.fact({ cpuRecords: this.recordsOf(streams) });
  }

  /** The number of CPUs, where the file tells one that a machine can have. */
  private cpus(): number | undefined {
    const { cpus } = this.layout;
    if (cpus === undefined || (cpus >= 1 && cpus <= mostCpus)) return cpus;
    this.sink.condition('damaged-metadata', 1, 0, 'the number of CPUs');
    return undefined;
  }

  /** The walks of all CPUs that have pages, each before its first record. */
  private open(buffers: readonly BufferLayout[]): CpuStream[] {
    const { file, tally, progress, sink, layout, events } = this;
    const timeAt = this.isSteady ? undefined : (raw: number, cpu: number) => this.timeAt(raw, cpu);
    const shared = { tally, progress, sink, events, timeAt };
    const streams: CpuStream[] = [];
    buffers.forEach(({ name, cpus, pageSize, isCompressed }, buffer) => {
      const { isBigEndian, longSize } = layout;
      for (const data of cpus) {
        if (data.size === 0) continue;
        const windows =
          isCompressed && this.codec !== undefined
            ? new ChunkWindows(file, data, pageSize, progress, sink, this.codec, isBigEndian)
            : new PlainWindows(file, data, pageSize, progress, sink);
        const counts = layout.counts.get(keyOf(name, data.cpu));
        const completeness = counts && new Completeness(counts);
        const pages = { isBigEndian, longSize, pageSize };
        const stream = new CpuStream(data.cpu, buffer, windows, pages, shared, completeness);
        streams.push(stream);
      }
    });
    const started = streams.filter((stream) => stream.start());
    started.forEach(({ firstHi, firstLo }, index) => {
      if (index > 0 && (firstHi > tally.baseHi || (firstHi === tally.baseHi && firstLo >= tally.baseLo))) return;
      tally.baseHi = firstHi;
      tally.baseLo = firstLo;
    });
    this.base = (BigInt(tally.baseHi) << 32n) + BigInt(tally.baseLo);
    return streams;
  }

  /** Delivers the records of all streams in the order of their times, on a tie the lowest stream's first. */
  private *merge(streams: readonly CpuStream[]): Generator<number, void, undefined> {
    const times = new Float64Array(streams.length).fill(Number.NEGATIVE_INFINITY);
    for (let index = 0; index < streams.length; ) {
      times[index] = this.run(streams[index]!, Number.NEGATIVE_INFINITY);
      if (times[index]! > Number.NEGATIVE_INFINITY) index++;
      else {
        yield* this.pause();
        if (this.file.ended) return;
      }
    }
    const first = times.reduce((least, time) => Math.min(least, time), Number.POSITIVE_INFINITY);
    if (first < Number.POSITIVE_INFINITY) {
      this.first = first;
      for (const stream of streams) stream.first = first;
      const origin = this.base + BigInt(first);
      this.sink.fact({ origin: this.layout.clock.isSteady ? this.layout.clock.absolute(origin, 0) : origin });
    }
    const queue = new StreamQueue(times);
    while (this.deliverSome(streams, queue)) {
      yield* this.pause();
      if (this.file.ended) return;
    }
  }

  /**
   * Delivers records until a slice is done: each time those of one stream that come before the next of all others.
   * No generator itself: this is the loop over all records.
   *
   * @param queue by the times of their records at hand: infinite at the end, before all others where a stream has paused
   * @returns false at the end of all streams
   */
  private deliverSome(streams: readonly CpuStream[], queue: StreamQueue): boolean {
    do {
      if (queue.time === Number.POSITIVE_INFINITY) return false;
      queue.advance(this.run(streams[queue.first]!, queue.limit));
    } while (this.progress.quota > 0);
    return true;
  }

  /**
   * Delivers a stream's records up to a time.
   *
   * @returns the time of the next one, infinite at the end, before all others where the stream has to pause
   */
  private run(stream: CpuStream, until: number): number {
    stream.until = until;
    const stop = stream.run();
    if (stop === Stop.record) return stream.time;
    if (stop === Stop.pause) return Number.NEGATIVE_INFINITY;
    if (stream.endsBroken || stream.missing > 0) this.sink.lost(stream.cpu, lostToTheEnd, stream.position);
    return Number.POSITIVE_INFINITY;
  }

  private *pause(): Generator<number, void, undefined> {
    this.report();
    yield this.progress.bytes;
    this.progress.quota = windowsPerSlice;
  }

  private report(): void {
    const records = this.streams.reduce((sum, stream) => sum + stream.records, 0);
    if (records > this.counted) this.sink.counted(records - this.counted);
    this.counted = records;
  }

  /** A raw time in the trace's clock, counted from the same place as all others. */
  private timeAt(raw: number, cpu: number): number {
    if (this.isSteady) return raw;
    return Number(this.layout.clock.absolute(this.base + BigInt(raw), cpu) - this.base);
  }

  /** What each CPU recorded, in all buffers together. */
  private recordsOf(streams: readonly CpuStream[]): CpuRecords[] {
    const cpus = new Map<number, CpuRecords>();
    for (const stream of streams) {
      if (stream.records === 0) continue;
      const { cpu, records } = stream;
      const first = this.timeAt(stream.firstTime, cpu) - this.first;
      const last = this.timeAt(stream.lastTime, cpu) - this.first;
      const other = cpus.get(cpu) ?? { cpu, records: 0, first, last };
      cpus.set(cpu, {
        cpu,
        records: other.records + records,
        first: Math.min(other.first, first),
        last: Math.max(other.last, last),
      });
    }
    return [...cpus.values()].sort((a, b) => a.cpu - b.cpu);
  }

  /** Losses that the recorder counted on CPUs whose pages show none, and records that it counted and the file lacks. */
  private reportStatistics(streams: readonly CpuStream[]): void {
    const marked = new Set(streams.filter(({ hasLoss }) => hasLoss).map(({ cpu }) => cpu));
    for (const { cpu, lost } of this.layout.stats) {
      if (lost > 0 && !marked.has(cpu)) this.sink.condition('unmarked-loss', lost, 0, `CPU ${cpu}`);
    }
    for (const { cpu, entries, read } of this.missing)
      this.sink.condition('missing-records', entries + read, 0, `CPU ${cpu} has none`);
    for (const { cpu, records, missing } of streams) {
      if (missing > 0) this.sink.condition('missing-records', missing, 0, `CPU ${cpu} has ${records}`);
    }
  }

  /** What a latency tracer printed: text as in the tracefs file `trace`. */
  private *text(): Generator<number, void, undefined> {
    const source = this.layout.text ?? bytesOf(new Uint8Array(0));
    const reader = new FtraceReader(this.catalogue, this.sink);
    const block = Buffer.allocUnsafeSlow(textBlock);
    for (let at = 0; at < source.size && !this.file.ended; ) {
      const count = source.read(block.subarray(0, Math.min(textBlock, source.size - at)), at);
      if (count === 0) break;
      at += count;
      reader.push(block.subarray(0, count));
      yield at;
    }
    reader.end();
  }
}
