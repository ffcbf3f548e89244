import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { reportSchema } from '../../src/report/json/schema.js';
import { checkJson, launcher, root, start, timervet } from './timervet.js';

const clean = 'traces/recordings/6.1-nvhe/kp-mixed.txt.gz';
const broken = 'traces/broken/stale-cval-watch.txt.gz';
const rule = 'restore-equals-last-save';
const lossy = 'traces/recordings/6.1-nvhe/lost-trace_pipe.txt.gz';
const unusable = 'traces/formats/unusable/nocontext.txt';

const codeOf = async (...args: string[]) => (await timervet(['check', '-q', ...args])).code;

describe('exit codes', () => {
  it.each([
    [0, 'a clean recording', [clean]],
    [1, 'a violation', [broken]],
    [1, 'a violation and a clean recording', [clean, broken]],
    [1, 'a violation and an unreadable input', [unusable, broken]],
    [0, 'a violation of a rule that is off', ['--rule', `${rule}=off`, broken]],
    [0, 'a violation below the failing severity', ['--rule', `${rule}=warning`, '--fail-on', 'error', broken]],
    [1, 'a violation of a rule that was raised to it', ['--rule', `${rule}=info`, '--fail-on', 'info', broken]],
    [2, 'an unknown rule', ['--rule', 'no-such-rule=off', clean]],
    [2, 'an unknown input format', ['--input-format', 'ftrase', clean]],
    [3, 'a missing file', ['traces/missing.txt']],
    [3, 'a folder', ['traces']],
    [3, 'text that cannot be used', [unusable]],
    [3, 'an unreadable input among clean ones', [clean, unusable]],
    [4, 'lost events', [lossy]],
    [0, 'lost events that are accepted', ['--allow-loss', lossy]],
    [4, 'a trace in which nothing was checked', ['traces/formats/trace-cmd-report/4.9-nvhe-fn-addresses-l-N.txt']],
  ])('%i for %s', async (code, _, args) => {
    expect(await codeOf(...args)).toBe(code);
  });

  it('130 when interrupted, with the report of what was read', async () => {
    const child = start(['check', '--format', 'json', '-']);
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    const text = gunzipSync(await readFile(join(root, clean)));
    await new Promise((written) => child.stdin.write(text, written));
    child.kill('SIGINT');
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(130);
    expect(JSON.parse(stdout).traces[0].events).toBeGreaterThan(0);
  });
});

describe('standard output', () => {
  it('carries the report, and the report only', async () => {
    const { stdout, stderr } = await timervet(['check', clean]);
    expect(stdout).toMatch(/^clean {2}traces\/recordings\/6\.1-nvhe\/kp-mixed\.txt\.gz\n/);
    expect(stderr).toBe('');
  });

  it.each([clean, broken])('may be closed by its reader: %s | head', (path) => {
    const pipe = `"$0" "$1" check -v "$2" "$2" "$2" | head -n 1`;
    const { status, stdout, stderr } = spawnSync('sh', ['-c', pipe, process.execPath, launcher, path], {
      cwd: root,
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^(clean|violations) {2}traces\/\S+\n$/);
  });

  it('stays free for one report while others go to files', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'timervet-'));
    const [json, ktap] = [join(folder, 'report.json'), join(folder, 'report.ktap')];
    const formats = ['--format', `json=${json}`, '--format', 'text', '--format', `ktap=${ktap}`];
    const { code, stdout, stderr } = await timervet(['check', ...formats, broken]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(stdout).toMatch(/^violations {2}/);
    expect(reportSchema.parse(JSON.parse(await readFile(json, 'utf8'))).exitCode).toBe(1);
    expect(await readFile(ktap, 'utf8')).toMatch(/^KTAP version 1\n1\.\.1\n/);
  });
});

