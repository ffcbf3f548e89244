/** The inputs of the benchmark, made from a simulated host. */
import { DatWriter } from './dat-writer.js';
import { Host } from './host.js';
import { cpuCount } from './host-state.js';
import { readMetadata } from './metadata.js';

export interface Generated {
  readonly events: number;
  /** By CPU. */
  readonly perCpu: readonly number[];
  /** Bytes of pages for an event. */
  readonly bytesPerEvent: number;
  /** How many of each event. */
  readonly mix: ReadonlyMap<string, number>;
}

/**
 * Writes an uncompressed trace.dat with exactly so many events.
 *
 * @param recording a recording of a 6.1 arm64 host, from which formats, kallsyms and host strings are taken
 */
export function generate(path: string, events: number, recording: string): Generated {
  const metadata = readMetadata(recording);
  const writer = new DatWriter(path, metadata, cpuCount);
  const host = new Host(writer, metadata, events);
  const mix = host.run();
  writer.finish(host.comms, 'local');
  const bytes = writer.cpus.reduce((sum, { size }) => sum + size, 0);
  return { events, perCpu: writer.cpus.map((cpu) => cpu.events), bytesPerEvent: bytes / events, mix };
}
