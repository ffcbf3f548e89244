/**
 * Processor time and peak memory of a command.
 *
 * Bash starts the command and prints with `times` what its children took, user and system, in milliseconds; the kernel
 * adds up what is waited for, threads included. A command of a few milliseconds is repeated, and the sum divided.
 * The peak is `VmHWM` of `/proc/PID/status`, the kernel's own high-water mark of the resident set, read every few
 * milliseconds: what the process gains after the last reading is missed, never what it had before.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Command {
  readonly args: readonly [string, ...string[]];
  readonly environment?: Readonly<Record<string, string>>;
  /** How often it runs in one measurement. */
  readonly repeat?: number;
  /** Whether its output is read, not sent to `/dev/null`: grep that writes there stops at its first match. */
  readonly outputRead?: boolean;
}

export interface Run {
  /** User and system, in seconds. */
  readonly seconds: number;
  /** In bytes. */
  readonly peak: number;
}

const samplingInterval = 5;

const script = `
for ((run = 0; run < $1; run++)); do
  if [ $2 = read ]; then "\${@:3}"; else "\${@:3}" > /dev/null; fi || exit
done
times`;

/** @throws Error when the command does not end with 0 */
export async function measure({ args, environment, repeat = 1, outputRead = false }: Command): Promise<Run> {
  const bash = spawn('bash', ['-c', script, 'bash', String(repeat), outputRead ? 'read' : 'discard', ...args], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let complaints = '';
  bash.stdout.on('data', (chunk) => {
    out += chunk;
  });
  bash.stderr.on('data', (chunk) => {
    complaints += chunk;
  });
  let peak = 0;
  const sampler = setInterval(() => {
    if (bash.pid !== undefined) peak = Math.max(peak, peakOfChild(bash.pid));
  }, samplingInterval);
  const code = await new Promise<number | null>((resolve, reject) => bash.on('close', resolve).on('error', reject));
  clearInterval(sampler);
  if (code !== 0) {
    const [first = ''] = complaints.trim().split('\n');
    throw new Error(`${args.join(' ')}: ended with ${code}${first && `: ${first}`}`);
  }
  // The last line but one is of bash itself, the last of its children: `0m1.234s 0m0.056s`.
  const times = [
    ...out
      .trimEnd()
      .split('\n')
      .at(-1)!
      .matchAll(/(\d+)m([\d.]+)s/g),
  ];
  const seconds = times.reduce((sum, [, minutes, rest]) => sum + Number(minutes) * 60 + Number(rest), 0);
  return { seconds: seconds / repeat, peak };
}

/** `VmHWM` of the only child in bytes; 0 between two. */
function peakOfChild(pid: number): number {
  try {
    const child = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
    if (child === '') return 0;
    const [, kib] = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${child}/status`, 'latin1')) ?? [];
    return Number(kib ?? 0) * 1024;
  } catch {
    // It ended meanwhile.
    return 0;
  }
}

export interface Sample {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @param values at least one */
export function sample(values: readonly number[]): Sample {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}
