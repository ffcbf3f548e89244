import type { Reader } from '../record.js';
import type { NativeSink } from './rows.js';

/** Names of the forms of the native notation. */
export type NativeFormat = 'native-csv' | 'native-jsonl';

/**
 * Makes a reader of the native notation. Its `push` and `end` deliver before they return, and throw an
 * `InputError` that names the line for a row that is not valid; the reader is of no use after that.
 *
 * zod and csv-parse are loaded here and not with the program: most runs read other formats.
 */
export async function createNativeReader(format: NativeFormat, sink: NativeSink): Promise<Reader> {
  if (format === 'native-csv') {
    const { NativeCsvReader } = await import('./csv.js');
    return new NativeCsvReader(sink);
  }
  const { NativeJsonlReader } = await import('./jsonl.js');
  return new NativeJsonlReader(sink);
}
