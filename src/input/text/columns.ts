import type { Scanner } from './scanner.js';

/**
 * What the columns from the `-` before the pid to the dot in the time mean, remembered by their bytes:
 *
 *            CPU 0/KVM-2113    [003] d..2.   812.402115: kvm_entry: …
 *                     |------ remembered ------|
 *
 * A thread writes many records within one second, and in all of them these bytes are the same. `Prefix` computes
 * everything in here from these bytes alone, so where they are found again its result is known without it.
 */
export class Columns {
  pid = 0;
  tgid = -1;
  cpu = 0;
  context = -1;
  isLatency = false;
  seconds = 0;
  nanoseconds = 0;
  private readonly scanner: Scanner;
  /** Number of bytes from the `-` to the dot, both included, as the last line had them; 0 when nothing is known. */
  private length = 0;
  private readonly pids: Float64Array;
  private readonly tgids: Float64Array;
  private readonly cpus: Int32Array;
  private readonly contexts: Int32Array;
  private readonly latencies: Uint8Array;
  private readonly allSeconds: Float64Array;

  constructor(scanner: Scanner) {
    this.scanner = scanner;
    const { places } = scanner;
    this.pids = new Float64Array(places);
    this.tgids = new Float64Array(places);
    this.cpus = new Int32Array(places);
    this.contexts = new Int32Array(places);
    this.latencies = new Uint8Array(places);
    this.allSeconds = new Float64Array(places);
  }

  /**
   * Looks up the columns at the dash and reads the rest of the time.
   *
   * @returns the position of the event's name, or -1 when the fields do not tell what the columns mean
   */
  recall(dash: number, end: number): number {
    const { scanner, length } = this;
    const place = length === 0 ? -1 : scanner.prefix(dash, length, end);
    if (place < 0) return -1;
    this.pid = this.pids[place]!;
    this.tgid = this.tgids[place]!;
    this.cpu = this.cpus[place]!;
    this.context = this.contexts[place]!;
    this.isLatency = this.latencies[place] === 1;
    this.seconds = this.allSeconds[place]!;
    this.nanoseconds = scanner.results[0]!;
    return scanner.results[1]!;
  }

  /** Remembers that the `length` bytes at `from` mean what the fields tell; 0 bytes where there is no such thing. */
  keep(from: number, length: number): void {
    const { scanner } = this;
    this.length = length > scanner.longestKey ? 0 : length;
    if (this.length === 0) return;
    const place = scanner.keep(scanner.columnsOwner, from, length, 0);
    this.pids[place] = this.pid;
    this.tgids[place] = this.tgid;
    this.cpus[place] = this.cpu;
    this.contexts[place] = this.context;
    this.latencies[place] = this.isLatency ? 1 : 0;
    this.allSeconds[place] = this.seconds;
  }
}
