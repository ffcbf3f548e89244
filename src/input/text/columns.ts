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
  private readonly scanner: Scanner;
  /** Number of bytes from the `-` to the dot, both included, as the last line had them; 0 when nothing is known. */
  private length = 0;
  /** By place in the scanner's memory. */
  private readonly known: (Thread | undefined)[];

  constructor(scanner: Scanner) {
    this.scanner = scanner;
    this.known = new Array<Thread | undefined>(scanner.places).fill(undefined);
  }

  /** What the columns at the dash mean, if they are known; the scanner's `results` then tell the rest of the time. */
  recall(dash: number, end: number): Thread | undefined {
    const { length } = this;
    const place = length === 0 ? -1 : this.scanner.prefix(dash, length, end);
    return place < 0 ? undefined : this.known[place];
  }

  /** Remembers what the `length` bytes at `from` mean; with 0 bytes there is nothing to remember. */
  keep(from: number, length: number, thread: Thread): void {
    const { scanner } = this;
    this.length = length > scanner.longestKey ? 0 : length;
    if (this.length > 0) this.known[scanner.keep(scanner.columnsOwner, from, length, 0)] = thread;
  }
}

/** What the columns say. */
export interface Thread {
  readonly pid: number;
  readonly tgid: number;
  readonly cpu: number;
  readonly context: number;
  readonly isLatency: boolean;
  readonly seconds: number;
}
