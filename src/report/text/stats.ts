import type { TraceSummary } from '../../check/facts.js';
import { words } from '../../stats/cell.js';
import type { GroupStats, Measured, StatsFact, TraceStats } from '../../stats/facts.js';
import { duration, percentage } from '../durations.js';
import type { Output } from '../output.js';
import { counted, pathName, vcpuWords } from '../place.js';
import { printableFact } from '../printable.js';
import type { Reporter } from '../reporter.js';
import { costLines } from './costs.js';
import type { TextStyle } from './finding.js';
import { labelled } from './layout.js';
import { failureLines } from './run.js';
import type { Theme } from './theme.js';
import { conditionLines, modelLines } from './trace.js';

function headLines(trace: TraceSummary, { theme, width }: TextStyle): string[] {
  const size = [
    counted(trace.events, 'record'),
    counted(trace.timerEvents, 'timer event'),
    counted(trace.vcpus.length, 'vcpu'),
    counted(trace.vms, 'VM'),
    counted(trace.cpus, 'CPU'),
    `${trace.duration} s`,
  ];
  return [theme.bold(pathName(trace.path)), ...labelled('size', size.join(', '), width)];
}

/** A table of durations; `whole` is what the shares are of. */
function table(title: string, rows: readonly Measured[], whole: number | undefined, { theme }: TextStyle): string[] {
  if (rows.length === 0) return [];
  const heading = [
    `  ${title}`,
    'count',
    ...(whole === undefined ? [] : ['share', 'total']),
    'p50',
    'p90',
    'p99',
    'max',
  ];
  const cells = rows.map(({ name, times }) => [
    `    ${words(name)}`,
    String(times.count),
    ...(whole === undefined ? [] : [percentage(times.total, whole), duration(times.total)]),
    duration(times.p50),
    duration(times.p90),
    duration(times.p99),
    duration(times.max),
  ]);
  const widths = heading.map((cell, column) => Math.max(cell.length, ...cells.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  ');
  return [theme.dim(line(heading)), ...cells.map(line)];
}

/** Counts as `5 entries, 2 loads`, those that are 0 left out unless all are. */
function countLines(
  label: string,
  counts: readonly (readonly [count: number, one: string, many?: string])[],
  width: number,
): string[] {
  const some = counts.filter(([count]) => count > 0);
  return some.length === 0
    ? []
    : labelled(label, some.map(([count, one, many = one]) => counted(count, one, many)).join(', '), width, 12);
}

function whoIs({ vcpu, vm, cpu }: GroupStats): string {
  if (vcpu !== null) return vcpuWords(vcpu);
  return vm !== null ? `VM ${vm}` : `CPU ${cpu}`;
}

function groupLines(group: GroupStats, seconds: number, style: TextStyle): string[] {
  const { theme, width } = style;
  const { counts } = group;
  const whole = group.places.reduce((sum, { times }) => sum + times.total, 0);
  return [
    theme.bold(whoIs(group)),
    ...countLines(
      'lifecycle',
      [
        [counts.entries, 'entry', 'entries'],
        [counts.loads, 'load', 'loads'],
        [counts.puts, 'put', 'puts'],
        [counts.preemptions, 'preemption', 'preemptions'],
        [counts.migrations, 'migration', 'migrations'],
        [counts.userspaceExits, 'exit to userspace', 'exits to userspace'],
      ],
      width,
    ),
    ...countLines(
      'waits',
      [
        [counts.wfi, 'WFI'],
        [counts.sleeps, 'sleep', 'sleeps'],
        [counts.polls, 'without a sleep'],
        [counts.wakeups, 'wakeup', 'wakeups'],
      ],
      width,
    ),
    ...countLines(
      'interrupts',
      [
        [counts.interruptsInGuest, 'in the guest'],
        [counts.interruptsLoaded, 'while loaded'],
        [counts.interruptsLate, 'not loaded'],
        [counts.interruptsSpurious, 'raised nothing'],
      ],
      width,
    ),
    ...countLines(
      'level',
      [
        [counts.levelRaised, 'reported high'],
        [counts.levelLowered, 'reported low'],
        [counts.ticks, 'tick', 'ticks'],
      ],
      width,
    ),
    ...countLines(
      'timers',
      [
        [counts.backgroundArmed, 'background armed'],
        [counts.backgroundCancelled, 'cancelled'],
        [counts.backgroundFired, 'fired'],
        [counts.softArmed, 'soft armed'],
        [counts.softCancelled, 'soft cancelled'],
        [counts.softFired, 'soft fired'],
      ],
      width,
    ),
    ...countLines(
      'operations',
      [
        [counts.saves, 'save', 'saves'],
        [counts.restores, 'restore', 'restores'],
        [counts.activeWrites, 'active-state write', 'active-state writes'],
        [counts.offsetWrites, 'offset write', 'offset writes'],
        [counts.affinityChanges, 'affinity change', 'affinity changes'],
      ],
      width,
    ),
    ...table('time', group.places, whole, style),
    ...table(
      'exits',
      group.exits,
      group.exits.reduce((sum, { times }) => sum + times.total, 0),
      style,
    ),
    ...table('latencies', group.latencies, undefined, style),
    ...(group.costs === null ? [] : costLines(group.costs, seconds, counts.ticks, style)),
  ];
}

function statsLines(trace: TraceSummary, stats: TraceStats, style: TextStyle): string[] {
  const groups = stats.groups.map((group) => groupLines(group, Number(trace.duration), style));
  const none = stats.groups.length === 0 ? [['no vcpu was seen: there is nothing to count']] : [];
  const sections = [
    headLines(trace, style),
    ...none,
    ...groups,
    conditionLines(trace, style),
    modelLines(trace, style),
  ];
  return sections.filter((lines) => lines.length > 0).flatMap((lines, index) => (index === 0 ? lines : ['', ...lines]));
}

/** Shows the statistics of each trace when it has been read. */
export function statsTextReporter(output: Output, theme: Theme): Reporter<StatsFact> {
  const style: TextStyle = { theme, width: output.columns, verbose: false };
  let begun = false;
  const write = async (lines: readonly string[]) => {
    await output.write((begun ? '\n' : '') + lines.map((line) => `${line}\n`).join(''));
    begun = true;
  };
  return {
    async fact(fact) {
      if (fact.type === 'trace-end') {
        const { summary, stats } = printableFact({ summary: fact.summary, stats: fact.stats });
        await write(statsLines(summary, stats, style));
      }
      if (fact.type === 'trace-failed') await write(failureLines(fact.failure, style));
      if (fact.type === 'run-end' && fact.run.exitCode === 130)
        await write([theme.bold('interrupted: this is what was read until then')]);
    },
    end() {},
  };
}
