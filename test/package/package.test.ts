import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from './timervet.js';

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));

/** Runs a module in the project's folder, where `timervet` names the package itself. */
function runModule(code: string) {
  return spawnSync(process.execPath, ['--input-type=module', '-e', code], { cwd: root, encoding: 'utf8' });
}

describe('package.json', () => {
  const pins = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies } as Record<string, string>);

  it.each(pins)('pins %s to an exact version, the one of the lock file', (name, version) => {
    expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    expect(lock.packages[`node_modules/${name}`].version).toBe(version);
  });

  it('states the Node.js that it needs, and the lock file agrees', () => {
    expect(manifest.engines.node).toBe('>=20.19.0');
    expect(lock.packages[''].engines).toEqual(manifest.engines);
    expect(lock.version).toBe(manifest.version);
  });

  it('offers files that exist', () => {
    const { types, default: entry } = manifest.exports['.'];
    for (const file of [types, entry, manifest.bin.timervet]) expect(existsSync(join(root, file))).toBe(true);
  });
});

describe('the packed package', () => {
  // Scripts stay off: a build while other tests run the built command would pull it from under them.
  const packed = JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts', '--offline'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  )[0];
  const files: string[] = packed.files.map(({ path }: { path: string }) => path);

  it('has the command, the library, the schemas, the corpus and the documents', () => {
    expect(files).toEqual(
      expect.arrayContaining([
        'LICENSE',
        'README.md',
        'bin/timervet.js',
        'dist/cli.js',
        'dist/index.d.ts',
        'dist/index.js',
        'schemas/report.schema.json',
        'traces/manifest.json',
      ]),
    );
  });

  it('has nothing else', () => {
    const known = /^(LICENSE|README\.md|package\.json|(bin|dist|schemas|traces)\/.+)$/;
    expect(files.filter((file) => !known.test(file))).toEqual([]);
  });

  it('stays small', () => {
    // A quarter of it are the code caches of the bundle.
    expect(packed.size).toBeLessThan(6_500_000);
  });
});

describe("import 'timervet'", () => {
  it('checks a trace from code', () => {
    const { status, stdout, stderr } = runModule(`
      import { check, models, openSource, rules } from 'timervet';
      const path = 'traces/bugs/w3.csv';
      for await (const fact of check([{ path, open: () => openSource(path) }])) {
        if (fact.type === 'finding') console.log(fact.finding.rule, fact.finding.diagnosis);
        if (fact.type === 'run-end') console.log(fact.run.exitCode);
      }
      console.log(rules.length > 0, Object.keys(models).length > 0);
    `);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toBe('restore-equals-last-save ctl-clobbered-by-irq\n1\ntrue true\n');
  });

  it('answers an unreadable input with a fact, not with an exception', () => {
    const { stdout } = runModule(`
      import { check, openSource } from 'timervet';
      for await (const fact of check([{ path: 'missing', open: () => openSource('missing') }])) console.log(fact.type);
    `);
    expect(stdout).toBe('trace-failed\nrun-end\n');
  });

  it('offers the schemas, and nothing of the inside', () => {
    const { stdout } = runModule(`
      import { createRequire } from 'node:module';
      console.log(createRequire(import.meta.url)('timervet/schemas/report.schema.json').title);
      await import('timervet/dist/check/judge.js').catch((error) => console.log(error.code));
    `);
    expect(stdout).toBe('timervet report\nERR_PACKAGE_PATH_NOT_EXPORTED\n');
  });
});
