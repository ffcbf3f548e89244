import { spawnSync } from 'node:child_process';
import { copyFile, link, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { factsSchema, rowSchema } from '../../src/events/native-schema.js';
import { checkJson, launcher, root, start, timervet } from '../package/timervet.js';

const recording = 'traces/recordings/6.1-nvhe/kp-mixed.txt.gz';
const lossy = 'traces/recordings/6.1-nvhe/lost-trace_pipe.txt.gz';
const broken = 'traces/broken/stale-cval-watch.txt.gz';
const unusable = 'traces/formats/unusable/nocontext.txt';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'timervet-convert-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('timervet convert', () => {
  it('writes a trace that is found broken in the same way', async () => {
    const file = join(folder, 'broken.csv');
    const { code, stdout, stderr } = await timervet(['convert', broken, '--to', 'csv', '-o', file]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toMatch(
      /^traces\/broken\/stale-cval-watch\.txt\.gz \(ftrace\): \d+ events of \d+ records written\n/,
    );
    const [original, converted] = await Promise.all([checkJson([broken]), checkJson([file])]);
    expect(converted.code).toBe(1);
    expect(converted.report.traces[0]).toMatchObject({
      format: 'native-csv',
      kernel: original.report.traces[0]!.kernel,
    });
    expect(converted.report.traces[0]!.rules).toEqual(original.report.traces[0]!.rules);
  });

  it('writes rows that conform to the schema of the notation', async () => {
    const { stdout } = await timervet(['convert', lossy, '--to', 'jsonl', '-q']);
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(rows.length).toBeGreaterThan(1000);
    for (const row of rows)
      expect((row.event === undefined ? factsSchema : rowSchema).safeParse(row).error).toBe(undefined);
  });

  it('says what was lost and what was left out, unless it is to be quiet', async () => {
    const { stderr } = await timervet(['convert', lossy, '--to', 'csv', '-o', join(folder, 'lossy.csv')]);
    expect(stderr).toMatch(
      /1415 events of 1908 records written\n {2}loss {2}67740 {2}lost-events: CPU 1 35723, CPU 0 32017\n/,
    );
    expect(stderr).toMatch(/ {2}info {2}59 {2}unused-event: handle_wfx 55, /);
    const quiet = await timervet(['convert', lossy, '--to', 'csv', '-q', '-o', join(folder, 'lossy.csv')]);
    expect(quiet).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('names what a damaged input lost', async () => {
    const cut = join(folder, 'cut.gz');
    const whole = await readFile(join(root, recording));
    await writeFile(cut, whole.subarray(0, whole.length / 2));
    const { code, stdout, stderr } = await timervet(['convert', cut, '--to', 'csv']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/loss {2}1 {2}truncated-input/) });
    const { stdout: verdict } = await timervet(['check', '-q', '-'], { input: stdout });
    expect(verdict).toMatch(/^inconclusive .*records were lost/);
  });

  it('ends quietly when its reader does', () => {
    const pipe = '"$0" "$1" convert "$2" --to csv | head -n 1';
    const { status, stdout, stderr } = spawnSync('sh', ['-c', pipe, process.execPath, launcher, recording], {
      cwd: root,
      encoding: 'utf8',
    });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '# recording: ftrace\n', stderr: '' });
  });

  it('writes what an endless input has given, and 130 when interrupted', async () => {
    const child = start(['convert', '-', '--to', 'csv']);
    let stdout = '';
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const written = new Promise<void>((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
        if (stdout.includes(',save,')) resolve();
      });
    });
    child.stdin.on('error', () => {});
    child.stdin.write(gunzipSync(await readFile(join(root, recording))));
    await written;
    child.kill('SIGINT');
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(130);
    expect(stderr).toMatch(/^interrupted: the trace ends there\nstandard input \(ftrace\): \d+ events /);
    const { stdout: verdict } = await timervet(['check', '-q', '-'], { input: stdout });
    expect(verdict).toMatch(/^clean /);
  });

  it('keeps an older file when the input cannot be read', async () => {
    const file = join(folder, 'older.csv');
    await writeFile(file, 'older');
    const { code, stderr } = await timervet(['convert', unusable, '--to', 'csv', '-o', file]);
    expect({ code, stderr }).toEqual({
      code: 3,
      stderr: expect.stringMatching(/^error: traces\/.*options\/context-info/),
    });
    expect(await readFile(file, 'utf8')).toBe('older');
  });

  it('writes what came before a row that cannot be read', async () => {
    const { code, stdout, stderr } = await timervet(['convert', '-', '--to', 'jsonl', '-q'], {
      input: 'event,vcpu\nload,0\nlaod,0\n',
    });
    expect({ code, stdout }).toEqual({ code: 3, stdout: '{"time":"0.000000","cpu":0,"vcpu":0,"event":"load"}\n' });
    expect(stderr).toMatch(/^error: standard input: line 3: /);
  });

  it.each(['the same name', 'another name'])('does not overwrite its input, under %s', async (which) => {
    const input = join(folder, `${which}.gz`);
    const output = which === 'the same name' ? input : join(folder, 'link.csv');
    await copyFile(join(root, recording), input);
    if (output !== input) await link(input, output);
    const { code, stderr } = await timervet(['convert', input, '--to', 'csv', '-o', output]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('would overwrite the recording') });
    expect(await readFile(input)).toEqual(await readFile(join(root, recording)));
  });

  it('leaves a hand-written trace the whole story that it is', async () => {
    const { stdout } = await timervet(['convert', 'traces/bugs/w3.csv', '--to', 'csv', '-q']);
    expect(stdout).toMatch(/^# model: rfc-load-put\n# host: nvhe\ntime,comm,/);
    expect(stdout).not.toMatch(/recording|cpu-end|records/);
  });
});
