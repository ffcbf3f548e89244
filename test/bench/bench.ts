/** `npm run bench`: how fast timervet is, against trace-cmd and plain readers of text. */
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { generatorVersion, type Inputs, inputs, prepare } from './inputs.js';
import { type Command, measure, type Run, sample } from './measure.js';
import { recordings, sourceRecording } from './recording.js';
import { machine, mebibytes, type Row, reaches, seconds, table } from './table.js';

const usage = `usage: npm run bench -- [option]...

  --quick           1 M events only, 3 runs
  --runs N          how often each command is measured (5; of 40 M events at most 3)
  --only TEXT       rows whose work contains TEXT
  --dir DIR         where the inputs are made and kept
  --recording FILE  a 6.1 arm64 trace.dat whose formats the inputs take over
  --real FILE       a zstd trace.dat of some 36,000 events
  --markdown        print the part of the README
  --readme          renew the part of the README
  --gate            fail where a bound of "at least" is not reached`;

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    runs: { type: 'string' },
    only: { type: 'string' },
    dir: { type: 'string', default: join(tmpdir(), 'timervet-bench') },
    recording: { type: 'string' },
    real: { type: 'string' },
    markdown: { type: 'boolean', default: false },
    readme: { type: 'boolean', default: false },
    gate: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const tell = (line: string) => process.stderr.write(`${line}\n`);
const runs = Number(options.runs ?? (options.quick ? 3 : 5));

/** Startup takes a few tens of milliseconds, which are measured in milliseconds. */
const startupRepeat = 10;
const node = process.execPath;
const timervet = join('bin', 'timervet.js');
const check = (file: string): Command => ({ args: [node, timervet, 'check', file] });
const diff = (file: string): Command => ({ args: [node, timervet, 'diff', file, file] });
const report = (file: string): Command => ({ args: ['trace-cmd', 'report', '-N', '-i', file] });
const bareNode: Command = { args: [node, '-e', '0'], repeat: startupRepeat };
const printVersion: Command = { args: [node, timervet, '--version'], repeat: startupRepeat };
const timerEvents = 'kvm_(entry|exit|timer_(save|restore)_state|timer_update_irq)';

/** Runs of one command, or why it has none. */
type Outcome = readonly Run[] | Error;

/** By command. */
const measured = new Map<string, Outcome>();

/** Measures commands in turn, so that what else the machine does falls on all of them. */
async function inTurn(commands: readonly Command[], times: number): Promise<Outcome[]> {
  const results: (Run[] | Error)[] = commands.map(() => []);
  for (let run = 0; run < times; run++) {
    for (const [i, command] of commands.entries()) {
      const result = results[i]!;
      if (result instanceof Error) continue;
      try {
        result.push(await measure(command));
      } catch (error) {
        results[i] = error as Error;
        tell(`  failed: ${results[i].message}`);
      }
    }
  }
  for (const [i, { args }] of commands.entries()) measured.set(args.join(' '), results[i]!);
  return results;
}

/** Runs of timervet on an input; those of another row where it has measured the same. */
async function checked(file: string, times: number): Promise<Outcome> {
  const command = check(file);
  return measured.get(command.args.join(' ')) ?? (await inTurn([command], times))[0]!;
}

const time = (outcome: Outcome) => (outcome instanceof Error ? undefined : sample(outcome.map((run) => run.seconds)));
const peak = (outcome: Outcome) => (outcome instanceof Error ? undefined : Math.max(...outcome.map((run) => run.peak)));
const shown = (outcome: Outcome) => (outcome instanceof Error ? 'failed' : seconds(time(outcome)!));

interface Bounds {
  readonly atLeast: number;
  readonly aim: number;
}

/** A row of the table in the making. */
interface Work extends Bounds {
  readonly work: string;
  /** What has to be made first. */
  readonly needs: readonly Inputs[];
  readonly measure: (work: string, bounds: Bounds) => Promise<Row>;
}