describe('reports on real recordings', () => {
  it('conform to the schema of the JSON report', async () => {
    const { code, report } = await checkJson([clean, broken, lossy]);
    expect(code).toBe(1);
    expect(reportSchema.parse(report)).toEqual(report);
    expect(report.traces.map(({ verdict }) => verdict)).toEqual(['clean', 'violations', 'inconclusive']);
  });

  it('leave out a rule that is off', async () => {
    const { report } = await checkJson(['--rule', `${rule}=off`, broken]);
    expect(report.traces[0]!.rules[rule]).toMatchObject({ status: 'off', held: 0, violated: 0 });
    expect(report.traces[0]!.findings).toEqual([]);
  });

  it('give the same findings in every run', async () => {
    const [first, second] = await Promise.all([checkJson([broken]), checkJson([broken])]);
    expect(first).toEqual(second);
  });

  it('are KTAP that adds up', async () => {
    const { stdout } = await timervet(['check', '--format', 'ktap', clean, broken]);
    const lines = stdout.trimEnd().split('\n');
    expect(lines.slice(0, 2)).toEqual(['KTAP version 1', '1..2']);
    expect(lines.filter((line) => /^(not )?ok /.test(line))).toEqual([`ok 1 ${clean}`, `not ok 2 ${broken}`]);
    const [plan, ...plans] = lines.flatMap((line) => /^ {2}1\.\.(\d+)$/.exec(line)?.[1] ?? []).map(Number);
    expect(plans).toEqual([plan]);
    const tests = lines.filter((line) => /^ {2}(not )?ok \d+ /.test(line));
    const numbers = Array.from({ length: plan! }, (_, index) => index + 1);
    expect(tests.map((line) => Number(/ok (\d+)/.exec(line)![1]))).toEqual([...numbers, ...numbers]);
    expect(tests.filter((line) => line.startsWith('  not ok'))).toEqual([expect.stringContaining(rule)]);
    for (const skipped of tests.filter((line) => line.includes('# SKIP'))) expect(skipped).toMatch(/# SKIP \w.{10,}/);
  });
});

describe('standard input', () => {
  it('is read like a file, compressed or not', async () => {
    const { report } = await checkJson([broken]);
    const compressed = await readFile(join(root, broken));
    for (const input of [compressed, gunzipSync(compressed)]) {
      const { code, stdout } = await timervet(['check', '--format', 'json', '-'], { input });
      expect(code).toBe(1);
      const [trace] = JSON.parse(stdout).traces;
      expect({ ...trace, path: broken }).toEqual(report.traces[0]);
    }
  });

  it('shows a finding while it is still open', async () => {
    const child = start(['check', '-']);
    let stdout = '';
    const found = new Promise<void>((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
        if (stdout.includes('therefore')) resolve();
      });
    });
    child.stdin.write(`# model: timer-map
# host: nvhe
time,event,vcpu,cpu,timer,ctl,cval
1s,load,0,0,,,
,timer_map,0,0,,,
,restore,0,0,vtimer,1,0x1000
,entry,0,0,,,
,load,1,1,,,
,restore,1,1,vtimer,1,0x1000
,entry,1,1,,,
,exit,0,0,,,
,load,2,0,,,
`);
    // What comes later is no story, but every CPU shows that it has lost nothing meanwhile.
    for (let at = 2000; at < 6000; at += 10) {
      child.stdin.write(`${at}ms,exit,1,1,,,\n${at}ms,entry,1,1,,,\n${at}ms,irq_begin,,0,,,\n${at}ms,irq_end,,0,,,\n`);
    }
    await found;
    expect(stdout).toContain('one-vcpu-per-cpu');
    expect(child.exitCode).toBe(null);
    child.stdin.end();
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(1);
  }, 60_000);

  it('ends in an error that names the line, without a report', async () => {
    const { code, stdout, stderr } = await timervet(['check', '--format', 'json', '-'], {
      input: 'event,vcpu\nload,0\nlaod,0\n',
    });
    expect(code).toBe(3);
    expect(JSON.parse(stdout).failures).toEqual([{ path: '-', error: expect.stringMatching(/line 3.*load/s) }]);
    expect(stderr).toMatch(/line 3/);
  });
});

describe('a file', () => {
  it('is opened by its content, whatever its name', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'timervet-'));
    const path = join(folder, 'trace.csv');
    await writeFile(path, await readFile(join(root, clean)));
    expect((await checkJson([path])).report.traces[0]).toMatchObject({ format: 'ftrace', verdict: 'clean' });
  });
});
