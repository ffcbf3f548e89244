// The modules under test, compiled beforehand.
//
// Vite turns each import into the property of an object and leaves enums as they are, which doubles the time of a check;
// and every test file would read and transform hundreds of modules again. esbuild does that once, as for the program.

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { build } from 'esbuild';
import type { Plugin } from 'vitest/config';

const root = join(import.meta.dirname, '..');
const source = join(root, 'src');

/** Where the compiled modules stand, each at the path that it has in `src`. */
export const compiled = join(root, 'dist-test');

/** Programs that write generated files: they find these by their own place. */
const tools = join(source, 'tools');

const isModule = (path: string) => path.startsWith(source + sep) && !path.startsWith(tools + sep);

/** Compiles every module of `src`; another run may read the files meanwhile. */
async function compile(): Promise<void> {
  const entries = await readdir(source, { recursive: true });
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: entries
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(source, name))
      .filter(isModule),
    outbase: source,
    outdir: compiled,
    chunkNames: 'chunks/[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    sourcemap: 'inline',
    logLevel: 'warning',
    write: false,
  });
  for (const { path, text } of outputFiles) {
    if (existsSync(path) && readFileSync(path, 'utf8') === text) continue;
    mkdirSync(dirname(path), { recursive: true });
    const part = `${path}.${process.pid}`;
    writeFileSync(part, text);
    renameSync(part, path);
  }
}

/** Lets tests import the compiled module where they name one of `src`. */
export function compiledSource(): Plugin {
  return {
    name: 'compiled-source',
    enforce: 'pre',
    buildStart: compile,
    async resolveId(specifier, importer, options) {
      if (importer === undefined || !specifier.startsWith('.')) return null;
      const resolved = await this.resolve(specifier, importer, { ...options, skipSelf: true });
      if (resolved === null || !isModule(resolved.id)) return resolved;
      return join(compiled, relative(source, resolved.id).replace(/\.ts$/, '.js'));
    },
  };
}
