/**
 * Bundles the command into `dist/bundle`: one minified file to start with, and beside it only what is not always needed.
 * A start reads few files, and enums become constants.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { projectRoot } from './generate.js';

/** Packages that only some inputs need: they stay where npm has put them. */
const loadedOnDemand = ['zod', 'csv-parse', 'zstddec'];

const output = join(projectRoot, 'dist/bundle');
const { engines } = JSON.parse(await readFile(join(projectRoot, 'package.json'), 'utf8')) as {
  engines: { node: string };
};

await rm(output, { recursive: true, force: true });
await build({
  absWorkingDir: projectRoot,
  entryPoints: { timervet: 'src/cli.ts' },
  outdir: output,
  chunkNames: '[name]-[hash]',
  bundle: true,
  splitting: true,
  minify: true,
  format: 'esm',
  platform: 'node',
  target: `node${engines.node.replace(/^>=/, '')}`,
  // commander is a CommonJS package, whose requires of Node's own modules stay.
  banner: { js: "import { createRequire } from 'node:module';const require = createRequire(import.meta.url);" },
  external: loadedOnDemand,
  legalComments: 'eof',
  logLevel: 'warning',
});
