import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, linkSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';

const launcher = fileURLToPath(new URL('../../bin/timervet.js', import.meta.url));
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

function timervet(...args: string[]) {
  const environment = { PATH: process.env.PATH };
  return spawnSync(process.execPath, [launcher, ...args], { encoding: 'utf8', env: environment });
}

describe('the command line', () => {
  test('prints its version', () => {
    expect(timervet('--version')).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: '' });
  });

  test.each([[[]], [['check']], [['convert']], [['explain']], [['info']], [['models']], [['rules']]])(
    'prints help with examples for %j',
    (command) => {
      const { status, stdout, stderr } = timervet(...command, '--help');
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toMatch(/^Usage: timervet /);
      expect(stdout).toContain('Examples:\n  $ timervet ');
    },
  );

  test('documents the exit codes of check', () => {
    for (const code of ['0 ', '1 ', '2 ', '3 ', '4 ', '70 ', '130 ']) {
      expect(timervet('check', '--help').stdout).toContain(`\n  ${code}`);
    }
  });

  test.each([
    ['an unknown command', ['chek', 'x'], "unknown command 'chek'"],
    ['an unknown option', ['check', '--formt', 'json', 'x'], 'Did you mean --format?'],
    ['a missing file', ['check'], "missing required argument 'trace'"],
    ['an unknown format', ['check', '--format', 'jsn', 'x'], 'Did you mean "json"?'],
    ['a format without its file', ['check', '--format', 'json=', 'x'], 'A file name must follow'],
    ['two reports on stdout', ['check', '--format', 'json', '--format', 'ktap', 'x'], 'cannot both go to stdout'],
    ['two reports in a file', ['check', '--format', 'json=a', '--format', 'ktap=a', 'x'], 'cannot both go to a'],
    ['an unknown model', ['check', '--model', 'new', 'x'], 'Allowed choices are world-switch, rfc-load-put'],
    ['an unknown host', ['check', '--host', 'hvhe', 'x'], 'Allowed choices are vhe, nvhe'],
    ['an unknown severity', ['check', '--fail-on', 'fatal', 'x'], 'Allowed choices are info, warning, error'],
    ['a rule without severity', ['check', '--rule', 'ctl-bits-valid', 'x'], 'Expected ID=off'],
    ['no findings', ['check', '--max-findings', '0', 'x'], 'Expected a number from 1'],
    ['quiet and verbose', ['check', '-q', '-v', 'x'], 'cannot be used with'],
    ['standard input twice', ['check', '-', '-'], 'standard input can be read only once'],
    ['an unknown form', ['convert', 'x', '--to', 'xml'], 'Allowed choices are csv, jsonl'],
    ['no form', ['convert', 'x'], "required option '--to <form>' not specified"],
    ['two inputs', ['convert', 'x', 'y', '--to', 'csv'], 'too many arguments'],
    ['a wrong input format', ['convert', 'x', '--to', 'csv', '--input-format', 'y'], "unknown input format 'y'"],
    ['info of standard input twice', ['info', '-', '-'], 'standard input can be read only once'],
    ['an unknown format of info', ['info', '--format', 'xml', 'x'], 'Allowed choices are text, json'],
  ])('answers %s in a line with a hint, exit code 2', (_, args, message) => {
    const { status, stdout, stderr } = timervet(...args);
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/^error: .*\n(?:.*\n)?hint: .*\n$/);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  });

  test('prints its help on stderr when nothing is asked', () => {
    const { status, stdout, stderr } = timervet();
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('Usage: timervet');
  });

  test('ends quietly when nobody reads its output', async () => {
    const child = spawn(process.execPath, [launcher, 'check', '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const status = await new Promise((resolve) => child.on('close', resolve));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});

describe('the check of a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'timervet-cli-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const recording = fileURLToPath(new URL('../../traces/recordings/6.1-nvhe/kp-mixed.txt.gz', import.meta.url));

  test('reports the whole part of a truncated gzip file, as a loss', () => {
    const cut = join(folder, 'cut.gz');
    const whole = readFileSync(recording);
    writeFileSync(cut, whole.subarray(0, whole.length / 2));
    const { status, stdout, stderr } = timervet('check', cut);
    expect({ status, stderr }).toEqual({ status: 4, stderr: '' });
    expect(stdout).toMatch(/loss +1 +truncated-input .*\n(?:.*\n)*?vcpus {2}4 in 2 VMs/);
    expect(timervet('check', '--allow-loss', cut)).toMatchObject({ status: 0 });
  });

  test('says that a gzip file is cut when nothing of it can be used', () => {
    const cut = join(folder, 'stub.gz');
    writeFileSync(cut, readFileSync(recording).subarray(0, 30));
    expect(timervet('check', cut)).toMatchObject({
      status: 3,
      stdout: expect.stringContaining('the gzip data ends in the middle'),
    });
  });

  test.each([
    ['all but what is written between load and put', /(?!kvm:)\S*|kvm:kvm_userspace_exit/, true],
    ['the same and the entries', /(?!kvm:)\S*|kvm:kvm_(userspace_exit|entry)/, false],
    ['nothing of a vcpu', /(?!kvm:)\S*/, false],
  ])('tells of what perf script drops: %s', (_, kept, expected) => {
    const perf = join(folder, 'perf.txt');
    const lines = gunzipSync(readFileSync(recording.replace('kp-mixed', 'perf-script-mixed')))
      .toString()
      .split('\n');
    const isKept = new RegExp(`\\[\\d+\\] +[\\d.]+: +(${kept.source}):`);
    writeFileSync(perf, lines.filter((line) => isKept.test(line)).join('\n'));
    const { status, stdout } = timervet('check', perf);
    expect(/loss +1 +dropped-guest-samples/.test(stdout)).toBe(expected);
    if (expected) expect(status).toBe(4);
  });

  test('reads gzip with zeros behind it like the same without, and goes on', () => {
    const padded = join(folder, 'padded.gz');
    writeFileSync(padded, Buffer.concat([readFileSync(recording), Buffer.alloc(512)]));
    const { stdout } = timervet('check', '-q', recording);
    expect(timervet('check', '-q', padded)).toMatchObject({ status: 0, stdout: stdout.replace(recording, padded) });
    expect(timervet('check', '-q', padded, join(folder, 'absent'))).toMatchObject({
      status: 3,
      stdout: expect.stringMatching(/^clean .*\nunreadable .*no such file/m),
    });
  });

  test('judges no deadline by a clock that counts records, and refuses one that counts ticks', () => {
    const line = gunzipSync(readFileSync(recording))
      .toString()
      .match(/^.* ([0-9.]+): kvm_entry: .*\n/m) ?? [''];
    const at = (count: number) => line[0].replace(line[1] ?? '', String(count));
    const counted = join(folder, 'counted.txt');
    writeFileSync(counted, Array.from({ length: 40 }, (_, index) => at(index)).join(''));
    expect(timervet('check', counted).stdout).toMatch(/clock counter,(?:.*\n)*? +info +1 +timeless-clock /);
    const ticking = join(folder, 'ticking.txt');
    writeFileSync(ticking, Array.from({ length: 40 }, (_, index) => at(index >> 3)).join(''));
    expect(timervet('check', '-q', ticking)).toMatchObject({
      status: 3,
      stdout: expect.stringMatching(/found uptime, which counts ticks of 10 ms: .*record -C mono/),
    });
    expect(timervet('convert', '--to', 'csv', ticking)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^# clock: uptime$/m),
    });
  });

  test.each(['ftrace', 'perf-script', 'console', 'native-csv', 'native-jsonl', 'trace-dat', undefined])(
    'calls an empty input empty, format %s',
    (format) => {
      const empty = join(folder, 'empty');
      writeFileSync(empty, '');
      expect(timervet('check', '-q', ...(format === undefined ? [] : ['--input-format', format]), empty)).toMatchObject(
        { status: 3, stdout: expect.stringContaining('the input is empty') },
      );
    },
  );

  test('does not call a text damaged that was said to be a trace.dat', () => {
    expect(timervet('check', '-q', '--input-format', 'trace-dat', recording)).toMatchObject({
      status: 3,
      stdout: expect.stringContaining('this is no trace.dat: leave out `--input-format`'),
    });
  });

  test('never ends without an answer', () => {
    // A file that never opens, and nothing else to wait for.
    const stuck = join(folder, 'stuck.cjs');
    writeFileSync(stuck, "require('node:fs').promises.open = () => new Promise(() => {});");
    const { status, stderr } = spawnSync(process.execPath, ['-r', stuck, launcher, 'check', recording], {
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({
      status: 70,
      stderr: expect.stringMatching(/^Error: the run ended without an answer\n(?:.*\n)*This is a bug in timervet/),
    });
  });

  test.each(['the same name', 'another name'])('does not overwrite a recording with its report, under %s', (which) => {
    const input = join(folder, `${which}.gz`);
    const report = which === 'the same name' ? input : join(folder, 'link.json');
    copyFileSync(recording, input);
    if (report !== input) linkSync(input, report);
    const { status, stderr } = timervet('check', '--format', `json=${report}`, input);
    expect({ status, stderr }).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('would overwrite the recording'),
    });
    expect(readFileSync(input).equals(readFileSync(recording))).toBe(true);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    'reports what it has seen when %s ends an endless input',
    async (signal) => {
      const child = spawn(process.execPath, [launcher, 'check', '-'], { stdio: ['pipe', 'pipe', 'pipe'] });
      let stdout = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
      });
      const ended = new Promise((resolve) => child.on('close', resolve));
      // The pipe holds less than this, so that once it has gone through, the check is reading.
      await new Promise((resolve) => child.stdin.write(gunzipSync(readFileSync(recording)), resolve));
      child.kill(signal);
      expect({ status: await ended, stdout }).toEqual({
        status: 130,
        stdout: expect.stringContaining('vcpus  4 in 2 VMs'),
      });
    },
  );
});
