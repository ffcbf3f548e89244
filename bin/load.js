// CommonJS, as the package.json beside it says: ES modules need a loader that takes some milliseconds to start.
'use strict';
const { existsSync, readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { Script } = require('node:vm');
const { crc32 } = require('node:zlib');

const folder = join(__dirname, '../dist/bundle');

/** Bytes of the checksum at the end of a cache. */
const sumSize = 4;

/** By name, the files that were loaded: their sources and scripts, and what they export. */
const loaded = new Map();

/** Whether the bundle is there. */
const isBuilt = () => existsSync(join(folder, 'timervet.cjs'));

/** Where the code cache of a file lies. V8 does not look at the machine that it was made for. */
const cacheOf = (name) => join(folder, `${name}.${process.version}-${process.arch}.cache`);

/** What V8 does not look at either: that the cache is whole, and of this source. */
const sumOf = (source, data) => crc32(data, crc32(source));

/** The code cache of a file; undefined where there is none that can be used. */
function readCache(name, source) {
  const file = cacheOf(name);
  if (!existsSync(file)) return undefined;
  const bytes = readFileSync(file);
  if (bytes.length < sumSize) return undefined;
  const data = bytes.subarray(0, -sumSize);
  return bytes.readUInt32LE(data.length) === sumOf(source, data) ? data : undefined;
}

/** Lays a code cache beside each file that was loaded, with what has been compiled of it so far. */
function writeCaches() {
  for (const [name, { source, script }] of loaded) {
    const data = script.createCachedData();
    const sum = Buffer.alloc(sumSize);
    sum.writeUInt32LE(sumOf(source, data));
    writeFileSync(cacheOf(name), Buffer.concat([data, sum]));
  }
}

/**
 * Runs a file of the bundle, a function in the shape of Node's module wrapper, and gives what it exports.
 *
 * To parse and compile the program takes as long as to check a short trace, so `npm run build` lays V8's code cache
 * beside each file. V8 refuses one that another version or other flags have made: then, as without one, the file is
 * compiled.
 */
function load(name) {
  const before = loaded.get(name);
  if (before !== undefined) return before.module.exports;
  const filename = join(folder, name);
  const source = readFileSync(filename);
  // The bundler writes ASCII only.
  const script = new Script(source.latin1Slice(), { filename, cachedData: readCache(name, source) });
  const module = { exports: {} };
  loaded.set(name, { source, script, module });
  const resolve = (id) => (id.startsWith('./') ? load(id.slice(2)) : require(id));
  script.runInThisContext()(module.exports, resolve, module, filename, folder);
  return module.exports;
}

module.exports = { isBuilt, load, loaded, writeCaches };
