import { createGunzip } from 'node:zlib';
import { TruncatedInputError } from './errors.js';

/** Bytes given to zlib at a time: a kilobyte may inflate to a megabyte, and all of a piece's output is held. */
const pieceSize = 16 * 1024;

/** What a gzip member begins with. */
export const gzipMagic = [0x1f, 0x8b] as const;

/**
 * Inflates `head` and what follows it; a file of several members (`cat a.gz b.gz`) is one text. Zeros behind it pad a
 * tape or a block, and are passed over as `gzip -d` does.
 *
 * @param chunkSize most bytes given at a time
 * @throws TruncatedInputError when the data is damaged, ends early, or something else follows it: what came before has
 *   been given by then.
 */
export async function* inflated(
  head: Uint8Array,
  rest: AsyncIterable<Uint8Array>,
  chunkSize: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const inflater = new Inflater(chunkSize);
  try {
    for await (const piece of pieces(head, rest)) {
      yield* inflater.push(piece);
      if (inflater.isAtEnd) refuseData(piece.subarray(piece.length - inflater.left), inflater.end);
    }
    yield* inflater.finish();
  } finally {
    inflater.destroy();
  }
}

async function* pieces(head: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* piecesOf(head);
  for await (const block of rest) yield* piecesOf(block);
}

function* piecesOf(block: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < block.length; at += pieceSize) yield block.subarray(at, at + pieceSize);
}

/** zlib, one piece after the other. */
class Inflater {
  /** Bytes of the latest piece that lie behind the end of the gzip data. */
  left = 0;
  private readonly gunzip;
  private readonly output: Uint8Array[] = [];
  private failure: Error | undefined;
  private hasEnded = false;
  private wake = () => {};

  constructor(chunkSize: number) {
    this.gunzip = createGunzip({ chunkSize });
    this.gunzip.on('data', (chunk: Uint8Array) => this.output.push(chunk));
    this.gunzip.on('error', (error) => this.fail(error));
    // Listened to from the start: at a zero behind a member zlib ends by itself, and it says so only once.
    this.gunzip.on('end', () => {
      this.hasEnded = true;
      this.wake();
    });
  }

  /** Whether the gzip data has ended, and other bytes have followed it. */
  get isAtEnd(): boolean {
    return this.left > 0;
  }

  /** Bytes of gzip data, from the start of the file. */
  get end(): number {
    return this.gunzip.bytesWritten;
  }

  /** @throws TruncatedInputError when the piece is damaged */
  async *push(piece: Uint8Array): AsyncGenerator<Uint8Array> {
    // zlib takes nothing more once it has ended, and no piece is empty.
    const before = this.gunzip.bytesWritten;
    if (!this.isAtEnd) {
      await this.settled((done) =>
        this.gunzip.write(piece, (error) => {
          if (error) this.fail(error);
          done();
        }),
      );
    }
    yield* this.taken();
    this.left = piece.length - (this.gunzip.bytesWritten - before);
  }

  /** @throws TruncatedInputError when the data ends early */
  async *finish(): AsyncGenerator<Uint8Array> {
    await this.settled(() => this.gunzip.end());
    yield* this.taken();
  }

  destroy(): void {
    this.gunzip.destroy();
  }

  /** Resolves when zlib is done with the bytes, has ended, or cannot go on. */
  private settled(start: (done: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
      if (this.failure !== undefined || this.hasEnded) resolve();
      else start(resolve);
    });
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.wake();
  }

  private *taken(): Generator<Uint8Array> {
    while (this.output.length > 0) yield this.output.shift()!;
    if (this.failure !== undefined) throw gzipError(this.failure);
  }
}

function gzipError(error: Error): TruncatedInputError {
  const isShort = (error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR';
  return new TruncatedInputError(
    isShort
      ? 'the gzip data ends in the middle: copy the whole file'
      : `the gzip data is damaged (${error.message}): copy the file again`,
  );
}

/** Zeros behind the gzip data are no data; anything else may be events that nobody has looked at. */
function refuseData(bytes: Uint8Array, end: number): void {
  if (bytes.every((byte) => byte === 0)) return;
  throw new TruncatedInputError(
    `the gzip data ends at byte ${end}, and zeros and other data follow it, which were not used: copy the file again`,
  );
}
