/**
 * Makes V8's code caches of the bundle, by which `bin/load.js` spares a start its parsing and compiling: they hold the
 * functions that some commands on short traces have run. A process of its own: a cache holds what its process has
 * compiled.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { optimiseAsUsual } from '../commands/support/compiler.js';
import { projectRoot } from './generate.js';

/** The usual inputs: a trace.dat, compressed or not, and text. */
const [compressed, plain, text] = [
  '6.1-nvhe/tickwfi-zstd.dat',
  '6.1-nvhe/extract-overwrite.dat',
  '6.1-nvhe/tracefs-tgid.txt.gz',
].map((name) => join(projectRoot, 'traces/recordings', name)) as [string, string, string];

const commands = [
  ...[compressed, plain, text].map((trace) => ['check', trace]),
  ['info', compressed],
  ['stats', compressed],
  ['diff', compressed, compressed],
];

interface Loader {
  load(name: string): { main(argv: readonly string[], version: string): Promise<number> };
  writeCaches(): void;
}

const { load, writeCaches } = createRequire(import.meta.url)(join(projectRoot, 'bin/load.js')) as Loader;
const { main } = load('timervet.cjs');
for (const command of commands) await main(command, '');
// A short run changes a flag, and V8 accepts a cache only under those under which it was made.
optimiseAsUsual();
writeCaches();
process.exit(0);
