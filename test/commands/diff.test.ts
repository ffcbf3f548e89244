import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { diffSchema } from '../../src/report/json/diff/schema.js';
import { timervet } from '../package/timervet.js';

const recordings = {
  stock: 'traces/recordings/6.1-nvhe/overcommit.txt.gz',
  rfc: 'traces/recordings/rfc-nvhe/tickwfi.dat',
  world: 'traces/recordings/4.9-nvhe/kp-overcommit.txt.gz',
  tick: 'traces/recordings/6.1-nvhe/tickwfi-zstd.dat',
  vhe: 'traces/recordings/6.1-vhe/tickwfi.txt.gz',
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

  it('goes by --fail-on', async () => {
    const known = ['traces/recordings/4.15-vhe/busy.txt.gz', 'traces/recordings/4.19-vhe/busy.txt.gz'];
    const info = await diffJson('--fail-on', 'info', ...known);
    const { findings } = info.document.diff!;
    expect(info.code).toBe(findings.new.length > 0 ? 1 : 0);
    expect((await diffJson(...known)).code).toBe(0);
  });

  const patch = 'traces/expect/load-put.json';

  it('tells what of --expect is met, and what else differs, within 100 columns', async () => {
    const args = ['diff', '--expect', patch, '--fail-on', 'cost>50%', recordings.world, recordings.stock];
    const { code, stdout } = await timervet(args);
    const unmet = /expectations {2}traces\/expect\/load-put\.json: (\d+) unmet, (\d+) undecided, (\d+) met\n/.exec(
      stdout,
    );
    expect(unmet).not.toBeNull();
    expect(code).toBe(Number(unmet![1]) + Number(unmet![2]) > 0 || stdout.includes('  passed ') ? 1 : 0);
    expect(stdout).toMatch(/ {2}met {8}no distributor write on entry: /);
    expect(stdout).toMatch(/ {2}met {8}cntvoff written at load and put only: /);
    expect(stdout).toMatch(/undeclared: \d+ differences? that no expectation names\n/);
    expect(stdout).toMatch(/\nlimits\n {2}(kept|passed) +cost>50%: /);
    expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
  });

  it('shows the first divergence with the state on both sides, in text and JSON', async () => {
    const args = [recordings.tick, recordings.vhe];
    const { code, document } = await diffJson(...args);
    const { alignment, first } = document.diff!.divergence;
    expect([code, alignment.aligned, first!.at]).toEqual([0, true, 'exit by WFx']);
    for (const side of [first!.old, first!.new]) expect(side.events.some(({ decisive }) => decisive)).toBe(true);
    const { stdout } = await timervet(['diff', ...args]);
    expect(stdout).toMatch(/\nfirst divergence {2}exit by WFx, vcpu \d of VM 0, after \d+ guest steps\n/);
    expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
  });

  it('reads a pipe only once: no events at the divergence', async () => {
    const text = gunzipSync(readFileSync(recordings.vhe));
    const { code, stdout } = await timervet(['diff', '--format', 'json', recordings.tick, '-'], { input: text });
    const { first } = diffSchema.parse(JSON.parse(stdout)).diff!.divergence;
    expect([code, first!.old.events.length > 0, first!.new.events]).toEqual([0, true, []]);
    expect(first!.new.path!.length).toBeGreaterThan(0);
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
    ['one recording only', ['diff', recordings.stock], /expected two recordings, found 1/],
    ['standard input twice', ['diff', '-', '-'], /standard input can be read only once/],
    ['a format that does not exist', ['diff', '--format', 'xml', 'a', 'b'], /xml/],
    [
      'a limit of nothing',
      ['diff', '--fail-on', 'cots>5%', 'a', 'b'],
      /unknown measure 'cots'\nhint: did you mean 'cost'\?/,
    ],
    [
      'a file of expectations that is none',
      ['diff', '--expect', 'package.json', 'a', 'b'],
      /package\.json: expect: expected array/,
    ],
    [
      'a file of expectations that is not there',
      ['diff', '--expect', 'gone.json', 'a', 'b'],
      /gone\.json: cannot be read: ENOENT/,
    ],
  ])('refuses %s', async (_, args, message) => {
    const { code, stderr } = await timervet(args);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr).toContain('hint: ');
  });
});
