import type { DistributionShift, HostShift, KnownDeadlines, LatencyDiff, Times } from '../../../diff/latency/facts.js';
import { factorText } from '../../../diff/latency/highlights.js';
import { words } from '../../../stats/cell.js';
import { duration } from '../../durations.js';
import { counted } from '../../place.js';
import type { TextStyle } from '../finding.js';
import { paragraph } from '../layout.js';

/** Most columns of a histogram. */
const mostColumns = 18;
/** From no value to the most in one column. */
const inks = ' .:-=+*#@';

/** A histogram of both recordings in the same columns, each a doubling or, where there are too many, several. */
function histograms(
  old: Times | null,
  next: Times | null,
): { readonly of: (times: Times | null) => string; from: number } {
  const froms = [old, next].flatMap((times) => times?.histogram.map(({ from }) => Math.log2(Math.max(1, from))) ?? []);
  const [low, high] = [Math.min(...froms), Math.max(...froms)];
  const merged = Math.ceil((high - low + 1) / mostColumns);
  const of = (times: Times | null): string => {
    const columns: number[] = new Array(Math.ceil((high - low + 1) / merged)).fill(0);
    for (const { from, count } of times?.histogram ?? [])
      columns[Math.floor((Math.log2(Math.max(1, from)) - low) / merged)]! += count;
    const most = Math.max(1, ...columns);
    const ink = (count: number) => (count === 0 ? ' ' : inks[Math.ceil((count / most) * (inks.length - 1))]!);
    return columns.map(ink).join('');
  };
  return { of, from: 2 ** low };
}

type Row = readonly [name: string, side: string, count: string, p50: string, p90: string, p99: string, max: string];

/** Pads names to the left and figures to the right; what follows the columns stays as it is. */
function aligned(rows: readonly { readonly cells: Row; readonly rest: string }[]): string[] {
  const widths = rows[0]!.cells.map((_, column) => Math.max(...rows.map(({ cells }) => cells[column]!.length)));
  return rows.map(({ cells, rest }) => {
    const padded = cells.map((cell, column) =>
      column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
    );
    return `  ${padded.join('  ')}  ${rest}`.trimEnd();
  });
}

function timesCells(times: Times | null): readonly [string, string, string, string, string] {
  if (times === null) return ['0', '-', '-', '-', '-'];
  const { count, p50, p90, p99, max } = times;
  return [String(count), duration(p50), duration(p90), duration(p99), duration(max)];
}

/** Both recordings, and under them how far each quantile has gone and its interval; what differs has a star. */
function shiftRows(shift: DistributionShift): { readonly cells: Row; readonly rest: string }[] {
  const { of, from } = histograms(shift.old, shift.new);
  const share = shift.share !== null && shift.share.judgement === 'differs' ? shift.share : null;
  const shareText = (value: number) => (share === null ? '' : `${(100 * value).toFixed(0)} % of time`);
  const factors = shift.quantiles.map((one) => {
    if (one.judgement === 'unjudged') return '?';
    return `${factorText(one.old, one.new)}${one.judgement === 'noise' ? '' : '*'}`;
  });
  const intervals = shift.quantiles.map(({ factor }) =>
    factor === undefined ? '' : factor.map((one) => one.toPrecision(2)).join('..'),
  );
  const figures = (texts: readonly string[]) => [texts[0] ?? '', texts[1] ?? '', texts[2] ?? ''] as const;
  return [
    {
      cells: [words(shift.name), 'old', ...timesCells(shift.old)],
      rest: `|${of(shift.old)}| ${shareText(share?.old ?? 0)}`,
    },
    { cells: ['', 'new', ...timesCells(shift.new)], rest: `|${of(shift.new)}| ${shareText(share?.new ?? 0)}` },
    { cells: ['', 'shift', '', ...figures(factors), ''], rest: `from ${duration(from)}` },
    { cells: ['', '', '', ...figures(intervals), ''], rest: '' },
  ];
}

function hostLines(host: readonly HostShift[], width: number): string[] {
  const known = host.filter(({ factor }) => factor !== null);
  if (known.length === 0)
    return paragraph('hosts: nothing shows how they compare, so that no latency is judged', width, '    ', '  ');
  const factors = known.map(
    ({ share, factor, by, quantile }) =>
      `x ${factor!.toPrecision(3)} at p${100 * share} (${words(by!)}, p${100 * quantile!})`,
  );
  const text = `hosts differ by ${factors.join(', ')}: what shifts by less is not told`;
  return paragraph(text, width, '    ', '  ');
}

function deadlineText({ known, interrupts, error }: KnownDeadlines, side: string): string {
  return `of ${known} of ${counted(interrupts, 'interrupt')} in the ${side} recording${known === 0 ? '' : ` (to ${duration(error)})`}`;
}

/** How long things take: what differs with its figures, the rest by name. */
export function latencyLines(latency: LatencyDiff, style: TextStyle): string[] {
  const { theme, width } = style;
  const all = [...latency.latencies, ...latency.places.map((place) => ({ ...place, name: `time ${place.name}` }))];
  const by = (...judgements: readonly string[]) => all.filter(({ judgement }) => judgements.includes(judgement));
  const names = (label: string, some: readonly DistributionShift[]) =>
    some.length === 0
      ? []
      : paragraph(`${label}: ${some.map(({ name }) => words(name)).join(', ')}`, width, '    ', '  ');
  const differ = by('differs');
  const { old, new: next } = latency.deadlines;
  const heading = { cells: ['', '', 'count', 'p50', 'p90', 'p99', 'max'] as Row, rest: 'doublings' };
  const deadlines = `deadlines known ${deadlineText(old, 'old')}, ${deadlineText(next, 'new')}`;
  return [
    `${theme.bold('latency')}  ${differ.length === 0 ? 'nothing differs beyond noise' : counted(differ.length, 'change')}`,
    ...hostLines(latency.host, width),
    ...(differ.length === 0 ? [] : aligned([heading, ...differ.flatMap(shiftRows)])),
    ...names("the hosts' and guests' own", by('host')),
    ...names('below noise', by('noise')),
    ...names('too little data', by('unjudged')),
    ...(old.interrupts + next.interrupts === 0 ? [] : paragraph(deadlines, width, '    ', '  ')),
    ...(differ.length === 0
      ? []
      : paragraph(`* differs; test: ${latency.test}, level ${100 * latency.level} %`, width, '  ').map(theme.dim)),
  ];
}
