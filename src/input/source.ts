import { promises, readSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { InputError, TruncatedInputError } from './errors.js';

/** Bytes read at a time: large enough that calls do not count, small enough that a pipe's reader is not kept waiting. */
const blockSize = 256 * 1024;

/** Longest time without a turn of the event loop, in which signals and timers are seen; seconds. */
const longestTurn = 0.05;

/** Bytes given to zlib at a time. */
const pieceSize = 16 * 1024;

const gzipMagic = [0x1f, 0x8b] as const;

type Blocks = AsyncGenerator<Uint8Array, void, undefined>;

/**
 * The bytes of a file, or of standard input for `-`, gzip opened on the way. A chunk is valid until the next
 * one is asked for.
 *
 * @throws InputError (while reading) when the file cannot be opened or read, or its gzip data is damaged: what
 *   came before has been given by then.
 */
export async function* openSource(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  yield* gunzipped(path === '-' ? standardInput() : fileBlocks(path));
}

async function* fileBlocks(path: string): Blocks {
  let file: FileHandle;
  try {
    file = await promises.open(path, 'r');
  } catch (error) {
    throw readError(error);
  }
  try {
    // What a file holds comes at once, read ahead by the kernel; a pipe may never have more to give.
    if ((await file.stat()).isFile()) yield* readWhole(file);
    else yield* oneByOne(file);
  } catch (error) {
    throw readError(error);
  } finally {
    await file.close();
  }
}

async function* oneByOne(file: FileHandle): Blocks {
  const block = Buffer.allocUnsafeSlow(blockSize);
  for (;;) {
    const { bytesRead } = await file.read(block, 0, blockSize, null);
    if (bytesRead === 0) return;
    yield block.subarray(0, bytesRead);
  }
}

async function* readWhole(file: FileHandle): Blocks {
  const block = Buffer.allocUnsafeSlow(blockSize);
  let turn = process.uptime();
  for (;;) {
    const bytesRead = readSync(file.fd, block, 0, blockSize, null);
    if (bytesRead === 0) return;
    yield block.subarray(0, bytesRead);
    if (process.uptime() - turn < longestTurn) continue;
    await new Promise((resolve) => setImmediate(resolve));
    turn = process.uptime();
  }
}

async function* standardInput(): Blocks {
  try {
    for await (const chunk of process.stdin) yield chunk as Uint8Array;
  } catch (error) {
    throw readError(error);
  }
}

/** Opens gzip where the first two bytes say so; anything else passes as it is. */
async function* gunzipped(blocks: Blocks): Blocks {
  try {
    let head: Uint8Array = new Uint8Array(0);
    // A pipe may give one byte at a time.
    while (head.length < gzipMagic.length) {
      const next = await blocks.next();
      if (next.done) break;
      // The first block usually decides and is passed on as it is; a shorter one is copied before the next is read.
      head = head.length === 0 ? next.value : Buffer.concat([head, next.value]);
      if (head.length < gzipMagic.length) head = Uint8Array.from(head);
    }
    if (head.length >= gzipMagic.length && gzipMagic.every((byte, index) => head[index] === byte)) {
      yield* inflated(head, blocks);
    } else {
      if (head.length > 0) yield head;
      yield* blocks;
    }
  } finally {
    await blocks.return();
  }
}

/** Inflates `head` and what follows it; a file of several members (`cat a.gz b.gz`) is one text. */
async function* inflated(head: Uint8Array, rest: Blocks): Blocks {
  const gunzip = createGunzip({ chunkSize: blockSize });
  const output: Uint8Array[] = [];
  let failure: Error | undefined;
  let wake = () => {};
  gunzip.on('data', (chunk: Uint8Array) => output.push(chunk));
  gunzip.on('error', (error) => {
    failure = error;
    wake();
  });
  /** Resolves when zlib is done with the bytes, or cannot go on. */
  const settled = (start: (done: () => void) => void) =>
    new Promise<void>((resolve) => {
      wake = resolve;
      if (failure) resolve();
      else start(resolve);
    });
  try {
    for (let block: Uint8Array | undefined = head; block && !failure; block = (await rest.next()).value ?? undefined) {
      // In small pieces: a kilobyte may inflate to a megabyte, and all of a piece's output is held.
      for (let at = 0; at < block.length && !failure; at += pieceSize) {
        const piece = block.subarray(at, at + pieceSize);
        await settled((done) => gunzip.write(piece, done));
        while (output.length > 0) yield output.shift()!;
      }
    }
    await settled((done) => gunzip.once('end', done).end());
    while (output.length > 0) yield output.shift()!;
    if (failure) throw gzipError(failure);
  } finally {
    gunzip.destroy();
  }
}

function gzipError(error: Error): TruncatedInputError {
  const isShort = (error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR';
  return new TruncatedInputError(
    isShort
      ? 'the gzip data ends in the middle: the events before that place were used; copy the whole file'
      : `the gzip data is damaged (${error.message}): the events before that place were used; copy the file again`,
  );
}

/** The operating system's refusal in plain words. */
export function readError(error: unknown): InputError {
  if (error instanceof InputError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOENT':
      return new InputError('no such file: check the path');
    case 'EISDIR':
      return new InputError('this is a directory: name the recordings in it, e.g. with `DIRECTORY/*.txt`');
    case 'EACCES':
    case 'EPERM':
      return new InputError(
        'no permission to read it: files in tracefs and those of `trace-cmd record` belong to root',
      );
    default:
      return new InputError(`cannot be read: ${message ?? String(error)}`);
  }
}
