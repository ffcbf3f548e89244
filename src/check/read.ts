import { catalogue } from '../decode/catalogue.js';
import type { ConditionSink } from '../events/conditions.js';
import { detectFormat } from '../input/detect.js';
import { InputError, TruncatedInputError } from '../input/errors.js';
import { createReader } from '../input/index.js';
import type { NativeSink } from '../input/native/rows.js';
import type { Reader, RecordSink } from '../input/record.js';

/** One input: a name for the reports, and its bytes. */
export interface Input {
  /** Path as the user gave it; `-` is standard input. */
  readonly path: string;
  /** The bytes, in chunks of any size. Errors of the kind `InputError` make the input unreadable. */
  open(): AsyncIterable<Uint8Array>;
}

/** Most bytes looked at to recognise a format. */
const detectBytes = 64 * 1024;

/**
 * Reads an input to its end into a sink.
 *
 * @param format an input format, or undefined to recognise it by the content
 * @param begin makes the sink, once the format is known
 * @yields the number of bytes read so far, after each chunk that has been delivered
 * @throws InputError when the input cannot be read: what came before has been delivered
 */
export async function* readInput(
  input: Input,
  format: string | undefined,
  begin: (format: string) => RecordSink & NativeSink,
): AsyncGenerator<number, void, undefined> {
  let head: Uint8Array = new Uint8Array(0);
  let sink: ConditionSink | undefined;
  let reader: Reader | undefined;
  let bytes = 0;

  const open = async (atEnd: boolean): Promise<Reader | undefined> => {
    const found = format ?? detectFormat(head, atEnd);
    if (found === undefined) return undefined;
    const made = begin(found);
    sink = made;
    const opened = await createReader(found, catalogue, made);
    opened.push(head);
    return opened;
  };

  for await (const chunk of wholePart(input, (message) => sink?.condition('truncated-input', 1, 0, message))) {
    bytes += chunk.length;
    if (reader !== undefined) reader.push(chunk);
    else {
      head = concat(head, chunk);
      reader = await open(head.length >= detectBytes);
      if (reader === undefined) continue;
    }
    yield bytes;
  }
  reader ??= await open(true);
  if (reader === undefined) throw new InputError('the format is not recognised');
  reader.end();
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
