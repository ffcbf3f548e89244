import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { check } from '../../src/check/check.js';
import type { CheckOptions, Finding, TraceSummary } from '../../src/check/facts.js';

const folder = fileURLToPath(new URL('../../../shared/recordings/', import.meta.url));
const reports = join(tmpdir(), 'timervet-reports');

/** Recordings of kernels without a known timer bug that shows in them, of every generation and host with a model. */
export const stock = [
  '4.15-nvhe-mixed',
  '4.15-vhe-busy',
  '4.19-nvhe-tickwfi',
  '4.19-vhe-busy',
  '5.0-nvhe-tickwfi',
  '4.9-nvhe-kp-cntvoff',
  '4.9-nvhe-kp-overcommit',
  '4.9-nvhe-mixed',
  '4.14-nvhe-kp-mixed',
  '4.14-nvhe-mixed',
  '5.10-nvhe-mixed',
  '5.10-nvhe-kp-overcommit',
  '5.10-vhe-kp-mixed',
  '6.1-nvhe-cntvoff',
  '6.1-nvhe-kp-mixed',
  '6.1-nvhe-overcommit',
  '6.1-nvhe-ptimer',
  '6.1-vhe-mixed',
  '6.1-vhe-overcommit',
  '7.2-vhe-kp-mixed',
  '7.2-vhe-ptimer',
] as const;

function hasTraceCmd(): boolean {
  try {
    execFileSync('trace-cmd', ['--version'], { stdio: 'ignore' });
    return true;
  } catch (error) {
    // trace-cmd answers an unknown option with a usage and a status; only its absence counts.
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

/** Why the recordings cannot be read here; undefined when they can. */
export const missing = !existsSync(folder)
  ? 'no recordings beside the repository'
  : hasTraceCmd()
    ? undefined
    : 'trace-cmd is not installed';

/** Path of a recording. */
export function datOf(name: string): string {
  return join(folder, `${name}.dat`);
}

/** `trace-cmd report` of a recording, kept for the next run. */
export function report(name: string, ...options: string[]): string {
  const source = datOf(name);
  const path = join(reports, `${name}${options.join('')}.txt`);
  if (existsSync(path) && statSync(path).mtimeMs > statSync(source).mtimeMs) return readFileSync(path, 'latin1');
  mkdirSync(reports, { recursive: true });
  // Written beside and renamed: another worker may make the same report.
  const temporary = `${path}.${process.pid}`;
  execFileSync('sh', ['-c', 'trace-cmd report "$@" > "$0" 2>/dev/null', temporary, ...options, '-i', source]);
  renameSync(temporary, path);
  return readFileSync(path, 'latin1');
}

/** One record of a report, taken apart as far as the tests change it. */
export interface Line {
  readonly text: string;
  /** -1 for a line that is no record. */
  readonly cpu: number;
  /** Event name, `` for a line that is no record. */
  readonly event: string;
}

const record = /^.*?-\d+ +\[(\d{3})\] +\d+\.\d{6,9}: +([\w:]+):/;

export function lines(text: string): Line[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const match = record.exec(line);
      return { text: line, cpu: match === null ? -1 : Number(match[1]), event: match?.[2] ?? '' };
    });
}

export function textOf(kept: readonly Line[]): string {
  return kept.map((line) => `${line.text}\n`).join('');
}

/** Records of a CPU that are lost: so many from a line on, an index. */
export interface Stretch {
  readonly from: number;
  readonly cpu: number;
  readonly count: number;
}

/** How recorders mark a loss, `#` standing for the number. */
export const marks = ['[LOST # EVENTS]', '[# EVENTS DROPPED]', '[EVENTS DROPPED]'] as const;

/** Takes stretches of CPUs out and puts the recorder's mark before the first record after each. */
export function lose(all: readonly Line[], stretches: readonly Stretch[], mark: string): Line[] {
  const dropped = new Set<number>();
  for (const { from, cpu, count } of stretches) {
    let left = count;
    for (let at = from; at < all.length && left > 0; at++) {
      if (all[at]?.cpu !== cpu) continue;
      dropped.add(at);
      left--;
    }
  }
  const pending = new Map<number, number>();
  const kept: Line[] = [];
  all.forEach((line, at) => {
    const lost = pending.get(line.cpu) ?? 0;
    if (dropped.has(at)) {
      pending.set(line.cpu, lost + 1);
      return;
    }
    if (lost > 0) {
      kept.push({ text: `CPU:${line.cpu} ${mark.replace('#', String(lost))}`, cpu: -1, event: '' });
      pending.delete(line.cpu);
    }
    kept.push(line);
  });
  return kept;
}

export async function checkText(text: string, options: CheckOptions = {}): Promise<TraceSummary> {
  const input = {
    path: 'trace',
    async *open() {
      yield Buffer.from(text, 'latin1');
    },
  };
  for await (const fact of check([input], options)) {
    if (fact.type === 'trace-end') return fact.summary;
    if (fact.type === 'trace-failed') throw new Error(fact.failure.error);
  }
  throw new Error('the check ended without a summary');
}

/** Findings as one line each: what a stock kernel must not have. */
export function told(summary: TraceSummary): string[] {
  // A bug that the kernel is known to have shows in every subset that shows it at all.
  const unexpected = summary.findings.filter(({ diagnosis }) => !diagnosis.startsWith('known-'));
  return unexpected.map(
    ({ severity, rule, diagnosis, count, position }: Finding) =>
      `${severity} ${rule}/${diagnosis} ×${count}, first at line ${position.line}`,
  );
}

/** Small linear congruential generator: the same mutations in every run. */
export function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state % Math.max(1, below);
  };
}
