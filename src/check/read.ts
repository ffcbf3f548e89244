import { catalogue } from '../decode/catalogue.js';
import { detectFormat } from '../input/detect.js';
import { InputError, TruncatedInputError } from '../input/errors.js';
import {
  createReader,
  isTraceDat,
  openRandomAccess,
  openSource,
  openSpool,
  type RandomAccess,
  type Spool,
} from '../input/index.js';
import type { NativeSink } from '../input/native/rows.js';
import type { Reader, RecordSink } from '../input/record.js';
import { openTraceDat } from '../input/trace-dat/reader.js';

/** One input: a name for the reports, and its bytes. */
export interface Input {
  /** Path as the user gave it; `-` is standard input. */
  readonly path: string;
  /** The bytes, in chunks of any size. Errors of the kind `InputError` make the input unreadable. */
  open(): AsyncIterable<Uint8Array>;
  /**
   * The same bytes for reading at any place, which trace.dat needs; undefined where there is no such thing (a pipe).
   * Nicer to have: without it a trace.dat is first copied to a temporary file.
   */
  openFile?(): RandomAccess | undefined;
}

/** The input that a path names: a file, or standard input for `-`; gzip is opened on the way. */
export function fileInput(path: string): Input {
  return {
    path,
    open: () => openSource(path),
    openFile: () => (path === '-' ? undefined : openRandomAccess(path)),
  };
}

/** What takes the records or events of an input. */
type InputSink = RecordSink & NativeSink;

/** Most bytes looked at to recognise a format. */
const detectBytes = 64 * 1024;

/** Longest time without a turn of the event loop, in which signals and timers are seen; seconds. */
const longestTurn = 0.05;

/**
 * Reads an input to its end into a sink.
 *
 * @param format an input format, or undefined to recognise it by the content
 * @param begin makes the sink, once the format is known
 * @yields the number of bytes read so far, after each part that has been delivered
 * @throws InputError when the input cannot be read: what came before has been delivered
 */
export async function* readInput(
  input: Input,
  format: string | undefined,
  begin: (format: string) => InputSink,
): AsyncGenerator<number, void, undefined> {
  let head: Uint8Array = new Uint8Array(0);
  let sink: InputSink | undefined;
  let reader: Reader | undefined;
  let file: RandomAccess | undefined;
  let spool: Spool | undefined;
  let bytes = 0;

  /** Chooses how to go on with what was read so far. @returns false when more is needed to know. */
  const open = async (atEnd: boolean): Promise<boolean> => {
    // An empty input is of no format, whichever was named.
    const found = head.length === 0 ? detectFormat(head, atEnd) : (format ?? detectFormat(head, atEnd));
    if (found === undefined) return false;
    sink = begin(found);
    if (found === 'trace-dat') {
      spool = openSpool();
      spool.append(head);
    } else {
      reader = await createReader(found, catalogue, sink);
      reader.push(head);
    }
    return true;
  };

  try {
    // A trace.dat on disk is read at once as what it is, not first as a stream to recognise it by.
    if (format === undefined || format === 'trace-dat') file = seekable(input);
    if (file !== undefined) {
      yield* readFile(file, begin('trace-dat'));
      return;
    }
    for await (const chunk of wholePart(input, (message) => sink?.condition('truncated-input', 1, 0, message))) {
      bytes += chunk.length;
      if (reader !== undefined) reader.push(chunk);
      else if (spool !== undefined) spool.append(chunk);
      else {
        head = concat(head, chunk);
        if (!(await open(head.length >= detectBytes))) continue;
      }
      yield bytes;
    }
    if (sink === undefined && !(await open(true))) throw new InputError('the format is not recognised');
    file = (spool as Spool | undefined)?.file();
    if (file !== undefined) yield* readFile(file, sink as unknown as InputSink);
    (reader as Reader | undefined)?.end();
  } finally {
    (file as RandomAccess | undefined)?.close();
    (spool as Spool | undefined)?.remove();
  }
}

/** The input's bytes for reading at any place, if they are those of the trace: a compressed file is opened on the way. */
function seekable(input: Input): RandomAccess | undefined {
  const file = input.openFile?.();
  if (file === undefined || isTraceDat(file)) return file;
  file.close();
  return undefined;
}

/** Reads a trace.dat, with a turn of the event loop now and then: an interrupt ends it like any other input. */
async function* readFile(file: RandomAccess, sink: RecordSink): AsyncGenerator<number, void, undefined> {
  const reader = await openTraceDat(file, catalogue, sink);
  // Not `performance`, for which Node.js loads ten modules.
  let turn = process.uptime();
  for (const bytes of reader.slices()) {
    yield bytes;
    if (process.uptime() - turn < longestTurn) continue;
    await new Promise((resolve) => setImmediate(resolve));
    turn = process.uptime();
  }
}

/**
 * The chunks of an input up to where it is whole.
 *
 * @param truncated called when the input ends early, unless nothing of it could be used
 */
async function* wholePart(
  input: Input,
  truncated: (message: string) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  let used = false;
  try {
    for await (const chunk of input.open()) {
      used = true;
      yield chunk;
    }
  } catch (error) {
    if (!(error instanceof TruncatedInputError) || !used) throw error;
    truncated(error.message);
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
