import { Context } from '../../events/event.js';
import { TimeForm } from './clock.js';
import type { Prefix } from './prefix.js';
import type { Scanner } from './scanner.js';

/**
 * What the columns from the `-` before the pid to the dot in the time mean, remembered by their bytes:
 *
 *            CPU 0/KVM-2113    [003] d..2.   812.402115: kvm_entry: …
 *                     |------ remembered ------|
 *
 * A thread writes many records within one second, and in all of them these bytes are the same. `Prefix` computes
 * everything in here from these bytes alone, so where the scanner finds them again its result is known without it.
 */
export class Columns {
  private readonly scanner: Scanner;
  /** By place in the scanner's memory. */
  private readonly known: Thread[];

  constructor(scanner: Scanner) {
    this.scanner = scanner;
    this.known = new Array<Thread>(scanner.places).fill(nobody);
  }

  /** What the columns mean that the scanner found at this place. */
  at(place: number): Thread {
    return this.known[place]!;
  }

  /** Remembers the columns that the prefix has just read, in a line that begins at `start`. */
  keep(start: number, prefix: Prefix): void {
    const { scanner } = this;
    const { pid, tgid, cpu, context, isLatency, time, column, commEnd: dash } = prefix;
    // Elsewhere they are found by a search only, which may find others in another line.
    if (dash !== start + column) return;
    const length = time.form === TimeForm.seconds ? time.dot + 1 - dash : 0;
    if (length === 0 || length > scanner.longestText) {
      scanner.setColumns(column, 0);
      return;
    }
    scanner.setColumns(column, length);
    const place = scanner.keep(scanner.columnsOwner, dash, length, cpu);
    scanner.seconds[place] = time.seconds;
    this.known[place] = { pid, tgid, cpu, context, isLatency };
  }
}

/** What the columns say. */
export interface Thread {
  readonly pid: number;
  readonly tgid: number;
  readonly cpu: number;
  readonly context: number;
  readonly isLatency: boolean;
}

/** At a place where nothing was kept. */
const nobody: Thread = { pid: -1, tgid: -1, cpu: -1, context: Context.unknown, isLatency: false };
