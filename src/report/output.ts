import { closeSync, openSync, writeFileSync } from 'node:fs';

/** Where a report goes. A reader that goes away (`| head`) closes it; that is no error. */
export interface Output {
  /** Characters a line to which prose is wrapped. */
  readonly columns: number;
  readonly color: boolean;
  /** True once the reader has gone away; what is written from then on is dropped. */
  readonly closed: boolean;
  /**
   * Resolves when the text has been handed to the system.
   * @throws OutputError for every failure but a reader that has gone away
   */
  write(text: string): Promise<void>;
  close(): Promise<void>;
}

/** A report could not be written: the message names the file and the system's reason. */
export class OutputError extends Error {
  override name = 'OutputError';
}

/** Width of a report that does not go to a terminal. */
export const defaultColumns = 100;

/** Prose is hard to read in lines longer than this, however wide the terminal. */
const widest = 140;
const narrowest = 60;

const readerGone = new Set(['EPIPE', 'ECONNRESET', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_WRITE_AFTER_END']);

function code(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What of `process.stdout` an output needs. */
export interface OutputStream {
  readonly columns?: number | undefined;
  write(text: string, done: (error?: Error | null) => void): boolean;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** An output on a stream of the process, which stays open at the end. */
export function streamOutput(stream: OutputStream, color: boolean): Output {
  let closed = false;
  // Without a listener a broken pipe would end the process; the callback of each write sees the error as well.
  stream.on('error', (error) => {
    if (readerGone.has(code(error))) closed = true;
  });
  return {
    columns: Math.min(Math.max(stream.columns ?? defaultColumns, narrowest), widest),
    color,
    get closed() {
      return closed;
    },
    write(text) {
      if (closed) return Promise.resolve();
      return new Promise((resolve, reject) => {
        stream.write(text, (error) => {
          if (error && !readerGone.has(code(error))) {
            reject(new OutputError(`cannot write the report: ${reason(error)}`));
            return;
          }
          closed ||= error != null;
          resolve();
        });
      });
    },
    close: () => Promise.resolve(),
  };
}

/**
 * An output on a file, which is created or emptied at once, so that a path that cannot be written is known
 * before the work begins.
 * @throws OutputError when the file cannot be opened
 */
export function fileOutput(path: string): Output {
  let closed = false;
  const attempt = <T>(action: () => T): T | undefined => {
    try {
      return action();
    } catch (error) {
      if (!readerGone.has(code(error))) throw new OutputError(`cannot write ${path}: ${reason(error)}`);
      closed = true;
      return undefined;
    }
  };
  const descriptor = attempt(() => openSync(path, 'w'));
  return {
    columns: defaultColumns,
    color: false,
    get closed() {
      return closed;
    },
    async write(text) {
      if (!closed) attempt(() => writeFileSync(descriptor!, text));
    },
    async close() {
      if (descriptor !== undefined) attempt(() => closeSync(descriptor));
    },
  };
}
