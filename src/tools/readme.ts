/** The parts of README.md that are made from the code: each between `<!-- NAME:begin -->` and `<!-- NAME:end -->`. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { kindMeanings, kindNames } from '../events/kinds.js';
import { ownColumns } from '../events/native-columns.js';
import { models } from '../models/index.js';
import { modelIds } from '../models/model.js';
import { rules } from '../rules/index.js';

/** A table with its columns in line, as the formatter leaves it. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows].map((cells) => cells.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = head.map((_, column) => Math.max(3, ...lines.map((cells) => cells[column]!.length)));
  const print = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  const rule = print(widths.map((width) => '-'.repeat(width)));
  return [print(lines[0]!), rule, ...lines.slice(1).map(print)].join('\n');
}

/** What became of each model's mutants, as the mutation test has written it. */
interface Fates {
  readonly mutants: number;
  readonly rules: Readonly<Record<string, number>>;
  readonly kernel: number;
  readonly explained: Readonly<Record<string, readonly string[]>>;
  readonly open: readonly string[];
}

const fatesFile = fileURLToPath(new URL('../../test/mutation/fates.json', import.meta.url));

function mutationTable(): string {
  const fates = JSON.parse(readFileSync(fatesFile, 'utf8')) as Record<string, Fates>;
  const rows = modelIds.map((id) => {
    const { mutants, rules: named, kernel, explained, open } = fates[id]!;
    const byRule = Object.values(named).reduce((sum, count) => sum + count, 0);
    const excused = Object.values(explained).reduce((sum, names) => sum + names.length, 0);
    const rate = `${((100 * (byRule + kernel)) / (mutants - excused)).toFixed(0)} %`;
    return [`\`${id}\``, ...[mutants, byRule, kernel, excused, open.length].map(String), rate];
  });
  const head = [
    'model',
    'mutants',
    'a rule names it',
    'the kernel stops',
    'cannot be seen, or does no harm',
    'open',
    'kill rate',
  ];
  return table(head, rows);
}

const parts: Readonly<Record<string, () => string>> = {
  events: () =>
    table(
      ['event', 'its own columns', 'what it is'],
      kindNames.map((kind, number) => [
        `\`${kind}\``,
        ownColumns(kind)
          .map((column) => `\`${column}\``)
          .join(' '),
        kindMeanings[number]!,
      ]),
    ),
  rules: () =>
    table(
      ['rule', 'what must hold', ...modelIds.map((id) => `\`${id}\``)],
      rules.map(({ id, statement, models: severities }) => [
        `[\`${id}\`](src/rules/${id}.ts)`,
        statement,
        ...modelIds.map((model) => severities[model] ?? '–'),
      ]),
    ),
  mutation: mutationTable,
  models: () =>
    table(
      ['model', 'kernels', 'what distinguishes it'],
      modelIds.map((id) => [`[\`${id}\`](src/models/${id}.ts)`, models[id].kernels, models[id].summary]),
    ),
};

/**
 * A text with its generated parts renewed.
 *
 * @throws Error when the markers of a part are missing
 */
export function withGeneratedParts(text: string): string {
  return Object.entries(parts).reduce((current, [name, part]) => {
    const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
    const from = current.indexOf(begin);
    const to = current.indexOf(end);
    if (from < 0 || to < from) throw new Error(`README.md: expected ${begin} and, after it, ${end}`);
    return `${current.slice(0, from + begin.length)}\n\n${part()}\n\n${current.slice(to)}`;
  }, text);
}
