import type { RandomAccess } from '../../../src/input/random-access.js';
import { openTraceDat } from '../../../src/input/trace-dat/reader.js';
import { Collector, catalogue } from '../support.js';

/** A file in memory. */
export function inMemory(bytes: Uint8Array): RandomAccess {
  return {
    size: bytes.length,
    ended: false,
    read(into, position) {
      const part = bytes.subarray(position, position + into.length);
      into.set(part);
      return part.length;
    },
    close() {},
  };
}

/** Reads a trace.dat with the events of the tests' catalogue. */
export async function readDat(bytes: Uint8Array): Promise<Collector> {
  const collector = new Collector();
  const reader = await openTraceDat(inMemory(bytes), catalogue, collector);
  for (const _ of reader.slices());
  return collector;
}

/** The records without their places, which differ from form to form. */
export function withoutPlaces(collector: Collector): string[] {
  return collector.records.map((record) => record.replace(/^\d+: /, ''));
}
