import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Script } from 'node:vm';
import { afterEach, describe, expect, it } from 'vitest';
import { root } from './timervet.js';

const made: string[] = [];
const trace = join(root, 'traces/recordings/6.1-nvhe/tickwfi-zstd.dat');

/** A copy of the built package. @returns its folder */
function copy(): string {
  const folder = mkdtempSync(join(tmpdir(), 'timervet-cache-'));
  made.push(folder);
  for (const part of ['bin', 'dist/bundle', 'package.json'])
    cpSync(join(root, part), join(folder, part), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

function check(folder: string) {
  return spawnSync(process.execPath, [join(folder, 'bin/timervet.js'), 'check', trace], { encoding: 'utf8' });
}

const cachesOf = (folder: string) =>
  readdirSync(join(folder, 'dist/bundle'))
    .filter((name) => name.endsWith('.cache'))
    .map((name) => join(folder, 'dist/bundle', name));

afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true });
});

describe('the code caches of the bundle', () => {
  it.each(['timervet.cjs', 'check.cjs', 'run.cjs'])('are accepted by the Node.js that has made them: %s', (name) => {
    const { load, loaded } = createRequire(import.meta.url)(join(root, 'bin/load.js')) as {
      load(name: string): unknown;
      loaded: ReadonlyMap<string, { readonly script: Script }>;
    };
    load(name);
    expect(loaded.get(name)?.script.cachedDataRejected).toBe(false);
  });

  it.each([
    ['missing', (file: string) => rmSync(file)],
    ['empty', (file: string) => writeFileSync(file, '')],
    ['cut', (file: string) => writeFileSync(file, readFileSync(file).subarray(0, 1000))],
    ['damaged', (file: string) => writeFileSync(file, readFileSync(file).fill(0x5a, 20_000, 20_100))],
    ['of another version', (file: string) => writeFileSync(file, Buffer.alloc(1000, 0x5a))],
  ])('are done without where they are %s', (_, damage) => {
    const folder = copy();
    const whole = check(folder);
    for (const file of cachesOf(folder)) damage(file);
    const { status, stdout, stderr } = check(folder);
    expect({ status, stdout, stderr }).toEqual({ status: whole.status, stdout: whole.stdout, stderr: '' });
    expect(status).toBe(0);
  });
});
