/**
 * Bundles the command into `dist/bundle`, minified, enums become constants: the command line in one file, what `check`
 * does in another, what the other commands do in a third. `bin/load.js` runs them, from the code caches that are made
 * here as well.
 *
 * All are CommonJS, which Node.js starts sooner than ES modules: those need a loader that is started first, and cannot
 * be run from a code cache.
 */
import { execFileSync } from 'node:child_process';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import { projectRoot } from './generate.js';
import { withoutPrivateNames } from './private-names.js';

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

/** Private names are made ordinary ones. */
const privateNames: Plugin = {
  name: 'private-names',
  setup({ onLoad }) {
    onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path }) => ({
      contents: withoutPrivateNames(await readFile(path, 'utf8'), relative(projectRoot, path)),
      loader: 'ts',
    }));
  },
};

const output = join(projectRoot, 'dist/bundle');
const { engines } = JSON.parse(await readFile(join(projectRoot, 'package.json'), 'utf8')) as {
  engines: { node: string };
};
const target = `node${engines.node.replace(/^>=/, '')}`;

const common = {
  absWorkingDir: projectRoot,
  outdir: output,
  outExtension: { '.js': '.cjs' },
  bundle: true,
  minify: true,
  // Those that `privateNames` makes, which are long.
  mangleProps: /^private_src_/,
  format: 'cjs',
  // What is imported when it is needed is required then.
  supported: { 'dynamic-import': false },
  banner: { js: '(function(exports,require,module,__filename,__dirname){' },
  footer: { js: '})' },
  charset: 'ascii',
  platform: 'node',
  target,
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
} satisfies BuildOptions;

/** What the commands do is loaded when one runs: the file of `check` alone, or that of all others. */
const run: Plugin = {
  name: 'run',
  setup({ onResolve }) {
    onResolve({ filter: /\/run\/check\.js$/ }, () => ({ path: './check.cjs', external: true }));
    onResolve({ filter: /\/run\/index\.js$/ }, () => ({ path: './run.cjs', external: true }));
  },
};

await rm(output, { recursive: true, force: true });
const commandLine = await build({
  ...common,
  entryPoints: { timervet: 'src/cli.ts' },
  plugins: [run, unused, privateNames],
});
const commands = await build({
  ...common,
  entryPoints: { check: 'src/commands/run/check.ts', run: 'src/commands/run/index.ts' },
  external: loadedOnDemand,
  plugins: [unused, privateNames],
});

/** The licences of the packages that have become a part of the bundle go with it. */
const packages = new Set(
  [commandLine, commands]
    .flatMap(({ metafile }) => Object.keys(metafile.inputs))
    .flatMap((input) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1] ?? []),
);
const licences: string[] = [];
for (const name of [...packages].sort()) {
  const folder = join(projectRoot, 'node_modules', name);
  for (const file of (await readdir(folder)).filter((entry) => /^licen[cs]e/i.test(entry)))
    licences.push(`${name}\n\n${await readFile(join(folder, file), 'utf8')}`);
}
await writeFile(join(output, 'LICENSES'), licences.join('\n\n'));

const codeCache = join(projectRoot, 'dist/tools/code-cache.js');
execFileSync(process.execPath, [codeCache], { stdio: ['ignore', 'ignore', 'inherit'] });
