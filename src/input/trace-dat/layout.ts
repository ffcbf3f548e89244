import type { Guest } from '../record.js';
import type { DatClock } from './clock.js';
import type { Bytes } from './cursor.js';
import type { Formats } from './formats.js';
import type { AllCounts } from './statistics.js';

/** Where one CPU's part of a buffer lies. */
export interface CpuData {
  readonly cpu: number;
  /** Offset in the file. */
  readonly offset: number;
  /** Bytes in the file. */
  readonly size: number;
}

/** One ring buffer: the top one, or that of an instance. */
export interface BufferLayout {
  /** Empty for the top buffer. */
  readonly name: string;
  /** Trace clock; empty where the file does not say. */
  readonly clock: string;
  /** Bytes of a page (sub-buffer). */
  readonly pageSize: number;
  /** Whether each CPU's part is a list of compressed chunks. */
  readonly isCompressed: boolean;
  readonly cpus: readonly CpuData[];
}

/** What an input's loss statistics say of one CPU (`per_cpu/cpuN/stats`). */
export interface CpuStat {
  readonly cpu: number;
  /** Records that were overwritten or dropped. */
  readonly lost: number;
}

/** Everything but the records, whichever the version of the file. */
export interface Layout {
  readonly version: 6 | 7;
  readonly isBigEndian: boolean;
  /** Bytes of the recorded kernel's `long`: 4 or 8. */
  readonly longSize: 4 | 8;
  /** Bytes of a page of the top buffer as the recorded kernel says (`header_page`); undefined where it does not. */
  readonly headerPageSize: number | undefined;
  readonly buffers: readonly BufferLayout[];
  /** Text of the latency tracers, which such a file has instead of buffers. */
  readonly text: Bytes | undefined;
  readonly formats: Formats;
  /** Thread names by pid. */
  readonly comms: ReadonlyMap<number, string>;
  /** Text of /proc/kallsyms, read when it is asked for; undefined where it is missing or damaged. */
  kallsyms(): Uint8Array | undefined;
  /** Kernel release. */
  readonly kernel: string | undefined;
  readonly cpus: number | undefined;
  readonly clock: DatClock;
  readonly guests: readonly Guest[];
  readonly stats: readonly CpuStat[];
  readonly counts: AllCounts;
}
