/** The benchmark's result as a table. */
import { cpus, release, totalmem } from 'node:os';
import type { Sample } from './measure.js';

export interface Row {
  readonly work: string;
  /** What it is measured against, and what that took. */
  readonly peer: string;
  readonly ours: string;
  /** The figure that is judged; undefined where something failed. */
  readonly figure: number | undefined;
  readonly unit: '×' | 'MiB' | '';
  readonly atLeast: number;
  readonly aim: number;
  /** Whether a larger figure is the better one. */
  readonly larger: boolean;
}

/** Whether a row reaches its bound, rounded as it is shown. */
export function reaches({ figure, larger }: Row, bound: number): boolean {
  if (figure === undefined) return false;
  const shown = Number(rounded(figure));
  return larger ? shown >= bound : shown <= bound;
}

const rounded = (figure: number) => (Math.abs(figure) < 20 ? figure.toFixed(2) : figure.toFixed(1));

/** `1.23 s (1.20–1.31)` */
export function seconds({ median, min, max }: Sample): string {
  const digits = median < 0.1 ? 1 : 0;
  const [unit, factor] = median < 1 ? ['ms', 1000] : ['s', 1];
  const print = (value: number) => (value * factor).toFixed(unit === 's' ? 2 : digits);
  return `${print(median)} ${unit} (${print(min)}–${print(max)})`;
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

const head = ['work', 'peer', 'timervet', 'figure', 'at least', 'aim', 'reached'];

function cells(row: Row): string[] {
  const bound = (value: number) => `${row.larger ? '≥' : '≤'} ${value}${row.unit && ` ${row.unit}`}`;
  const reached =
    row.figure === undefined ? 'no' : reaches(row, row.aim) ? 'aim' : reaches(row, row.atLeast) ? 'yes' : 'no';
  const figure = row.figure === undefined ? '–' : `${rounded(row.figure)}${row.unit && ` ${row.unit}`}`;
  return [row.work, row.peer, row.ours, figure, bound(row.atLeast), bound(row.aim), reached];
}

/** With the columns in line, as the formatter of Markdown leaves it. */
export function table(rows: readonly Row[]): string {
  const lines = [head, ...rows.map(cells)];
  const widths = head.map((_, column) => Math.max(3, ...lines.map((line) => line[column]!.length)));
  const print = (line: readonly string[]) => `| ${line.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  return [print(lines[0]!), print(widths.map((width) => '-'.repeat(width))), ...lines.slice(1).map(print)].join('\n');
}

/** What the figures were measured on. */
export function machine(runs: number): string {
  const [cpu] = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  return (
    `${cpu?.model.trim() ?? 'unknown CPU'}, ${cpus().length} CPUs, ${memory}, Linux ${release()}, ` +
    `Node.js ${process.version}; medians of ${runs} runs (minimum–maximum), processor time, user + system.`
  );
}
