import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { Comparison, ReportCatalogue, readInto, reportLines } from './oracle.js';

const folder = process.env.TIMERVET_RECORDINGS ?? join(import.meta.dirname, '../../../../shared/recordings');
const hasTraceCmd = spawnSync('trace-cmd', ['--version']).error === undefined;
const files = existsSync(folder)
  ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.dat'))
  : [];
const whole = files.filter((file) => !file.startsWith('truncated'));
const work = mkdtempSync(join(tmpdir(), 'timervet-oracle-'));

afterAll(() => rmSync(work, { recursive: true, force: true }));

const run = promisify(execFile);

async function report(path: string): Promise<string> {
  const { stdout } = await run('trace-cmd', ['report', '-R', '-t', '-i', path], {
    maxBuffer: 1 << 30,
    encoding: 'latin1',
  });
  return stdout;
}

const hashOf = (text: string) => createHash('sha1').update(text).digest('hex');

/** Losses of pages that begin with a time extension: trace-cmd looks for them at a page's first word only. */
const unprinted: Readonly<{ [file: string]: number }> = { '4.9-nvhe-lost.dat': 2 };

const forms = {
  'version 6': ['--file-version', '6'],
  'version 7': ['--file-version', '7', '--compression', 'none'],
  'version 7, zstd': ['--file-version', '7', '--compression', 'zstd'],
} as const;

it('has trace-cmd to compare with, and recordings', ({ skip }) => {
  if (process.env.CI === undefined) skip(!hasTraceCmd, 'trace-cmd is not installed: trace.dat is not compared with it');
  expect(hasTraceCmd).toBe(true);
  skip(files.length === 0, `no recordings in ${folder}: set TIMERVET_RECORDINGS to read them`);
});

describe.skipIf(!hasTraceCmd || files.length === 0)('trace.dat as trace-cmd report prints it', () => {
  it.each(whole)('%s', async (file) => {
    const path = join(folder, file);
    const made = Object.entries(forms).map(([form, options]) => {
      const name = join(work, `${basename(file)}.${form.replace(/\W/g, '')}`);
      const { status, stderr } = spawnSync('trace-cmd', ['convert', ...options, '-i', path, '-o', name]);
      expect(status, stderr.toString()).toBe(0);
      return { form, name, report: report(name) };
    });
    const text = await report(path);
    const catalogue = new ReportCatalogue(reportLines(text));
    const comparison = new Comparison(catalogue, reportLines(text));
    await readInto(path, catalogue, comparison);
    comparison.finish();
    expect(comparison.differences).toEqual([]);
    expect(comparison.conditions).toEqual([]);
    expect(comparison.records).toBeGreaterThan(500);
    expect(comparison.unprinted).toBe(unprinted[file] ?? 0);
    expect(comparison.unresolved).toBe(0);
    for (const { form, name, report } of made) {
      const same = new Comparison(catalogue);
      await readInto(name, catalogue, same);
      expect([form, same.records, same.digest, same.conditions]).toEqual([
        form,
        comparison.records,
        comparison.digest,
        [],
      ]);
      expect(hashOf(await report), form).toBe(hashOf(text));
      rmSync(name);
    }
  });
});
