import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseLine } from './inject.js';
import { Recording } from './structure.js';

/** Lines taken of a recording: enough for every fault, and a check takes a few milliseconds. */
const excerpt = 8000;

/** A middle part of a text, so that the faults also meet recordings that begin in the middle of things. */
function middle(lines: readonly string[]): readonly string[] {
  if (lines.length <= excerpt) return lines;
  const from = Math.floor((lines.length - excerpt) / 2);
  return lines.slice(from, from + excerpt);
}

/** Reads text recordings (`trace-cmd report -N` or tracefs); what has no records of saves and entries is left out. */
export function loadRecordings(files: readonly string[]): Recording[] {
  return files.flatMap((file) => {
    const lines = middle(readFileSync(file, 'utf8').trimEnd().split('\n')).map(parseLine);
    const recording = new Recording(basename(file).replace(/(\.trace|\.N)?\.txt$/, ''), lines);
    const shows = recording.isTraced || (recording.has('vtimer_restore') && recording.has('vcpu_load'));
    return recording.rounds.length > 0 && shows ? [recording] : [];
  });
}

/** Text recordings of a folder whose names fit. */
export function textFiles(folder: string, names: RegExp): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => names.test(name))
    .sort()
    .map((name) => join(folder, name));
}

/** Whether trace-cmd can be run here. */
export function hasTraceCmd(): boolean {
  // Its exit code for a question about itself differs between versions; that it starts is the answer.
  return spawnSync('trace-cmd', ['help'], { stdio: 'ignore' }).error === undefined;
}

/** Reports of trace.dat files, made once: a file's size and time of change name its report. */
export function reportFiles(files: readonly string[]): string[] {
  const cache = join(tmpdir(), 'timervet-test-reports');
  mkdirSync(cache, { recursive: true });
  return files
    .filter((file) => existsSync(file))
    .map((file) => {
      const { size, mtimeMs } = statSync(file);
      const folder = join(cache, `${size}-${Math.floor(mtimeMs)}`);
      const report = join(folder, `${basename(file, '.dat')}.N.txt`);
      if (existsSync(report)) return report;
      mkdirSync(folder, { recursive: true });
      const text = execFileSync('trace-cmd', ['report', '-N', file], {
        maxBuffer: 256 * 1024 * 1024,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      // Two runs at the same time must not read each other's half a report.
      const part = `${report}.${process.pid}`;
      writeFileSync(part, text);
      renameSync(part, report);
      return report;
    });
}
