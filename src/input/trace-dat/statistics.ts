import type { BufferLayout } from './layout.js';

/** What a CPU's ring buffer held and had given away when the recording was stopped (`per_cpu/cpuN/stats`). */
export interface CpuCounts {
  /** Name of the buffer, empty for the top one. */
  readonly buffer: string;
  readonly cpu: number;
  /** Records that were still in the ring buffer. */
  readonly entries: number;
  /** Records that the recorder had taken from it. */
  readonly read: number;
}

/** Longest text that is looked at: a CPU's has some 200 bytes. */
const longestText = 4096;

/** The counts of the CPUSTAT options in the order of the file: those of an instance follow one that names it. */
export class CountsReader {
  readonly counts: CpuCounts[] = [];
  private buffer = '';

  take(text: string): void {
    if (text.length > longestText) return;
    const value = (name: string) => /^\d{1,15}$/.exec(lineOf(text, name) ?? '')?.[0];
    this.buffer = lineOf(text, 'Buffer') ?? this.buffer;
    const [cpu, entries, read] = [value('CPU'), value('entries'), value('read events')];
    // Kernels before 3.9 do not count what was read.
    if (cpu === undefined || entries === undefined || read === undefined) return;
    this.counts.push({ buffer: this.buffer, cpu: Number(cpu), entries: Number(entries), read: Number(read) });
  }
}

function lineOf(text: string, name: string): string | undefined {
  return text
    .split('\n')
    .find((line) => line.startsWith(`${name}: `))
    ?.slice(name.length + 2);
}

/** The counts of one CPU of a buffer; nothing where the file says none, or says it twice. */
export function countsOf(counts: readonly CpuCounts[], buffer: string, cpu: number): CpuCounts | undefined {
  const own = counts.filter((one) => one.buffer === buffer && one.cpu === cpu);
  return own.length === 1 ? own[0] : undefined;
}

/** The CPUs that recorded something, and have no data in a buffer of which the file has any. */
export function missingCpus(
  counts: readonly CpuCounts[],
  buffers: readonly BufferLayout[],
  streams: readonly { readonly cpu: number }[],
): CpuCounts[] {
  const recorded = buffers.filter(({ cpus }) => cpus.some(({ size }) => size > 0));
  return counts.filter(
    ({ buffer, cpu, entries, read }) =>
      entries + read > 0 &&
      recorded.some(({ name }) => name === buffer) &&
      !streams.some((stream) => stream.cpu === cpu),
  );
}

/** Most beginnings of pages that are remembered: some 16 MiB of records. */
const mostStarts = 4096;

/**
 * Whether a file holds all the records of a CPU that its statistics count.
 *
 * The recorder goes on reading while the kernel prints the statistics (`tracing_stats_read`): `entries` comes first,
 * `read events` last, and pages that are read in between are in both. So the CPU had at least the greater of the two and
 * at most their sum; and since pages are taken as a whole, but for the last one, what had been read at each of the two
 * times ends where a page of the file does.
 */
export class Completeness {
  private readonly counts: CpuCounts;
  /** Records before the latest pages that may have been read by then. */
  private readonly starts: number[] = [];
  private pages = 0;
  private lastStart = 0;

  constructor(counts: CpuCounts) {
    this.counts = counts;
  }

  /** A page begins. @param records those before it */
  page(records: number): void {
    this.lastStart = records;
    if (records <= this.counts.read) this.starts[this.pages++ % mostStarts] = records;
  }

  /** @returns how many of the counted records are not among the file's, at most; 0 when none has to be missing */
  missing(records: number): number {
    const { entries, read } = this.counts;
    const isWhole = records >= entries && records >= read && this.isStart(records - entries) && this.isStart(read);
    return isWhole ? 0 : Math.max(0, entries + read - records);
  }

  private isStart(records: number): boolean {
    const isForgotten = this.pages > mostStarts && records < Math.min(...this.starts);
    return isForgotten || records >= this.lastStart || this.starts.includes(records);
  }
}
