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
  /** By `keyOf`; nothing where the file says it twice. */
  readonly counts = new Map<string, CpuCounts | undefined>();
  private buffer = '';

  take(text: string): void {
    if (text.length > longestText) return;
    const value = (name: string) => /^\d{1,15}$/.exec(lineOf(text, name) ?? '')?.[0];
    this.buffer = lineOf(text, 'Buffer') ?? this.buffer;
    const [cpu, entries, read] = [value('CPU'), value('entries'), value('read events')];
    // Kernels before 3.9 do not count what was read.
    if (cpu === undefined || entries === undefined || read === undefined) return;
    const counts = { buffer: this.buffer, cpu: Number(cpu), entries: Number(entries), read: Number(read) };
    const key = keyOf(counts.buffer, counts.cpu);
    this.counts.set(key, this.counts.has(key) ? undefined : counts);
  }
}

function lineOf(text: string, name: string): string | undefined {
  return text
    .split('\n')
    .find((line) => line.startsWith(`${name}: `))
    ?.slice(name.length + 2);
}

/** The counts of all CPUs, by `keyOf`. */
export type AllCounts = ReadonlyMap<string, CpuCounts | undefined>;

export function keyOf(buffer: string, cpu: number): string {
  return `${cpu} ${buffer}`;
}

/** The CPUs that recorded something, and have no data in a buffer of which the file has any. */
export function missingCpus(
  counts: AllCounts,
  buffers: readonly BufferLayout[],
  streams: readonly { readonly cpu: number }[],
): CpuCounts[] {
  const recorded = new Set(buffers.flatMap(({ name, cpus }) => (cpus.some(({ size }) => size > 0) ? [name] : [])));
  const present = new Set(streams.map(({ cpu }) => cpu));
  return [...counts.values()]
    .filter((own) => own !== undefined)
    .filter(({ buffer, cpu, entries, read }) => entries + read > 0 && recorded.has(buffer) && !present.has(cpu));
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
