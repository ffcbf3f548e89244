import type { TraceSummary } from '../../check/facts.js';
import type { Output } from '../output.js';
import { counted, pathName } from '../place.js';
import { printableFact } from '../printable.js';
import type { Reporter } from '../reporter.js';
import type { TextStyle } from './finding.js';
import { align, labelled, paragraph } from './layout.js';
import { failureLines } from './run.js';
import type { Theme } from './theme.js';
import { timingLines } from './timing.js';
import { conditionLines, modelLines, vcpuLines } from './trace.js';

/** Format, kernel, clock, size. */
function headLines(trace: TraceSummary, { theme, width }: TextStyle): string[] {
  const { recording } = trace;
  const format = [
    trace.format,
    ...(recording.version === null ? [] : [`version ${recording.version}`]),
    ...(recording.compression === null ? [] : [`compressed with ${recording.compression}`]),
    ...(recording.convertedFrom === null ? [] : [`converted from ${recording.convertedFrom}`]),
  ];
  const size = [
    counted(trace.events, 'record'),
    counted(trace.timerEvents, 'timer event'),
    counted(trace.cpus, 'CPU'),
    `${trace.duration} s`,
  ];
  return [
    theme.bold(pathName(trace.path)),
    ...labelled('format', format.join(', '), width),
    ...labelled('kernel', trace.kernel ?? 'not named', width),
    ...labelled('clock', trace.clock ?? 'not named', width),
    ...labelled('size', size.join(', '), width),
  ];
}

function bufferLines({ recording }: TraceSummary, { theme }: TextStyle): string[] {
  if (recording.buffers.length === 0) return [];
  const rows = recording.buffers.map(({ name, clock, cpus, pageSize }) => [
    `  ${name === '' ? '(top)' : name}`,
    `clock ${clock ?? 'not named'}`,
    ...(cpus === null ? [] : [counted(cpus, 'CPU')]),
    ...(pageSize === null ? [] : [`pages of ${pageSize} bytes`]),
  ]);
  return [theme.bold('buffers'), ...align(rows).map((cells) => cells.join('  '))];
}

function cpuLines({ recording }: TraceSummary, { theme }: TextStyle): string[] {
  if (recording.cpus.length === 0) return [`${theme.bold('CPUs')}  none has a record`];
  const rows = recording.cpus.map(({ cpu, records, first, last, lost }) => [
    `  CPU ${cpu}`,
    records,
    `${records === 1 ? 'record' : 'records'} from ${first} to ${last}`,
    lost === 0 ? '' : theme.severity.loss(`${lost} lost`),
  ]);
  return [theme.bold('CPUs'), ...align(rows).map((cells) => cells.join('  ').trimEnd())];
}

/** Records by name, and the timer events that they gave. */
function sourceLines({ recording }: TraceSummary, { theme }: TextStyle): string[] {
  const sources = recording.sources.map(({ name, records, use }) => ['  ', records, name, use === 'used' ? '' : use]);
  const kinds = recording.kinds.map(({ kind, events }) => ['  ', events, kind]);
  const table = (title: string, rows: (string | number)[][]) =>
    rows.length === 0 ? [] : [theme.bold(title), ...align(rows).map((cells) => cells.join('  ').trimEnd())];
  const both = [table('records by name', sources), table('timer events', kinds)].filter((lines) => lines.length > 0);
  return both.flatMap((lines, index) => (index === 0 ? lines : ['', ...lines]));
}

/** Which rules the trace decides, which not and why, and what would change that. */
function ruleLines(trace: TraceSummary, { theme, width }: TextStyle): string[] {
  const entries = Object.entries(trace.rules).filter(
    ([, { status }]) => status !== 'not-applicable' && status !== 'off',
  );
  if (entries.length === 0)
    return [`${theme.bold('rules')}  none: no model fits the kernel, so nothing can be checked`];
  const decided = entries.filter(([, { held, violated }]) => held + violated > 0);
  const { missing, commands } = trace.recording.advice;
  const lacking = new Set(missing.flatMap(({ rules }) => rules));
  const others = new Map<string, string[]>();
  for (const [id, { held, violated, reason = 'not decided' }] of entries)
    if (held + violated === 0 && !lacking.has(id)) others.set(reason, [...(others.get(reason) ?? []), id]);
  const group = (reason: string, ids: readonly string[]) => [
    ...paragraph(reason, width, '  ').map(theme.dim),
    ...paragraph(ids.join(', '), width, '    '),
  ];
  return [
    `${theme.bold('rules')}  this trace can feed ${decided.length} of ${entries.length}`,
    ...missing.flatMap(({ kinds, rules, source, mayLack }) => {
      const how =
        source === null
          ? 'this kernel has no record of it'
          : source.includes(':')
            ? `the tracepoint ${source} shows it`
            : `a probe on ${source} shows it`;
      const where = mayLack ? ', where the kernel has it' : '';
      return group(`no ${kinds.join(' or ')} is recorded: ${how}${where}`, rules);
    }),
    ...[...others].flatMap(([reason, ids]) => group(reason, ids)),
    ...(commands.length === 0
      ? []
      : ['', theme.bold('to feed more rules, record'), ...commands.map((command) => `  ${command}`)]),
  ];
}

/** What a trace is. */
export function infoLines(trace: TraceSummary, style: TextStyle): string[] {
  const sections = [
    headLines(trace, style),
    bufferLines(trace, style),
    cpuLines(trace, style),
    sourceLines(trace, style),
    conditionLines(trace, style),
    vcpuLines(trace, style),
    modelLines(trace, style),
    timingLines(trace, style),
    ruleLines(trace, style),
  ];
  return sections.filter((lines) => lines.length > 0).flatMap((lines, index) => (index === 0 ? lines : ['', ...lines]));
}

/** Describes each trace when it has been read. */
export function infoTextReporter(output: Output, theme: Theme): Reporter {
  const style: TextStyle = { theme, width: output.columns, verbose: false };
  let begun = false;
  const write = async (lines: readonly string[]) => {
    await output.write((begun ? '\n' : '') + lines.map((line) => `${line}\n`).join(''));
    begun = true;
  };
  return {
    async fact(fact) {
      if (fact.type === 'trace-end') await write(infoLines(printableFact(fact.summary), style));
      if (fact.type === 'trace-failed') await write(failureLines(fact.failure, style));
      if (fact.type === 'run-end' && fact.run.exitCode === 130)
        await write([theme.bold('interrupted: this is what was read until then')]);
    },
    end() {},
  };
}
