import { type Category, type CostKind, costKinds, costMeanings } from '../../cost/kinds.js';
import type { GroupCosts } from '../../stats/facts.js';
import type { TextStyle } from './finding.js';
import { labelled } from './layout.js';

/** Columns, and the occasions that each stands for. */
const columns: readonly (readonly [heading: string, categories: readonly Category[]])[] = [
  ['entry', ['entry']],
  ['exit', ['exit']],
  ['load', ['load']],
  ['put', ['put']],
  ['block', ['block']],
  ['unblock', ['unblock']],
  ['irq', ['interrupt']],
  ['expiry', ['expiry', 'soft_expiry']],
  ['other', ['user_write', 'trapped_access', 'enable', 'reset']],
];

/** A figure in six characters at most. */
function figure(value: number): string {
  if (value === 0) return '-';
  if (value >= 1e6) return `${(value / 1e6).toFixed(value >= 1e8 ? 0 : 1)}M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(value >= 1e6 ? 0 : 1)}k`;
  if (value >= 100) return value.toFixed(0);
  return value < 0.005 ? '<0.01' : value.toFixed(value >= 10 ? 1 : 2);
}

function count(value: number): string {
  return value >= 1e4 ? figure(value) : value === 0 ? '-' : String(value);
}

/**
 * Operations an event, by occasion, and of all together by second of the recording and by tick of the guest.
 *
 * @param seconds how long the recording is
 */
export function costLines(costs: GroupCosts, seconds: number, ticks: number, { theme, width }: TextStyle): string[] {
  const shown = columns
    .map(([heading, categories]) => {
      const rows = costs.categories.filter(({ category }) => categories.includes(category));
      return { heading, rows, events: rows.reduce((sum, { events }) => sum + events, 0) };
    })
    .filter(({ rows }) => rows.length > 0);
  if (shown.length === 0) return [];
  const inRows = (rows: GroupCosts['categories'], kind: CostKind) =>
    rows.reduce((sum, { operations }) => sum + (operations[kind] ?? 0), 0);
  const kinds = costKinds.filter((kind) => inRows(costs.categories, kind) > 0);
  const cells = [
    ['  costs', ...shown.map(({ heading }) => heading), '/s', '/tick'],
    ['    events', ...shown.map(({ events }) => count(events)), '', ''],
    ...kinds.map((kind) => {
      const total = inRows(costs.categories, kind);
      return [
        `    ${costMeanings[kind][0]}`,
        ...shown.map(({ rows, events }) => (events === 0 ? '-' : figure(inRows(rows, kind) / events))),
        seconds === 0 ? '-' : figure(total / seconds),
        ticks === 0 ? '-' : figure(total / ticks),
      ];
    }),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const wide = widths.reduce((sum, each) => sum + each) + 2 * (widths.length - 1) <= width;
  const lines = cells.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
      .join(wide ? '  ' : ' ')
      .trimEnd(),
  );
  return [theme.dim(lines[0]!), ...lines.slice(1), ...assumedLines(costs, width)];
}

/** What the figures rest on that nothing tells. */
function assumedLines({ assumed, unfit, runs }: GroupCosts, width: number): string[] {
  const parts = Object.entries(assumed).map(([guard, times]) => `${guard} in ${times}`);
  return [
    ...(parts.length === 0 ? [] : labelled('assumed', `${parts.join(', ')} of ${runs} runs`, width, 12)),
    ...(unfit === 0
      ? []
      : labelled('unfit', `${unfit} of ${runs} runs left other records than the model has`, width, 12)),
  ];
}
