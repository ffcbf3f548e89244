import type { ConditionSink } from '../events/conditions.js';
import { Context } from '../events/event.js';
import { joinU64 } from '../events/u64.js';

/** Most fields a wanted event has. */
export const maxFields = 16;

/**
 * One wanted record of any format: a reader uses its objects again, so a sink copies what it keeps. The record has field
 * i of the event's `EventSpec` if bit i of `present` is set.
 */
export class Record {
  /** Nanoseconds since the first record of the trace. */
  time = Number.NaN;
  cpu = -1;
  pid = -1;
  /** -1 where the format has none. */
  tgid = -1;
  /** From the flags column, see `Context`. */
  context: number = Context.unknown;
  /** Index into the catalogue's `events`. */
  event = -1;
  /** How the record was recognised: the entry of a function (probe or tracer) carries only what the user asked for. */
  source: 'tracepoint' | 'function' | 'alias' = 'tracepoint';
  /** Number of the event's name in this input: two probes of one function have different ones. */
  name = 0;
  /** True for a record of a function's return. */
  isReturn = false;
  /** Line number (text, from 1) or byte offset (binary). */
  position = 0;
  present = 0;
  /** Fields that the reader has parsed, by their index: see `high` and `low`, through which they are read. */
  readonly hi: Int32Array;
  readonly lo: Int32Array;
  /** The thread's name, made only on demand. */
  comm: () => string = () => '';

  /** The values may lie where a reader finds them. */
  constructor(hi: Int32Array = new Int32Array(maxFields), lo: Int32Array = new Int32Array(maxFields)) {
    this.hi = hi;
    this.lo = lo;
  }

  has(field: number): boolean {
    return (this.present & (1 << field)) !== 0;
  }

  /** Lower half of a field that the record has, as a signed 32-bit number. */
  low(field: number): number {
    return this.lo[field] as number;
  }

  /** Upper half of a field that the record has, as a signed 32-bit number. */
  high(field: number): number {
    return this.hi[field] as number;
  }

  /** Field as a signed 32-bit number, or `missing` when absent. */
  int(field: number, missing = -1): number {
    return this.has(field) ? this.low(field) : missing;
  }

  /** Field as a number (exact below 2^53), or `missing` when absent. */
  number(field: number, missing = -1): number {
    if (!this.has(field)) return missing;
    const hi = this.high(field);
    const lo = this.low(field);
    // Computed as a double, a small integer would make each field that takes it a double for good.
    return hi === 0 && lo >= 0 ? lo : joinU64(hi, lo);
  }
}

/** A virtual machine that the recorder knew: which host thread runs which of its vcpus. */
export interface Guest {
  readonly name: string;
  readonly vcpus: readonly { readonly id: number; readonly pid: number }[];
}

/** What is known of a recording apart from its records. */
export interface RecordingFacts {
  /** Kernel release (`6.1.0-50-arm64`) where the input names it. */
  kernel?: string;
  /** Trace clock, where the input names it or its form betrays it (`counter` prints no time). */
  clock?: string;
  /** Time of the first record in the trace's own clock, nanoseconds; `Record.time` counts from here. */
  origin?: bigint;
  /** Number of CPUs, where the input says so. */
  cpus?: number;
  /** Version of the file format, where it has one. */
  version?: string;
  /** Name of the compression inside the file (`zstd`, `zlib`). */
  compression?: string;
  /** The ring buffers that were recorded, where the input names them. */
  buffers?: readonly BufferFacts[];
  /** By CPU, in their order: all records, wanted or not. Where no reader tells, the wanted ones are counted. */
  cpuRecords?: readonly CpuRecords[];
  /** Virtual machines that the recorder named (trace-cmd with `-A`). */
  guests?: readonly Guest[];
  /** Native notation only: frequency of the counter in Hz, and the virtual count at the trace's time 0. */
  frequency?: number;
  count?: bigint;
  /** Native notation only: model and host that the author of the trace names. */
  model?: string;
  host?: string;
  /** Native notation only: the format of the recording that was converted; a trace without it is a whole story. */
  recording?: string;
  /** Native notation only: names of the timer's interrupt and callbacks that its recording has, a set of `TimerName`. */
  timerNames?: number;
  /** Native notation only: number of records in the recording that was converted. */
  records?: number;
}

/** A ring buffer of a recording. */
export interface BufferFacts {
  /** Empty for the top one. */
  readonly name: string;
  readonly clock?: string;
  readonly cpus?: number;
  /** Bytes of a page of the buffer. */
  readonly pageSize?: number;
}

/** What one CPU recorded. */
export interface CpuRecords {
  readonly cpu: number;
  readonly records: number;
  /** Nanoseconds since the first record of the trace. */
  readonly first: number;
  readonly last: number;
}

/** Where a reader of records delivers. */
export interface RecordSink extends ConditionSink {
  record(record: Record): void;
  /** Every record counts, wanted or not; called with the number read since the last call. */
  counted(records: number): void;
  /** Further records of a wanted event of which one says all; told once, at the end. */
  repeated(event: number, records: number): void;
  /**
   * Records of one CPU were lost here; count -1 when the trace does not say how many,
   * `lostToTheEnd` when nothing more of the CPU is in the input.
   */
  lost(cpu: number, count: number, position: number): void;
  /** The trace of one CPU begins here, later than that of others (`buffer started`). */
  cpuStarted(cpu: number, position: number): void;
  /** A fact of the recording as a whole. */
  fact(facts: RecordingFacts): void;
  /** State before this point is unrelated to what follows (a second dump in one log). */
  discontinuity(position: number): void;
}

/** A push parser of one format. */
export interface Reader {
  /** Any cut of the input into chunks gives the same records. The chunk may be reused after the call. */
  push(chunk: Uint8Array): void;
  /** End of input. */
  end(): void;
}
