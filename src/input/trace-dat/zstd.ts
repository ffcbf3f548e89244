import type { ZSTDDecoder } from 'zstddec';

/** As far as it is used here; the types of Node.js have none. */
interface WebAssemblyGlobal {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
}

/** What zstddec's WebAssembly exports, in its own memory: of the C library what is called here. */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly malloc: (size: number) => number;
  readonly free: (at: number) => void;
  /** @returns bytes that came out, negative on an error */
  readonly ZSTD_decompress: (to: number, size: number, from: number, compressedSize: number) => number;
}

/**
 * Fills `into` from the compressed data.
 *
 * @returns bytes that came out, or would have if there were room for them; -1 where the data is damaged
 */
export type Decompress = (compressed: Uint8Array, into: Uint8Array) => number;

let exported: Exports | undefined;

/**
 * zstddec, for a Node.js without zstd of its own.
 *
 * Its own `decode` gives each chunk a buffer that lies outside of V8's heap and so waits long for a collection: with
 * them memory grew by 20 MB. So its WebAssembly is called here, whose memory is copied into the caller's buffer.
 */
export async function loadZstd(): Promise<Decompress> {
  const { ZSTDDecoder } = await import('zstddec');
  const decoder = new ZSTDDecoder();
  await instantiatedHere(() => decoder.init());
  return exported === undefined ? byWayOf(decoder) : inside(exported);
}

/**
 * Calls what instantiates zstddec's WebAssembly, and keeps what that exports. It does so once in a process, so that
 * another user of the package may have come first.
 *
 * It is not to find `fetch`: with it it asks for its own WebAssembly by way of a `data:` URL, which makes Node.js load
 * its HTTP client, most of a short run's time. It looks for both before it returns.
 */
function instantiatedHere<T>(call: () => T): T {
  const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyGlobal };
  const instantiate = (bytes: Uint8Array, imports: object) => {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports);
    exported = instance.exports as Exports;
    return Promise.resolve({ instance });
  };
  return replaced(globalThis, 'fetch', undefined, () => replaced(WebAssembly, 'instantiate', instantiate, call));
}

function replaced<T>(holder: object, name: string, value: unknown, call: () => T): T {
  const found = Object.getOwnPropertyDescriptor(holder, name);
  if (found?.configurable !== true) return call();
  Object.defineProperty(holder, name, { value, configurable: true });
  try {
    return call();
  } finally {
    Object.defineProperty(holder, name, found);
  }
}

function inside({ memory, malloc, free, ZSTD_decompress: decompress }: Exports): Decompress {
  return (compressed, into) => {
    const from = malloc(compressed.length);
    const to = malloc(into.length);
    // Memory may have grown, which gives it another buffer.
    const heap = new Uint8Array(memory.buffer);
    heap.set(compressed, from);
    const count = decompress(to, into.length, from, compressed.length);
    if (count > 0) into.set(new Uint8Array(memory.buffer, to, count));
    free(from);
    free(to);
    return Math.max(-1, count);
  };
}

function byWayOf(decoder: ZSTDDecoder): Decompress {
  return (compressed, into) => {
    const bytes = decoder.decode(compressed, into.length);
    if (bytes.length <= into.length) into.set(bytes);
    return bytes.length;
  };
}
