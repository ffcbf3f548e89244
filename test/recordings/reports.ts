import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

/** The recordings, which are too large for the repository: set TIMERVET_RECORDINGS where they lie elsewhere. */
export const folder = process.env.TIMERVET_RECORDINGS ?? join(import.meta.dirname, '../../../shared/recordings');

export const present = existsSync(join(folder, 'README.md'));

/** Whether `trace-cmd report` can be had. */
export const traceCmd = spawnSync('trace-cmd', ['--version']).error === undefined;

const cache = join(tmpdir(), 'timervet-reports');

/** The files of a folder of the recordings whose names fit. */
export function recordings(pattern: RegExp, subfolder = '.'): string[] {
  if (!present) return [];
  return readdirSync(join(folder, subfolder))
    .filter((file) => pattern.test(file))
    .map((file) => join(subfolder, file))
    .sort();
}

/** A recording as text: itself, or the report that trace-cmd makes of a trace.dat, kept for the next run. */
export function textOf(file: string): string {
  const path = join(folder, file);
  if (!file.endsWith('.dat')) return path;
  const { size, mtimeMs } = statSync(path);
  const report = join(cache, `${basename(file)}-${size}-${Math.floor(mtimeMs)}.txt`);
  if (existsSync(report)) return report;
  mkdirSync(cache, { recursive: true });
  const unfinished = `${report}.${process.pid}`;
  const output = openSync(unfinished, 'w');
  const { status, stderr } = spawnSync('trace-cmd', ['report', '-N', '-t', '-i', path], {
    stdio: ['ignore', output, 'pipe'],
    encoding: 'utf8',
  });
  closeSync(output);
  if (status !== 0) throw new Error(`trace-cmd report of ${file} failed: ${stderr}`);
  renameSync(unfinished, report);
  return report;
}

/** What the plainest reading of a text gives, with regular expressions and nothing else. */
export interface Counts {
  readonly events: number;
  /** Threads that entered a guest, and the VMMs that their names tell of. */
  readonly vcpus: number;
  readonly vms: number;
  /** Records lost by the tracer's own marks; a mark without a number counts one. */
  readonly lost: number;
}

const event = /^\s*(.*?)(?:-|\s+)(\d+)(?:\/\d+)?\s+(?:\(\s*[\d-]+\)\s+)?(?:\[\d+\]|\d+[a-zA-Z.\d]{4,6})\s/;
const mark = /^CPU:\d+ \[(?:LOST )?(?:(\d+) )?EVENTS(?: DROPPED)?\]/;

export function countsOf(text: string): Counts {
  const threads = new Map<string, string>();
  let events = 0;
  let lost = 0;
  for (const line of text.replace(/^\[ *\d+\.\d+\] /gm, '').split(/\r?\n/)) {
    const dropped = mark.exec(line);
    if (dropped !== null) lost += Number(dropped[1] ?? 1);
    const [, comm, pid] = event.exec(line) ?? [];
    if (comm === undefined || pid === undefined || line.startsWith('#')) continue;
    events++;
    if (/\bkvm_entry:/.test(line)) threads.set(pid, comm);
  }
  // Two VMMs that name their threads differently; perf shows a guest's thread as its pid, then nothing is known.
  const names = new Set([...threads.values()].map((comm) => comm.replace(/[\d-]+.*$/, '')));
  return { events, vcpus: threads.size, vms: names.has(':') ? Number.NaN : names.size, lost };
}

/** The table of the recordings' own README: events, and events lost, by file. */
export function documentedCounts(): ReadonlyMap<string, { readonly events: number; readonly lost: number }> {
  const rows = readFileSync(join(folder, 'README.md'), 'utf8').matchAll(
    /^\| (\S+\.dat) \| \d+ \| (\d+) \| \d+ \| (\d+) \|$/gm,
  );
  return new Map([...rows].map(([, file, events, lost]) => [file!, { events: Number(events), lost: Number(lost) }]));
}

/** What was done to a kernel of `broken/`: from GROUND-TRUTH.tsv and from the log of its injections. */
export interface Injected {
  readonly file: string;
  /** Names of the invariants, with remarks. */
  readonly expected: string;
  /** Time of each injection in the trace's clock, seconds. */
  readonly times: readonly number[];
}

export function injected(): Injected[] {
  if (!present) return [];
  const table = readFileSync(join(folder, 'broken/GROUND-TRUTH.tsv'), 'utf8').trimEnd().split('\n').slice(1);
  return table.map((row) => {
    const cells = row.split('\t');
    const name = cells[0]!;
    const clock = name.endsWith('-kp') ? /mono=([\d.]+)/ : /^([\d.]+)/;
    const log = readFileSync(join(folder, `broken/${name}.truth`), 'utf8').split('\n');
    const times = log.flatMap((line) => clock.exec(line)?.[1] ?? []).map(Number);
    return { file: join('broken', `${name}.dat`), expected: cells[10]!, times };
  });
}
