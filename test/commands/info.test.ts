import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { infoSchema } from '../../src/report/json/info.js';
import { checkJson, launcher, root, start, timervet } from '../package/timervet.js';

const recording = 'traces/recordings/6.1-nvhe/kp-mixed.txt.gz';
const lossy = 'traces/recordings/6.1-nvhe/lost-trace_pipe.txt.gz';
const broken = 'traces/broken/stale-cval-watch.txt.gz';
const old = 'traces/formats/tracefs-trace/4.9-nvhe-local.txt';
const unusable = 'traces/formats/unusable/nocontext.txt';

async function infoJson(...args: string[]) {
  const { code, stdout, stderr } = await timervet(['info', '--format', 'json', ...args]);
  return { code, stderr, info: infoSchema.parse(JSON.parse(stdout)), raw: JSON.parse(stdout) };
}

describe('timervet info', () => {
  it('shows what a recording holds, and what to record for the rules that it cannot feed', async () => {
    const { code, stdout, stderr } = await timervet(['info', recording]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const lines of [
      'traces/recordings/6.1-nvhe/kp-mixed.txt.gz\n  format     ftrace\n',
      '\nCPUs\n  CPU 0  7434  records from 177.083536032 to 178.219623504\n  CPU 1  9931  records from 177.083060336 to',
      '\n     944  kvm_entry\n',
      '\n     114  kvm_mmio                  not used\n',
      '\nvcpus  4 in 2 VMs\n',
      '\nmodel  timer-map\n  - kvm_get_timer_map without ev:',
      '\nhost  nvhe\n  - ',
      '\nrules  this trace can feed ',
      '\ncounter  62.5 MHz, inferred\n',
      '\n  no user_write is recorded: a probe on kvm_arm_timer_set_reg shows it\n    user-write-survives\n',
      "\n  echo 'p:timervet/kvm_timer_enable kvm_timer_enable vcpu=%x0:x64' >> /sys/kernel/tracing/kprobe_events\n",
      '\n  trace-cmd record -C mono -b 20000 -e kvm -e sched:',
    ])
      expect(stdout).toContain(lines);
    expect(stdout).toMatch(/\nrules {2}this trace can feed 2\d of \d\d\n/);
  });

  it('agrees with a check on what it has read', async () => {
    const [{ info, raw }, { report }] = await Promise.all([infoJson(recording, lossy), checkJson([recording, lossy])]);
    expect(raw).toEqual(info);
    for (const [index, trace] of info.traces.entries()) {
      const checked = report.traces[index]!;
      const { events, timerEvents, vcpus, vms, model, modelChoice, host, conditions } = checked;
      expect(trace).toMatchObject({ events, timerEvents, vcpus, vms, model, modelChoice, host, conditions });
      expect(trace.cpus.reduce((sum, { records }) => sum + records, 0)).toBe(events);
      expect(trace.sources.reduce((sum, { records }) => sum + records, 0)).toBe(events);
      expect(trace.kinds.reduce((sum, { events: count }) => sum + count, 0)).toBe(timerEvents);
      const decided = Object.entries(checked.rules).filter(([, { held, violated }]) => held + violated > 0);
      expect(Object.keys(trace.rules).filter((id) => trace.rules[id]!.status === 'decided')).toEqual(
        decided.map(([id]) => id),
      );
    }
    expect(info.traces[1]!.cpus.map(({ lost }) => lost)).toEqual([32017, 35723]);
  });

  it('says of a trace.dat what its header says', async () => {
    const { info } = await infoJson(
      'traces/recordings/6.1-nvhe/tickwfi-zstd.dat',
      'traces/recordings/6.1-nvhe/tickwfi-v6.dat.gz',
    );
    const buffers = [{ name: '', clock: 'local', cpus: 2, pageSize: 4096 }];
    expect(info.traces[0]).toMatchObject({ kernel: '6.1.0-50-arm64', version: '7', compression: 'zstd', buffers });
    expect(info.traces[1]).toMatchObject({ kernel: '6.1.0-50-arm64', version: '6', compression: null, buffers });
    for (const { cpus, sources, events } of info.traces) {
      expect(cpus.reduce((sum, { records }) => sum + records, 0)).toBe(events);
      expect(sources.reduce((sum, { records }) => sum + records, 0)).toBe(events);
    }
  });

  it('shows no findings, and is content with a recording of a broken kernel', async () => {
    const { code, stdout } = await timervet(['info', broken]);
    expect(code).toBe(0);
    expect(stdout).not.toContain('therefore');
  });

  it('offers a kernel of 4.9 what that kernel can record', async () => {
    const { code, stdout } = await timervet(['info', old]);
    expect(code).toBe(0);
    expect(stdout).toContain('\nmodel  world-switch\n');
    expect(stdout).toMatch(/\nrules {2}this trace can feed 1\d of \d\d\n/);
    // What only later kernels trace.
    expect(stdout).not.toMatch(/kvm_timer_save_state|kvm_get_timer_map/);
  });

  it('says so where the kernel may lack what it advises', async () => {
    const { stdout } = await timervet(['info', 'traces/recordings/7.2-vhe/tickwfi.txt.gz']);
    expect(stdout).toContain(
      '\n  no user_write is recorded: a probe on kvm_arm_timer_set_reg shows it, where the kernel has it\n',
    );
    expect(stdout).toContain('\n  no enable is recorded: a probe on kvm_timer_enable shows it\n');
  });

  it('knows a converted recording for what it was', async () => {
    const { stdout: converted } = await timervet(['convert', recording, '--to', 'jsonl', '-q']);
    const { stdout } = await timervet(['info', '-'], { input: converted });
    expect(stdout).toMatch(/^standard input\n {2}format {5}native-jsonl, converted from ftrace\n/);
    expect(stdout).toMatch(/\nrules {2}this trace can feed 2\d of \d\d\n/);
    expect(stdout).toContain('\n  trace-cmd record ');
  });

  it('answers 3 when one of its inputs cannot be read, and describes the others', async () => {
    const { code, stderr, info } = await infoJson(unusable, recording);
    expect(code).toBe(3);
    expect(stderr).toMatch(/^error: traces\/formats\/unusable/);
    expect({ traces: info.traces.length, failures: info.failures.length }).toEqual({ traces: 1, failures: 1 });
  });

  it('ends quietly when its reader does', () => {
    const pipe = '"$0" "$1" info "$2" "$2" "$2" | head -n 1';
    const { status, stdout, stderr } = spawnSync('sh', ['-c', pipe, process.execPath, launcher, recording], {
      cwd: root,
      encoding: 'utf8',
    });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: `${recording}\n`, stderr: '' });
  });

  it('describes what it has seen when an endless input is interrupted', async () => {
    const child = start(['info', '-']);
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    const text = gunzipSync(readFileSync(join(root, recording)));
    await new Promise((written) => child.stdin.write(text, written));
    child.kill('SIGINT');
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(130);
    expect(stdout).toContain('\nmodel  timer-map\n');
    expect(stdout).toMatch(/\ninterrupted: this is what was read until then\n$/);
  });
});
