import type { Input } from '../../index.js';
import { InputError } from '../../input/errors.js';
import type { RandomAccess } from '../../input/random-access.js';

function refuseAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new InputError('not read: the run was interrupted before');
}

/** Chunks of an input until the signal: from then on the input ends, even while a chunk is being waited for. */
async function* chunksUntil(input: Input, signal: AbortSignal): AsyncIterable<Uint8Array> {
  refuseAborted(signal);
  const chunks = input.open()[Symbol.asyncIterator]();
  // One listener for all chunks: a race with a promise that stays open would keep a reaction for every chunk.
  let stop: (end: IteratorResult<Uint8Array>) => void = () => {};
  const abort = () => stop({ done: true, value: undefined });
  signal.addEventListener('abort', abort);
  try {
    while (!signal.aborted) {
      const next = await new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
        stop = resolve;
        chunks.next().then(resolve, reject);
      });
      if (next.done) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', abort);
    // Not awaited: a read from a terminal or pipe may be pending for ever.
    chunks.return?.().catch(() => {});
  }
}

/** The same for a file that is read at any place. */
function fileUntil(input: Input, signal: AbortSignal): RandomAccess | undefined {
  refuseAborted(signal);
  const file = input.openFile?.();
  if (file === undefined) return undefined;
  return {
    size: file.size,
    get ended() {
      return signal.aborted;
    },
    read: (into, position) => file.read(into, position),
    close: () => file.close(),
  };
}

/**
 * The same inputs, which a signal ends: the one that is being read as if its data ended there, so that what is
 * known of it is reported; those after it as not read.
 */
export function endingAt(signal: AbortSignal, inputs: readonly Input[]): Input[] {
  return inputs.map((input) => ({
    path: input.path,
    open: () => chunksUntil(input, signal),
    openFile: () => fileUntil(input, signal),
  }));
}

/** Runs what SIGINT and SIGTERM end in an orderly way: they abort the signal, and what has been read is reported. */
export async function interruptible<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const interrupt = () => controller.abort();
  // Only the first one: the next interrupt ends the process at once.
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  try {
    return await run(controller.signal);
  } finally {
    process.removeListener('SIGINT', interrupt);
    process.removeListener('SIGTERM', interrupt);
  }
}