/** How many times longer the peer takes than timervet, or timervet than the peer. */
function against(peerName: string, peer: Command, ours: Command, larger: boolean): Work['measure'] {
  return async (work, bounds) => {
    const [theirs, own] = (await inTurn([peer, ours], runs)) as [Outcome, Outcome];
    const [slow, fast] = larger ? [theirs, own] : [own, theirs];
    const [over, under] = [time(slow), time(fast)];
    const figure = over && under && over.median / under.median;
    return { work, peer: `\`${peerName}\` ${shown(theirs)}`, ours: shown(own), figure, unit: '×', larger, ...bounds };
  };
}

const few = Math.min(runs, 3);

function peakMemory(form: 'plain' | 'zstd', sizes: readonly Inputs[]): Work['measure'] {
  return async (work, bounds) => {
    const peaks: (number | undefined)[] = [];
    for (const each of sizes) peaks.push(peak(await checked(each[form], few)));
    const whole = peaks.every((each) => each !== undefined) ? (peaks as number[]) : undefined;
    const ours = peaks.map((each) => (each === undefined ? 'failed' : mebibytes(each))).join(', ');
    return {
      work,
      peer: '–',
      ours,
      figure: whole && Math.max(...whole) / 2 ** 20,
      unit: 'MiB',
      larger: false,
      ...bounds,
    };
  };
}

function memoryGrowth(form: 'plain' | 'zstd', before: Inputs, after: Inputs): Work['measure'] {
  return async (work, bounds) => {
    const peaks = [peak(await checked(before[form], few)), peak(await checked(after[form], few))];
    const [less, more] = peaks;
    const figure = less === undefined || more === undefined ? undefined : (more - less) / 2 ** 20;
    const ours = peaks.map((each) => (each === undefined ? 'failed' : mebibytes(each))).join(' to ');
    return { work, peer: '–', ours, figure, unit: 'MiB', larger: false, ...bounds };
  };
}

/** The exponent e with which time grows with the number of events: t ~ n^e, once start is taken off. */
function exponent(startup: Inputs, small: Inputs, large: Inputs): Work['measure'] {
  return async (work, bounds) => {
    const outcomes = [
      await checked(startup.plain, runs),
      await checked(small.plain, few),
      await checked(large.plain, few),
    ];
    const [start, less, more] = outcomes.map((outcome) => time(outcome)?.median);
    const known = start !== undefined && less !== undefined && more !== undefined;
    return {
      work,
      peer: '–',
      ours: outcomes.map(shown).join(', '),
      figure: known ? Math.log((more - start) / (less - start)) / Math.log(large.events / small.events) : undefined,
      unit: '',
      larger: false,
      ...bounds,
    };
  };
}

const small = inputs(options.dir, '1M', 1_000_000, true);
const middle = inputs(options.dir, '10M', 10_000_000, true);
const large = inputs(options.dir, '40M', 40_000_000, false);
const short = inputs(options.dir, 'start', 1_000, false);

