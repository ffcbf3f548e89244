import type { Moment, MomentEffect, TimerState } from '../../replay/moment.js';
import type { ReplayFact } from '../../replay/replay.js';
import type { Output } from '../output.js';
import { counted, pathName } from '../place.js';
import { printable, printableFact } from '../printable.js';
import type { Reporter } from '../reporter.js';
import { failureLines } from './run.js';
import type { Theme } from './theme.js';

/** Lines between two headings. */
const headingEvery = 40;

/** Moments written at once. */
const batch = 256;

/** Marks an event that no record states: placed by a neighbouring one, or following from others. */
const marks: Readonly<Record<string, string>> = { approximate: '~', derived: '+' };

/** A column: heading, width, text of a moment, and the fields whose change it shows. */
interface Column {
  readonly heading: string;
  readonly width: number;
  readonly right?: boolean;
  readonly fields?: readonly (keyof TimerState)[];
  text(moment: Moment): string;
}

const columns: readonly Column[] = [
  { heading: 'time', width: 16, right: true, text: ({ time }) => time },
  { heading: 'CPU', width: 3, right: true, text: ({ cpu }) => (cpu < 0 ? '-' : String(cpu)) },
  {
    heading: 'vcpu',
    width: 5,
    text: ({ vcpu }) => (vcpu === null ? '-' : `${vcpu.vm}.${vcpu.id < 0 ? '?' : vcpu.id}`),
  },
  {
    heading: 'event',
    width: 20,
    text: ({ event, certainty, timer }) => `${marks[certainty] ?? ' '}${event}${timer && ` ${timer}`}`,
  },
  { heading: 'where', width: 7, fields: ['place'], text: ({ state }) => state?.place ?? '' },
  { heading: 'on', width: 4, fields: ['loadedOn'], text: ({ state }) => state?.loadedOn ?? '' },
  {
    heading: 'timer in',
    width: 8,
    fields: ['inHardware'],
    text: ({ state }) => state?.inHardware ?? '',
  },
  { heading: 'CTL', width: 3, fields: ['ctl'], text: ({ state }) => state?.ctl ?? '' },
  { heading: 'CVAL', width: 12, right: true, fields: ['cval'], text: ({ state }) => state?.cval ?? '' },
  { heading: 'line', width: 4, fields: ['level'], text: ({ state }) => wave(state?.level) },
  { heading: 'bg', width: 5, fields: ['backgroundTimer'], text: ({ state }) => state?.backgroundTimer ?? '' },
];

/** The level as a waveform that runs down the page. */
function wave(level: string | undefined): string {
  if (level === undefined) return '';
  return level === '1' ? '   |' : level === '0' ? '|' : ' ?';
}

function padded(text: string, { width, right }: Column): string {
  return right ? text.padStart(width) : text.padEnd(width);
}

/** The heading of the columns. */
function heading(theme: Theme): string {
  return theme.dim(
    columns
      .map((column) => padded(column.heading, column))
      .join(' ')
      .trimEnd(),
  );
}

/** A moment as a line; what has changed has a star, and stands out. */
export function momentLine(moment: Moment, theme: Theme): string {
  let line = '';
  for (const column of columns) {
    const cell = padded(column.text(moment), column);
    const hasChanged = column.fields?.some((field) => moment.changed.includes(field)) === true;
    line += hasChanged ? `${theme.bold(cell)}*` : `${cell} `;
  }
  return line.trimEnd();
}

/** How each effect is known: shown by a record, following from what is known, taken for the usual case. */
const effectMarks: Readonly<Record<MomentEffect['mark'], string>> = { recorded: '=', derived: '+', assumed: '?' };

/** Where effects begin: below the mark of the event. */
const effectIndent = 27;

/**
 * What the model did after the event, below its line, as many effects to a line as fit.
 *
 * @param all also those that only change what the kernel keeps in memory
 */
function effectLines({ effects }: Moment, all: boolean, width: number, theme: Theme): string[] {
  const items = effects
    .filter(({ inMemory }) => all || !inMemory)
    .map(({ mark, text }) => ({ text: `${effectMarks[mark]} ${text}`, isAssumed: mark === 'assumed' }));
  const lines: string[] = [];
  let line = '';
  let length = 0;
  for (const { text, isAssumed } of items) {
    if (length > 0 && effectIndent + length + 2 + text.length > width) {
      lines.push(line);
      line = '';
      length = 0;
    }
    const gap = length > 0 ? '  ' : '';
    line += gap + (isAssumed ? theme.severity.warning(text) : theme.dim(text));
    length += gap.length + text.length;
  }
  if (length > 0) lines.push(line);
  return lines.map((each) => ' '.repeat(effectIndent) + each);
}

/** The record itself, in the kernel's spelling, below its line. */
function recordLine({ text, comm, pid }: Moment, theme: Theme): string {
  const thread = pid < 0 ? '' : `  ${comm === '' ? `pid ${pid}` : `${comm}-${pid}`}`;
  return theme.dim(`${' '.repeat(28)}${printable(text)}${printable(thread)}`);
}

/** Shows each moment when it comes. @param verbose the records too */
export function replayTextReporter(output: Output, theme: Theme, verbose: boolean): Reporter<ReplayFact> {
  let lines: string[] = [];
  let shown = 0;
  const flush = async () => {
    const text = lines.map((line) => `${line}\n`).join('');
    lines = [];
    if (text !== '') await output.write(text);
  };
  return {
    async fact(fact) {
      switch (fact.type) {
        case 'trace-start':
          lines.push(theme.bold(printable(pathName(fact.path))));
          shown = 0;
          return;
        case 'moment':
          if (shown++ % headingEvery === 0) lines.push(heading(theme));
          lines.push(momentLine(fact.moment, theme));
          if (verbose) lines.push(recordLine(fact.moment, theme));
          lines.push(...effectLines(fact.moment, verbose, output.columns, theme));
          if (lines.length >= batch) await flush();
          return;
        case 'trace-end': {
          const { summary } = fact;
          lines.push(
            `${shown === 0 ? 'no events' : counted(shown, 'event')} shown of ${counted(summary.timerEvents, 'recorded one')}, model ${summary.model.id ?? (summary.model.candidates.join(' or ') || 'none')}`,
          );
          return flush();
        }
        case 'trace-failed':
          lines.push(...failureLines(printableFact(fact.failure), { theme, width: output.columns, verbose: false }));
          return flush();
        case 'progress':
          return flush();
        case 'run-end':
          if (fact.run.exitCode === 130) lines.push(theme.bold('interrupted'));
          return flush();
        default:
      }
    },
    end() {},
  };
}
