import { describe, expect, it } from 'vitest';
import { diffSchema } from '../../src/report/json/diff/schema.js';
import { timervet } from '../package/timervet.js';

const recordings = {
  stock: 'traces/recordings/6.1-nvhe/overcommit.txt.gz',
  rfc: 'traces/recordings/rfc-nvhe/tickwfi.dat',
  fixed: 'traces/recordings/4.15-nvhe/tickwfi.dat',
  lossy: 'traces/recordings/6.1-nvhe/lost-trace_pipe.txt.gz',
};

async function diffJson(...args: string[]) {
  const { code, stdout, stderr } = await timervet(['diff', '--format', 'json', ...args]);
  return { code, stderr, document: diffSchema.parse(JSON.parse(stdout)) };
}

describe('timervet diff', () => {
  it('finds nothing between a recording and itself', async () => {
    const { code, stdout, stderr } = await timervet(['diff', recordings.stock, recordings.stock]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^same {2}nothing differs beyond noise\n/);
  });

  it('fails on a new finding, with its proof, within 100 columns', async () => {
    const { code, stdout } = await timervet(['diff', recordings.fixed, recordings.rfc]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^failed {2}\d+ new findings?\n/);
    expect(stdout).toContain('irq-not-repeated-while-level-high/');
    expect(stdout).toContain('\n  therefore  ');
    expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
  });

  it('does not fail on one that is gone', async () => {
    const { code, document } = await diffJson(recordings.rfc, recordings.fixed);
    expect(code).toBe(0);
    expect(document.diff!.verdict).toBe('changed');
    expect(document.diff!.findings.gone.map(({ finding }) => finding.rule)).toContain(
      'irq-not-repeated-while-level-high',
    );
  });

  it('goes by --fail-severity', async () => {
    const known = ['traces/recordings/4.15-vhe/busy.txt.gz', 'traces/recordings/4.19-vhe/busy.txt.gz'];
    const info = await diffJson('--fail-severity', 'info', ...known);
    const { findings } = info.document.diff!;
    expect(info.code).toBe(findings.new.length > 0 ? 1 : 0);
    expect((await diffJson(...known)).code).toBe(0);
  });

  it('is inconclusive where records were lost, unless that is accepted', async () => {
    const args = [recordings.lossy, recordings.lossy];
    const { code, document } = await diffJson(...args);
    expect([code, document.diff!.verdict]).toEqual([4, 'inconclusive']);
    expect((await diffJson('--allow-loss', ...args)).code).toBe(0);
  });

  it('answers 3 when one of them cannot be read, and says why', async () => {
    const { code, stderr, document } = await diffJson('traces/formats/unusable/nocontext.txt', recordings.stock);
    expect([code, document.diff, document.failures.length]).toEqual([3, null, 1]);
    expect(stderr).toMatch(/^error: traces\/formats\/unusable\/nocontext\.txt: /);
  });

  it.each([
    ['one recording only', ['diff', recordings.stock], /missing required argument 'new'/],
    ['standard input twice', ['diff', '-', '-'], /standard input can be read only once/],
    ['a format that does not exist', ['diff', '--format', 'xml', 'a', 'b'], /xml/],
  ])('refuses %s', async (_, args, message) => {
    const { code, stderr } = await timervet(args);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr).toContain('hint: ');
  });
});
