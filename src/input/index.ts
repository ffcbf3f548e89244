import type { Catalogue } from './catalogue.js';
import { type Format, isFormat } from './detect.js';
import { InputError } from './errors.js';
import type { NativeSink } from './native/rows.js';
import type { Reader, RecordSink } from './record.js';
import { ConsoleReader } from './text/console.js';
import { FtraceReader } from './text/ftrace.js';
import { PerfScriptReader } from './text/perf.js';

export { detectFormat, type Format, inputFormats } from './detect.js';
export { isTraceDat, openRandomAccess, openSpool, type RandomAccess, type Spool } from './random-access.js';
export { openSource } from './source.js';

/**
 * A push reader of a text format.
 *
 * @throws InputError for a binary format, with what to do instead.
 */
export function createTextReader(format: Format, catalogue: Catalogue, sink: RecordSink): Reader {
  switch (format) {
    case 'ftrace':
      return new FtraceReader(catalogue, sink);
    case 'perf-script':
      return new PerfScriptReader(catalogue, sink);
    case 'console':
      return new ConsoleReader(catalogue, sink);
    case 'trace-dat':
      throw new RangeError('trace.dat is read with openTraceDat');
    case 'perf-data':
      throw new InputError(
        'this is a perf.data file; direct reading of perf.data is not in this version: give the output of ' +
          '`perf script --ns -i FILE`, with `--guestkallsyms=/proc/kallsyms` (a copy from the recorded machine) up to ' +
          'kernel 6.12, whose samples of a loaded vcpu perf otherwise drops silently',
      );
    case 'native-csv':
    case 'native-jsonl':
      throw new RangeError(`${format} is no tracer's text`);
  }
}

/**
 * A push reader of any format. The native notation's reader brings a CSV parser and a schema with it, which a
 * trace does not need, so it is loaded on demand.
 *
 * @param format one of `inputFormats`
 * @throws InputError for a format that cannot be read, with what to do instead.
 */
export async function createReader(
  format: string,
  catalogue: Catalogue,
  sink: RecordSink & NativeSink,
): Promise<Reader> {
  if (format === 'native-csv' || format === 'native-jsonl') {
    const { createNativeReader } = await import('./native/reader.js');
    return createNativeReader(format, sink);
  }
  if (!isFormat(format)) throw new RangeError(`unknown input format '${format}'`);
  return createTextReader(format, catalogue, sink);
}
