/** The benchmark's input files: made once, verified with trace-cmd, and reused as long as the generator makes the same. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { generate } from './generate.js';
import { cpuCount } from './host-state.js';

/** What trace-cmd reads in a file. */
export interface Counted {
  /** Events by CPU. */
  readonly perCpu: readonly number[];
  /** Places at which trace-cmd says that events were lost. */
  readonly losses: number;
}

/**
 * Has `trace-cmd report -N` read a whole file, and counts its events.
 *
 * @param text where the report goes, if it is kept
 * @throws Error when trace-cmd fails, or prints a line that is neither an event nor a loss
 */
export async function countWithTraceCmd(file: string, text?: string): Promise<Counted> {
  const child = spawn('trace-cmd', ['report', '-N', '-i', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve, reject) => child.on('close', resolve).on('error', reject));
  let complaints = '';
  child.stderr.on('data', (chunk) => {
    complaints += chunk;
  });
  const out = text === undefined ? undefined : openSync(text, 'w');
  const perCpu = new Array<number>(cpuCount).fill(0);
  let losses = 0;
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    if (out !== undefined) for (let at = 0; at < chunk.length; ) at += writeSync(out, chunk, at);
    const lines = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    for (let end = lines.indexOf(10); end >= 0; end = lines.indexOf(10, from)) {
      const cpu = eventCpu(lines, from);
      if (cpu >= 0) perCpu[cpu]!++;
      else {
        const line = lines.toString('latin1', from, end);
        if (line.startsWith('CPU:')) losses++;
        else if (!/^cpus=\d+$/.test(line)) throw new Error(`trace-cmd prints of ${file} what is no event: ${line}`);
      }
      from = end + 1;
    }
    rest = lines.subarray(from);
  }
  if (out !== undefined) closeSync(out);
  const code = await ended;
  if (code !== 0) throw new Error(`trace-cmd report of ${file} ended with ${code}: ${complaints.trim()}`);
  return { perCpu, losses };
}

const bracket = '['.charCodeAt(0);
const zero = '0'.charCodeAt(0);
/** Of `[` in a line of trace-cmd: a thread takes 16 columns for its name, and up to 5 digits. */
const cpuColumn = 23;

/** The CPU of the event in a line, −1 where the line is none. */
function eventCpu(lines: Buffer, from: number): number {
  const at = from + cpuColumn;
  if (lines[at] !== bracket || lines[at + 4] !== ']'.charCodeAt(0)) return -1;
  return (lines[at + 1]! - zero) * 100 + (lines[at + 2]! - zero) * 10 + (lines[at + 3]! - zero);
}

/** The files of one size. */
export interface Inputs {
  readonly events: number;
  readonly plain: string;
  readonly zstd: string;
  /** As `trace-cmd report -N` prints it. */
  readonly text: string | undefined;
  /** What the files were made by, and what trace-cmd read in them. */
  readonly stamp: string;
}

interface Stamp {
  readonly generator: string;
  readonly sizes: Readonly<Record<string, number>>;
}

/** Identifies what the generator makes of a recording: the digest of a short trace. */
export function generatorVersion(folder: string, recording: string): string {
  mkdirSync(folder, { recursive: true });
  const sample = join(folder, 'sample.part');
  generate(sample, 20_000, recording);
  const digest = createHash('sha256').update(readFileSync(sample)).digest('hex');
  rmSync(sample);
  return digest;
}

/** @param name in the files' names, such as `10M` */
export function inputs(folder: string, name: string, events: number, withText: boolean): Inputs {
  const file = (end: string) => join(folder, `bench-${name}.${end}`);
  return {
    events,
    plain: file('dat'),
    zstd: file('zstd.dat'),
    text: withText ? file('txt') : undefined,
    stamp: file('json'),
  };
}

/**
 * Makes the files where they are not there.
 *
 * @param version of {@link generatorVersion}
 * @param tell is told what is being done
 */
export async function prepare(
  { events, plain, zstd, text, stamp }: Inputs,
  { recording, version, tell }: { recording: string; version: string; tell: (line: string) => void },
): Promise<void> {
  const files = text === undefined ? [plain, zstd] : [plain, zstd, text];
  if (!isCurrent(stamp, version, files)) {
    // A reader of the old files is not disturbed: new ones take their names when they are complete.
    const part = (file: string) => `${file}.part`;
    tell(`generating ${events} events`);
    const { perCpu, bytesPerEvent, mix } = generate(part(plain), events, recording);
    tell(`${bytesPerEvent.toFixed(1)} bytes an event; verifying with trace-cmd`);
    const verified = await verify(part(plain), perCpu, text === undefined ? undefined : part(text));
    execFileSync('trace-cmd', ['convert', '-i', part(plain), '-o', part(zstd), '--compression', 'zstd'], {
      stdio: 'pipe',
    });
    await verify(part(zstd), perCpu);
    for (const file of files) renameSync(part(file), file);
    const sizes = Object.fromEntries(files.map((file) => [file, statSync(file).size]));
    const facts = { generator: version, events, bytesPerEvent, sizes, verified, mix: Object.fromEntries(mix) };
    writeFileSync(stamp, `${JSON.stringify(facts, null, 2)}\n`);
  }
}

function isCurrent(stamp: string, version: string, files: readonly string[]): boolean {
  if (!existsSync(stamp)) return false;
  const { generator, sizes } = JSON.parse(readFileSync(stamp, 'utf8')) as Stamp;
  return generator === version && files.every((file) => existsSync(file) && statSync(file).size === sizes[file]);
}

/** Compares what trace-cmd reads with what was written. */
async function verify(file: string, perCpu: readonly number[], text?: string): Promise<Counted> {
  const counted = await countWithTraceCmd(file, text);
  if (counted.losses > 0) throw new Error(`${file}: trace-cmd reports lost events`);
  if (counted.perCpu.join() !== perCpu.join()) {
    throw new Error(
      `${file}: trace-cmd reads ${counted.perCpu.join(', ')} events by CPU, written were ${perCpu.join(', ')}`,
    );
  }
  return counted;
}
