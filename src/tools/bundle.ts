/**
 * Bundles the command into `dist/bundle`: one minified file to start with, and beside it only what is not always needed.
 * A start reads few files, and enums become constants.
 *
 * The files are CommonJS, which Node.js starts sooner than ES modules: those need a loader that is started first.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { build, type Plugin, transform } from 'esbuild';
import { projectRoot } from './generate.js';

/** Large packages that few inputs need: they stay where npm has put them. */
const loadedOnDemand = ['zod', 'csv-parse'];

/**
 * Modules of Node.js that a package loads at its start, for what is not used here: commander runs commands that are
 * programs of their own with node:child_process, which brings streams and sockets with it.
 */
const unused: Plugin = {
  name: 'unused',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:child_process$/ }, ({ path }) => ({ path, namespace: 'unused' }));
    onLoad({ filter: /^/, namespace: 'unused' }, () => ({ contents: '' }));
  },
};

const output = join(projectRoot, 'dist/bundle');
const { engines } = JSON.parse(await readFile(join(projectRoot, 'package.json'), 'utf8')) as {
  engines: { node: string };
};
const target = `node${engines.node.replace(/^>=/, '')}`;

const { outputFiles, metafile } = await build({
  absWorkingDir: projectRoot,
  entryPoints: { timervet: 'src/cli.ts' },
  outdir: output,
  outExtension: { '.js': '.cjs' },
  chunkNames: '[name]-[hash]',
  bundle: true,
  splitting: true,
  minify: true,
  format: 'esm',
  platform: 'node',
  target,
  external: loadedOnDemand,
  plugins: [unused],
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
  write: false,
});

await rm(output, { recursive: true, force: true });
await mkdir(output, { recursive: true });
for (const { path, text } of outputFiles) {
  // esbuild splits ES modules only.
  const { code } = await transform(text, {
    format: 'cjs',
    platform: 'node',
    target,
    supported: { 'dynamic-import': false },
    minify: true,
    legalComments: 'none',
    sourcefile: basename(path),
  });
  await writeFile(path, code);
}

/** The licences of the packages that have become a part of the bundle go with it. */
const packages = new Set(
  Object.keys(metafile.inputs).flatMap((input) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1] ?? []),
);
const licences: string[] = [];
for (const name of [...packages].sort()) {
  const folder = join(projectRoot, 'node_modules', name);
  for (const file of (await readdir(folder)).filter((entry) => /^licen[cs]e/i.test(entry)))
    licences.push(`${name}\n\n${await readFile(join(folder, file), 'utf8')}`);
}
await writeFile(join(output, 'LICENSES'), licences.join('\n\n'));
