import zlib from 'node:zlib';
import { InputError } from '../errors.js';
import { type Decompress, loadZstd } from './zstd.js';

/** Decompresses one chunk or section. */
export interface Codec {
  /**
   * @param into is filled; as long as the file's header says
   * @throws Error when the data is damaged or gives another number of bytes
   */
  decompress(compressed: Uint8Array, into: Uint8Array): void;
}

/** In Node.js 22.15 and later; the types are those of the oldest version that is supported. */
type ZstdDecompress = (data: Uint8Array, options: { maxOutputLength: number }) => Uint8Array;
const builtInZstd = (zlib as { zstdDecompressSync?: ZstdDecompress }).zstdDecompressSync;

function checked(decompress: Decompress): Codec {
  return {
    decompress(compressed, into) {
      const count = decompress(compressed, into);
      if (count !== into.length) throw new Error(`expected ${into.length} bytes, found ${Math.max(0, count)}`);
    },
  };
}

/** A function of Node.js that makes a buffer itself. */
function copied(decompress: ZstdDecompress): Codec {
  return checked((compressed, into) => {
    const bytes = decompress(compressed, { maxOutputLength: Math.max(1, into.length) });
    if (bytes.length <= into.length) into.set(bytes);
    return bytes.length;
  });
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
      return copied(zlib.inflateSync);
    case 'zstd':
      return builtInZstd === undefined ? checked(await loadZstd()) : copied(builtInZstd);
    default:
      throw new InputError(
        `the file is compressed with ${JSON.stringify(name.slice(0, 40))}; zstd and zlib are known: convert it with ` +
          '`trace-cmd convert --compression none -i FILE -o NEW`',
      );
  }
}
