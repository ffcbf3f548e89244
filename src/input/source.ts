import { promises, readSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { InputError } from './errors.js';
import { gzipMagic, inflated } from './gzip.js';

/** Bytes read at a time: large enough that calls do not count, small enough that a pipe's reader is not kept waiting. */
const blockSize = 256 * 1024;

/** Longest time without a turn of the event loop, in which signals and timers are seen; seconds. */
const longestTurn = 0.05;

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
      yield* inflated(head, blocks, blockSize);
    } else {
      if (head.length > 0) yield head;
      yield* blocks;
    }
  } finally {
    await blocks.return();
  }
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
