import type { ConditionSink } from '../../events/conditions.js';
import { InputError } from '../errors.js';
import { isTraceDat, type RandomAccess, traceDatMagic } from '../random-access.js';
import { type Codec, loadCodec } from './compression.js';
import { Cursor } from './cursor.js';
import type { Formats } from './formats.js';
import type { Layout } from './layout.js';
import { Version6 } from './v6.js';
import { Version7 } from './v7.js';

/** A file's layout, and what decompresses its pages. */
export interface Opened {
  readonly layout: Layout;
  readonly codec: Codec | undefined;
  /** Name of the compression, `none` without one. */
  readonly compression: string;
}

/**
 * Reads everything but the records.
 *
 * @throws InputError when the records cannot be found or understood
 */
export async function readLayout(file: RandomAccess, formats: Formats, sink: ConditionSink): Promise<Opened> {
  const little = new Cursor(file, false);
  if (!isTraceDat(file))
    throw new InputError(
      'this is no trace.dat: leave out `--input-format`, so that the format is recognised by the content',
    );
  little.skip(traceDatMagic.length, 'the mark of a trace.dat');
  const versionAt = little.position;
  const version = little.string('the version of the file');
  const orderAt = little.position;
  const order = little.u8('the byte order');
  if (order > 1) throw little.error(orderAt, 'byte order 0 (little endian) or 1 (big endian)', `${order}`);
  const cursor = new Cursor(file, order === 1, little.position);
  const longAt = cursor.position;
  const long = cursor.u8('the size of a long');
  if (long !== 4 && long !== 8) throw cursor.error(longAt, 'a size of a long of 4 or 8', `${long}`);
  const pageAt = cursor.position;
  const pageSize = cursor.u32('the page size');
  switch (version) {
    case '6':
      return {
        layout: new Version6(file, cursor, sink).read(pageSize, formats),
        codec: undefined,
        compression: 'none',
      };
    case '7': {
      const compression = cursor.string('the name of the compression');
      const codec = await loadCodec(compression);
      cursor.string('the version of the compression');
      const options = cursor.u64('the place of the OPTIONS');
      if (options === 0) throw cursor.error(pageAt, 'the place of the OPTIONS', '0');
      return { layout: new Version7(file, cursor.isBigEndian, codec, sink).read(options, formats), codec, compression };
    }
    default:
      throw new InputError(
        `byte ${versionAt}: expected version 6 or 7 of trace.dat, found ${JSON.stringify(version.slice(0, 20))}: give ` +
          'the output of `trace-cmd report -N -t -i FILE` of the trace-cmd that made it',
      );
  }
}
