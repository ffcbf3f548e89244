import { bugWords } from '../../bugs/bug.js';
import type { Episode, Finding, WitnessEvent } from '../../check/facts.js';
import { counted, placeWords, positionWords, threadWords, vcpuWords } from '../place.js';
import { align, labelled, paragraph, wrap } from './layout.js';
import type { Theme } from './theme.js';

/** How a text report is laid out. */
export interface TextStyle {
  readonly theme: Theme;
  /** Characters a line to which a line is wrapped. */
  readonly width: number;
  readonly verbose: boolean;
}

/** Further occurrences that are listed before the rest is only counted. */
const shownOccurrences = 4;

function times(finding: Finding, width: number): string[] {
  const { count, episodes, occurrences } = finding;
  const total = episodes?.count ?? count;
  const all = episodes === undefined ? `${count}` : `${count} in ${counted(total, 'episode')}`;
  if (total < 2) return episodes === undefined ? [] : labelled('times', all, width);
  const further = occurrences.slice(1, 1 + shownOccurrences);
  const places = further.map((item) => {
    const times = item.count === undefined ? '' : `, ${counted(item.count, 'time')}`;
    return `${item.time} (CPU ${item.cpu}, ${positionWords(item.position)}${times})`;
  });
  const rest = total - 1 - further.length;
  if (rest > 0) places.push(`${rest} more`);
  return labelled('times', `${all}, also at ${places.join(', ')}`, width);
}

/** What happened at an event that began or ended an episode. */
function eventWords({ time, cpu, comm, pid, text, position }: WitnessEvent): string {
  return `${time} on CPU ${cpu}, thread ${threadWords(comm, pid)}, ${positionWords(position)}: ${text}`;
}

/** How an episode ended: `ended  SENTENCE`, and the event that did it. */
export function endLines({ last, ended, end }: Episode, width: number): string[] {
  if (ended === null) return labelled('ended', 'not yet', width);
  const event = end === null ? '' : `; ${eventWords(end)}`;
  return labelled('ended', `${ended}, last at ${last}${event}`, width);
}

/** The end of the episode that the finding is about, and the longest one where that is another. */
function episodeLines({ episodes }: Finding, path: string, width: number): string[] {
  if (episodes === undefined) return [];
  const { first, longest } = episodes;
  const lines = endLines(first, width);
  if (longest.count <= first.count) return lines;
  const cause = longest.cause === null ? [] : labelled('began', eventWords(longest.cause), width);
  const place = `${placeWords(path, longest.position)}, ${longest.time}, CPU ${longest.cpu}`;
  const words = `${longest.message}; at ${place}, for ${longest.duration} s`;
  return [...lines, ...labelled('longest', words, width), ...cause, ...endLines(longest, width)];
}

/** Where an event's text stands that has no room behind the other cells. */
const textIndent = 12;

/** Events in columns, the decisive one marked; a text that is too long goes on in its column, or below. */
export function eventLines(
  witness: readonly WitnessEvent[],
  { theme, width }: Pick<TextStyle, 'theme' | 'width'>,
): string[] {
  const rows = witness.map((event) => [
    event.decisive ? '  >' : '   ',
    positionWords(event.position),
    event.time,
    `[${String(event.cpu).padStart(3, '0')}]`,
    threadWords(event.comm, event.pid),
    event.certainty === 'recorded' ? event.event : `${event.event} (${event.certainty})`,
    '',
  ]);
  return align(rows).flatMap((cells, index) => {
    const [mark, place, ...rest] = cells;
    const { text: printed, decisive } = witness[index]!;
    const behind = rest.slice(0, -1).join('  ');
    const column = mark!.length + 1 + place!.length + 2 + behind.length + 2;
    // The kernel pads values, which is of no use where the text is broken.
    const text = column + printed.length > width ? printed.replace(/ +/g, ' ') : printed;
    const isBelow = text.split(' ').some((word) => column + word.length > width);
    const indent = isBelow ? textIndent : column;
    const [first = '', ...more] = isBelow ? ['', ...wrap(text, width - indent)] : wrap(text, width - indent);
    const lines = [
      `${mark} ${theme.dim(place!)}  ${behind}  ${first}`.trimEnd(),
      ...more.map((line) => `${' '.repeat(indent)}${line}`),
    ];
    return decisive ? lines.map(theme.bold) : lines;
  });
}

/** Whether a text names a field of the state as a whole word, so that `ctl` is not found in `cntv_ctl`. */
function names(text: string, field: string): boolean {
  const escaped = field.replace(/[^\w]/g, '\\$&');
  return new RegExp(`(?<![\\w.])${escaped}(?![\\w.]\\w)(?!\\w)`).test(text);
}

/** The fields that changed, and those the argument speaks of; all of them when verbose. */
function stateLines(finding: Finding, style: TextStyle): string[] {
  return changedStateLines(finding, Object.values(finding.argument).join(' '), style);
}

/** As `stateLines`, of any place. @param speaksOf text that names the fields which matter even where they stay */
export function changedStateLines(
  state: Pick<Finding, 'before' | 'after'>,
  speaksOf: string,
  { theme, verbose }: TextStyle,
): string[] {
  const fields = [...new Set([...Object.keys(state.before), ...Object.keys(state.after)])];
  const rows: string[][] = [];
  for (const field of fields) {
    const before = state.before[field] ?? 'unknown';
    const after = state.after[field] ?? 'unknown';
    if (before !== after) rows.push([`    ${field}`, before, `-> ${after}`]);
    else if (verbose || names(speaksOf, field)) rows.push([`    ${field}`, before, '']);
  }
  if (rows.length === 0) return [];
  return [theme.dim('  state before -> after'), ...align(rows).map((cells) => cells.join('  ').trimEnd())];
}

/** Whether it is the known sign of a bug that this code has had; several bugs may share a sign. */
function bugLines({ bugs }: Finding, width: number): string[] {
  return bugs.flatMap((bug, index) =>
    labelled(index === 0 ? 'known bug' : 'or', `the sign of ${bugWords(bug)}`, width),
  );
}

/** One finding: what, where, the events, the state, the argument. */
export function findingLines(finding: Finding, path: string, style: TextStyle): string[] {
  const { theme, width } = style;
  const name = `${finding.rule}/${finding.diagnosis}`;
  const { given, must, but, therefore } = finding.argument;
  const where = `${placeWords(path, finding.position)}, ${finding.time}, CPU ${finding.cpu}, ${vcpuWords(finding.vcpu)}`;
  return [
    `${theme.severity[finding.severity](finding.severity)}  ${theme.bold(name)}`,
    ...paragraph(finding.message, width, '  '),
    ...labelled('where', where, width),
    ...times(finding, width),
    ...episodeLines(finding, path, width),
    theme.dim('  events'),
    ...eventLines(finding.witness, style),
    ...stateLines(finding, style),
    ...labelled('given', given, width),
    ...labelled('must', must, width),
    ...labelled('but', but, width),
    ...labelled('therefore', therefore, width),
    ...bugLines(finding, width),
    theme.dim(`  ${'see'.padEnd(11)}timervet explain ${finding.rule}; fingerprint ${finding.fingerprint}`),
  ];
}
