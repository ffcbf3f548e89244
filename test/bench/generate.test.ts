import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../../src/report/json/schema.js';
import { timervet } from '../package/timervet.js';
import { type Generated, generate } from './generate.js';
import { countWithTraceCmd } from './inputs.js';
import { recordings, sourceRecording } from './recording.js';

const traceCmd = spawnSync('trace-cmd', ['--version']).error === undefined;
const recording = sourceRecording();
const events = 20_000;

describe('the generated trace', () => {
  it('can be made', ({ skip }) => {
    skip(recording === undefined, `no recordings in ${recordings}: set TIMERVET_RECORDINGS to generate from one`);
    // Nobody reads the skipped tests of a CI run.
    if (process.env.CI !== undefined) expect(traceCmd, 'trace-cmd is not installed').toBe(true);
    skip(!traceCmd, 'trace-cmd is not installed');
  });

  describe.skipIf(recording === undefined || !traceCmd)('of a simulated host', () => {
    let folder: string;
    let file: string;
    let generated: Generated;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'timervet-bench-'));
      file = join(folder, 'trace.dat');
      generated = generate(file, events, recording!);
    });
    afterAll(() => rm(folder, { recursive: true }));

    it('is read whole by trace-cmd', async () => {
      expect(await countWithTraceCmd(file)).toEqual({ perCpu: generated.perCpu, losses: 0 });
      expect(generated.perCpu.reduce((sum, each) => sum + each)).toBe(events);
    });

    it('takes as many bytes an event as a recording', () => {
      expect(generated.bytesPerEvent).toBeGreaterThan(30);
      expect(generated.bytesPerEvent).toBeLessThan(34);
    });

    it('is legal, and exercises the rules', async () => {
      const text = join(folder, 'trace.txt');
      const { stdout } = await promisify(execFile)('trace-cmd', ['report', '-N', '-t', '-i', file], {
        maxBuffer: 1 << 26,
      });
      await writeFile(text, stdout);
      const { stdout: json } = await timervet(['check', '--format', 'json', text]);
      const [trace] = (JSON.parse(json) as Report).traces;
      expect(trace).toMatchObject({ verdict: 'clean', events, findings: [] });
      expect(trace!.vcpus).toHaveLength(8);
      for (const rule of [
        'restore-equals-last-save',
        'irq-raises-level',
        'bg-not-armed-in-guest',
        'vgic-follows-level',
      ]) {
        expect(trace!.rules[rule]!.held, rule).toBeGreaterThan(50);
      }
    });
  });
});
