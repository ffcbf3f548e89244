import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Report } from '../../src/report/json/schema.js';

/** The project's root. */
export const root = join(import.meta.dirname, '../..');

/** The command as it is installed. */
export const launcher = join(root, 'bin/timervet.js');

/** What a process left behind. */
export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts the command as a user does: the built program, in a process of its own, without colours. */
export function start(args: readonly string[], cwd = root, env: Readonly<Record<string, string>> = {}) {
  return spawn(process.execPath, [launcher, ...args], { cwd, env: { PATH: process.env.PATH, ...env } });
}

/** Runs the command to its end. */
export function timervet(
  args: readonly string[],
  {
    cwd = root,
    input = '',
    env = {},
  }: { cwd?: string; input?: string | Uint8Array; env?: Record<string, string> } = {},
): Promise<Outcome> {
  const child = start(args, cwd, env);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  // The command may end before it has read everything.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** Runs `timervet check --format json`, and gives the report and the exit code. */
export async function checkJson(
  args: readonly string[],
  cwd = root,
): Promise<{ readonly code: number | null; readonly report: Report }> {
  const { code, stdout, stderr } = await timervet(['check', '--format', 'json', ...args], { cwd });
  if (stderr !== '') throw new Error(stderr);
  return { code, report: JSON.parse(stdout) };
}
