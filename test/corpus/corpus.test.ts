import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { rules } from '../../src/index.js';
import { checkJson } from '../package/timervet.js';
import { corpus, rows, wrongShape } from './manifest.js';

/** Folders that hold no trace, or traces with expectations of their own, in `test/input/expected`. */
const elsewhere = ['expect', 'formats'];

/** Distance of a finding from the injection that caused it, seconds. */
const nearby = 0.03;

const files = readdirSync(corpus, { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => statSync(join(corpus, file)).isFile() && file !== 'manifest.json')
  .filter((file) => !elsewhere.includes(file.split('/')[0]!));

describe('the corpus', () => {
  it('has a row for every trace, and a trace for every row', () => {
    expect([...new Set(rows.map(({ path }) => path))].sort()).toEqual(files.sort());
  });

  it('has rows of the known shape', () => {
    expect(rows.flatMap((row) => wrongShape(row).map((wrong) => `${row.path}: ${wrong}`))).toEqual([]);
  });

  it('names rules and diagnoses that exist', () => {
    const known = rules.flatMap(({ id, messages }) => Object.keys(messages).map((message) => `${id} ${message}`));
    const named = rows.flatMap(({ expected }) =>
      expected.findings.map(({ rule, diagnosis }) => `${rule} ${diagnosis}`),
    );
    expect(known).toEqual(expect.arrayContaining(named));
  });

  it('stays small', () => {
    const sizes = files.map((file) => statSync(join(corpus, file)).size);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(4_000_000);
  });
});

describe.concurrent('timervet check', () => {
  it.each(rows.map((row) => [row.path, row.shows, row] as const))(
    '%s: %s',
    async (path, _, { options = {}, expected }) => {
      const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
      const { code, report } = await checkJson([...flags, path], corpus);
      const [trace] = report.traces;
      const { near } = expected.findings[0] ?? {};
      expect({
        verdict: report.verdict,
        exitCode: code,
        model: trace!.model,
        host: trace!.host,
        vcpus: trace!.vcpus.length,
        vms: trace!.vms,
        events: trace!.events,
        findings: trace!.findings.map(({ rule, diagnosis, position, bugs }) => ({
          rule,
          diagnosis,
          ...position,
          bugs: bugs.map(({ id }) => id),
        })),
      }).toEqual({
        ...expected,
        findings: expected.findings.map(({ near: _, ...finding }) => ({ bugs: [], ...finding })),
      });
      expect(report.exitCode).toBe(code);
      expect(trace!.verdict).toBe(expected.verdict);
      // Losses, excerpts and return probes are easily taken for it.
      expect(trace!.conditions.map(({ kind }) => kind)).not.toContain('event-switched-on-late');
      if (near !== undefined) expect(Math.abs(trace!.findings[0]!.time - Number(near))).toBeLessThan(nearby);
    },
  );
});
