import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InputError } from './errors.js';
import { readError } from './source.js';

/** What a trace.dat begins with. */
export const traceDatMagic = '\x17\x08\x44tracing';

/** Bytes that can be read at any place: what a format with a table of contents needs. */
export interface RandomAccess {
  /** Number of bytes. */
  readonly size: number;
  /** True once the run was interrupted: what has not been read by then is not read any more. */
  readonly ended: boolean;
  /**
   * Fills `into` from `position` on.
   *
   * @returns the number of bytes read, less than asked for only at the end
   * @throws InputError when the operating system refuses
   */
  read(into: Uint8Array, position: number): number;
  close(): void;
}

/** A file descriptor's bytes. */
class OpenFile implements RandomAccess {
  readonly ended = false;
  readonly size: number;
  readonly close: () => void;
  private readonly descriptor: number;

  constructor(descriptor: number, close: () => void) {
    this.descriptor = descriptor;
    this.close = close;
    this.size = fstatSync(descriptor).size;
  }

  read(into: Uint8Array, position: number): number {
    let done = 0;
    try {
      while (done < into.length) {
        const count = readSync(this.descriptor, into, done, into.length - done, position + done);
        if (count === 0) break;
        done += count;
      }
    } catch (error) {
      throw readError(error);
    }
    return done;
  }
}

/**
 * A file on disk for reading at any place.
 *
 * @returns undefined for what has no places: a pipe, a terminal
 * @throws InputError when it cannot be opened
 */
export function openRandomAccess(path: string): RandomAccess | undefined {
  try {
    // Asked before it is opened: to open a pipe and close it again would end its writer.
    if (!statSync(path).isFile()) return undefined;
    const descriptor = openSync(path, 'r');
    return new OpenFile(descriptor, () => closeSync(descriptor));
  } catch (error) {
    throw readError(error);
  }
}

/** Whether the bytes are a trace.dat themselves, and not one in gzip. */
export function isTraceDat(file: RandomAccess): boolean {
  const head = Buffer.alloc(traceDatMagic.length);
  return file.read(head, 0) === head.length && head.toString('latin1') === traceDatMagic;
}

/** A file without a name, which is gone when it is closed or the process ends. */
export interface Spool {
  append(chunk: Uint8Array): void;
  /** What was appended, until `remove`. */
  file(): RandomAccess;
  remove(): void;
}

/** @throws InputError when the system refuses what the spool needs of it */
function spooled<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new InputError(
      `a trace.dat from a pipe or in gzip is copied to ${tmpdir()} first, which failed ` +
        `(${(error as Error).message}): make room there or set TMPDIR, or give the file itself`,
    );
  }
}

/**
 * The bytes of a stream kept for reading at any place: in a temporary file, so that memory does not grow with them.
 *
 * @throws InputError when there is no place for it, also by `append`
 */
export function openSpool(): Spool {
  const folder = spooled(() => mkdtempSync(join(tmpdir(), 'timervet-')));
  const descriptor = spooled(() => openSync(join(folder, 'trace.dat'), 'wx+', 0o600));
  const unlink = () => rmSync(folder, { recursive: true, force: true });
  // Without a name at once, so that nothing is left behind however the process ends; a system that refuses that for
  // an open file gets it back when it is closed.
  try {
    unlink();
  } catch {}
  let isOpen = true;
  return {
    append(chunk) {
      spooled(() => {
        for (let done = 0; done < chunk.length; ) done += writeSync(descriptor, chunk, done, chunk.length - done);
      });
    },
    file: () => new OpenFile(descriptor, () => {}),
    remove() {
      if (!isOpen) return;
      isOpen = false;
      closeSync(descriptor);
      unlink();
    },
  };
}