function works(): Work[] {
  const against1M: Work[] = [
    {
      work: 'trace.dat, 1 M events, uncompressed',
      needs: [small],
      atLeast: 4.5,
      aim: 7,
      measure: against('trace-cmd report -N', report(small.plain), check(small.plain), true),
    },
    {
      work: 'trace.dat, 1 M events, zstd',
      needs: [small],
      atLeast: 2.5,
      aim: 3.5,
      measure: against('trace-cmd report -N', report(small.zstd), check(small.zstd), true),
    },
  ];
  const memory = (needs: readonly Inputs[], sizes: string): Work[] => [
    { work: `peak memory, ${sizes}, uncompressed`, needs, atLeast: 90, aim: 70, measure: peakMemory('plain', needs) },
    { work: `peak memory, ${sizes}, zstd`, needs, atLeast: 120, aim: 100, measure: peakMemory('zstd', needs) },
  ];
  const real = options.real ?? join(recordings, '6.1-vhe-mixed.dat');
  const starts: Work[] = [
    {
      work: 'a real recording of 36,000 events, zstd',
      needs: [],
      atLeast: 4,
      aim: 2.5,
      measure: against('node -e 0', bareNode, { ...check(real), repeat: startupRepeat }, false),
    },
    {
      work: '`timervet --version`',
      needs: [],
      atLeast: 1.25,
      aim: 1.1,
      measure: against('node -e 0', bareNode, printVersion, false),
    },
  ];

  if (options.quick) return [...against1M, ...memory([small], '1 M events'), ...starts];

  const text = middle.text!;
  const grep: Command = { args: ['grep', '-cE', timerEvents, text], environment: { LC_ALL: 'C' }, outputRead: true };
  return [
    {
      work: 'trace.dat, 10 M events, uncompressed',
      needs: [middle],
      atLeast: 12,
      aim: 22,
      measure: against('trace-cmd report -N', report(middle.plain), check(middle.plain), true),
    },
    {
      work: 'trace.dat, 10 M events, zstd',
      needs: [middle],
      atLeast: 7,
      aim: 14,
      measure: against('trace-cmd report -N', report(middle.zstd), check(middle.zstd), true),
    },
    ...against1M,
    {
      work: 'text of 10 M events, 1.1 GB',
      needs: [middle],
      atLeast: 20,
      aim: 12,
      measure: against('wc -l', { args: ['wc', '-l', text] }, check(text), false),
    },
    {
      work: 'text of 10 M events, 1.1 GB, matching lines',
      needs: [middle],
      atLeast: 2,
      aim: 1.3,
      measure: against('grep -cE', grep, check(text), false),
    },
    {
      work: 'diff of two recordings of 10 M events',
      needs: [middle],
      atLeast: 2.6,
      aim: 2,
      measure: against('timervet check', check(middle.plain), diff(middle.plain), false),
    },
    ...memory([small, middle, large], '1, 10, 40 M events'),
    {
      work: 'growth of memory, 1 to 40 M events, uncompressed',
      needs: [small, large],
      atLeast: 10,
      aim: 0,
      measure: memoryGrowth('plain', small, large),
    },
    {
      work: 'growth of memory, 1 to 40 M events, zstd',
      needs: [small, large],
      atLeast: 10,
      aim: 0,
      measure: memoryGrowth('zstd', small, large),
    },
    {
      work: 'exponent of time, 10 to 40 M events, less that of 1,000',
      needs: [short, middle, large],
      atLeast: 1.05,
      aim: 1,
      measure: exponent(short, middle, large),
    },
    ...starts,
  ];
}

const [begin, end] = ['<!-- bench:begin -->', '<!-- bench:end -->'];

function renewReadme(part: string): void {
  const text = readFileSync('README.md', 'utf8');
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`README.md: expected ${begin} and, after it, ${end}`);
  writeFileSync('README.md', `${text.slice(0, from + begin.length)}\n\n${part}\n\n${text.slice(to)}`);
}

async function main(): Promise<void> {
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${options.runs}: expected a whole number from 1`);
  const recording = options.recording ?? sourceRecording();
  if (recording === undefined) throw new Error('no recording is there: name a 6.1 arm64 trace.dat with --recording');
  const rows: Row[] = [];
  let version: string | undefined;
  for (const { work, needs, measure: row, ...bounds } of works()) {
    if (options.only !== undefined && !work.includes(options.only)) continue;
    for (const each of needs) {
      version ??= generatorVersion(options.dir, recording);
      await prepare(each, { recording, version, tell });
    }
    tell(work);
    rows.push(await row(work, bounds));
  }
  const part = `${machine(runs)}\n\n${table(rows)}`;
  process.stdout.write(options.markdown ? `${begin}\n\n${part}\n\n${end}\n` : `${part}\n`);
  if (options.readme) renewReadme(part);
  if (options.gate && rows.some((row) => !reaches(row, row.atLeast))) process.exitCode = 1;
}

if (options.help) process.stdout.write(`${usage}\n`);
else await main();
