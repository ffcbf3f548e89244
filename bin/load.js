// CommonJS, as the package.json beside it says: ES modules need a loader that takes some milliseconds to start.
'use strict';
const { existsSync, readFileSync } = require('node:fs');
const { join } = require('node:path');
const { Script } = require('node:vm');

const folder = join(__dirname, '../dist/bundle');

/** By name, the files that were loaded: their scripts, and what they export. */
const loaded = new Map();

/** Whether the bundle is there. */
const isBuilt = () => existsSync(join(folder, 'timervet.cjs'));

/** Where the code cache of a file lies. V8 does not look at the machine that it was made for. */
const cacheOf = (name) => join(folder, `${name}.${process.version}-${process.arch}.cache`);

/**
 * Runs a file of the bundle, a function in the shape of Node's module wrapper, and gives what it exports.
 *
 * To parse and compile the program takes as long as to check a short trace, so `npm run build` lays V8's code cache
 * beside each file. V8 refuses one that another version, other flags or another source have made, or that is damaged:
 * then, as without one, the file is compiled.
 */
function load(name) {
  const before = loaded.get(name);
  if (before !== undefined) return before.module.exports;
  const filename = join(folder, name);
  const cache = cacheOf(name);
  const script = new Script(
    // The bundler writes ASCII only.
    readFileSync(filename, 'latin1'),
    { filename, cachedData: existsSync(cache) ? readFileSync(cache) : undefined },
  );
  const module = { exports: {} };
  loaded.set(name, { script, module });
  const resolve = (id) => (id.startsWith('./') ? load(id.slice(2)) : require(id));
  script.runInThisContext()(module.exports, resolve, module, filename, folder);
  return module.exports;
}

module.exports = { isBuilt, load, loaded, cacheOf };
