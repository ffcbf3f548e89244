import zlib from 'node:zlib';
import { InputError } from '../errors.js';

/** Decompresses one chunk or section. */
export interface Codec {
  /**
   * @param size bytes that come out, as the file's header says; memory for no more is taken
   * @throws Error when the data is damaged or gives another number of bytes
   */
  decompress(compressed: Uint8Array, size: number): Uint8Array;
}

/** In Node.js 22.15 and later; the types are those of the oldest version that is supported. */
type ZstdDecompress = (data: Uint8Array, options: { maxOutputLength: number }) => Buffer;
const builtInZstd = (zlib as { zstdDecompressSync?: ZstdDecompress }).zstdDecompressSync;

function checked(decompress: (compressed: Uint8Array, size: number) => Uint8Array): Codec {
  return {
    decompress(compressed, size) {
      const bytes = decompress(compressed, size);
      if (bytes.length !== size) throw new Error(`expected ${size} bytes, found ${bytes.length}`);
      return bytes;
    },
  };
}

/**
 * Calls a function that is not to find `fetch`. With it zstddec asks for its own WebAssembly by way of a `data:` URL,
 * which makes Node.js load its HTTP client: most of a short run's time. It looks for `fetch` before it returns.
 */
function withoutFetch<T>(call: () => T): T {
  const found = Object.getOwnPropertyDescriptor(globalThis, 'fetch');
  if (found?.configurable !== true) return call();
  Object.defineProperty(globalThis, 'fetch', { value: undefined, configurable: true });
  try {
    return call();
  } finally {
    Object.defineProperty(globalThis, 'fetch', found);
  }
}

/**
 * The decompressor of a name in a file's header; undefined for `none`. A decoder that is not part of Node.js is
 * loaded only here.
 *
 * @throws InputError for a name that is not known
 */
export async function loadCodec(name: string): Promise<Codec | undefined> {
  switch (name) {
    case 'none':
    case '':
      return undefined;
    case 'zlib':
      return checked((compressed, size) => zlib.inflateSync(compressed, { maxOutputLength: Math.max(1, size) }));
    case 'zstd': {
      if (builtInZstd !== undefined)
        return checked((compressed, size) => builtInZstd(compressed, { maxOutputLength: Math.max(1, size) }));
      const { ZSTDDecoder } = await import('zstddec');
      const decoder = new ZSTDDecoder();
      await withoutFetch(() => decoder.init());
      return checked((compressed, size) => decoder.decode(compressed, size));
    }
    default:
      throw new InputError(
        `the file is compressed with ${JSON.stringify(name.slice(0, 40))}; zstd and zlib are known: convert it with ` +
          '`trace-cmd convert --compression none -i FILE -o NEW`',
      );
  }
}
