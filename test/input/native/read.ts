import { TimerEvent } from '../../../src/events/event.js';
import { createNativeReader, type NativeFormat } from '../../../src/input/native/reader.js';
import type { RecordingFacts } from '../../../src/input/record.js';

export interface Delivered {
  events: TimerEvent[];
  facts: RecordingFacts;
  conditions: unknown[][];
  recorded: string[];
  threads: unknown[][];
  cpuEnds: unknown[][];
  counted: number;
  /** Message of the InputError that ended the reading. */
  error: string | undefined;
}

/** Reads a trace in pieces of the given size, or whole; every piece is overwritten after it was pushed. */
export async function readNative(format: NativeFormat, input: string | Uint8Array, size = 0x10000): Promise<Delivered> {
  const delivered: Delivered = {
    events: [],
    facts: {},
    conditions: [],
    recorded: [],
    threads: [],
    cpuEnds: [],
    counted: 0,
    error: undefined,
  };
  const reader = await createNativeReader(format, {
    event: (event) => delivered.events.push(new TimerEvent().copyFrom(event)),
    fact: (facts) => Object.assign(delivered.facts, facts),
    recorded: (source) => delivered.recorded.push(source),
    thread: (...thread) => delivered.threads.push(thread),
    cpuEnd: (...end) => delivered.cpuEnds.push(end),
    condition: (...condition) => delivered.conditions.push(condition),
    counted: (rows) => {
      delivered.counted += rows;
    },
  });
  const bytes = Buffer.from(input);
  const piece = new Uint8Array(size);
  try {
    for (let at = 0; at < bytes.length; at += size) {
      const part = bytes.subarray(at, at + size);
      piece.set(part);
      reader.push(piece.subarray(0, part.length));
      piece.fill(0x2c);
    }
    reader.end();
  } catch (error) {
    if ((error as Error).name !== 'InputError') throw error;
    delivered.error = (error as Error).message;
  }
  return delivered;
}
