/** The real recording whose event formats the generated traces take over. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The recordings that are too large for the repository, from the project's root. */
export const recordings = process.env.TIMERVET_RECORDINGS ?? join('..', 'shared', 'recordings');

/** A trace.dat of a 6.1 VHE host: the project's own, or one of the larger ones; undefined where there is neither. */
export function sourceRecording(): string | undefined {
  const own = join('traces', 'recordings', '6.1-vhe');
  const candidates = readdirSync(own)
    .filter((name) => name.endsWith('.dat'))
    .map((name) => join(own, name));
  return [...candidates, join(recordings, '6.1-vhe-tickwfi.dat')].find((file) => existsSync(file));
}
