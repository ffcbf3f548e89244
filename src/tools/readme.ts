/** The parts of README.md that are made from the code: each between `<!-- NAME:begin -->` and `<!-- NAME:end -->`. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type KnownBug, traceName } from '../bugs/bug.js';
import { knownBugs } from '../bugs/index.js';
import { kindMeanings, kindNames } from '../events/kinds.js';
import { ownColumns } from '../events/native-columns.js';
import { models } from '../models/index.js';
import { modelIds } from '../models/model.js';
import { rules } from '../rules/index.js';
import { claimTable } from './claims.js';
import { type CorpusCoverage, corpusCoverage } from './corpus-coverage.js';

const corpus = fileURLToPath(new URL('../../traces/', import.meta.url));

/** A table with its columns in line, as the formatter leaves it. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows].map((cells) => cells.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = head.map((_, column) => Math.max(3, ...lines.map((cells) => cells[column]!.length)));
  const print = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  const rule = print(widths.map((width) => '-'.repeat(width)));
  return [print(lines[0]!), rule, ...lines.slice(1).map(print)].join('\n');
}

/** By what a trace shows a bug, or why none does. */
function signWords({ signs, invisible }: KnownBug): string {
  if (invisible !== undefined) return `in no trace: ${invisible}`;
  if (signs.length === 0) return 'no rule asks for it yet';
  return signs.map(({ rule, diagnoses }) => `[\`${rule}\`](src/rules/${rule}.ts): ${diagnoses.join(', ')}`).join('; ');
}

function bugRow(bug: KnownBug): string[] {
  const name = traceName(bug);
  const trace = bug.signs.length > 0 ? `[trace](traces/bugs/${name}.csv)` : '';
  const [commit] = bug.commits;
  const fixed = bug.id.startsWith('bug-') && commit !== undefined ? `\`${commit}\`` : '';
  return [bug.id, fixed, bug.title, bug.kernels, signWords(bug), trace];
}

/** Most reasons that the table of the corpus names for a rule. */
const shownReasons = 3;

function coverageRow({ id, traces, held, violated, undecided, reasons }: CorpusCoverage): string[] {
  const frequent = [...reasons].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  const words = frequent.slice(0, shownReasons).map(([reason, count]) => `${reason} (${count})`);
  if (frequent.length > shownReasons) words.push(`${frequent.length - shownReasons} more reasons`);
  return [`\`${id}\``, ...[traces, held, violated, undecided].map(String), words.join('; ')];
}

/** The corpus is checked once a run: it takes seconds. */
let covered: ReturnType<typeof corpusCoverage> | undefined;

async function coveragePart(): Promise<string> {
  covered ??= corpusCoverage(corpus);
  const { traces, rules: all } = await covered;
  const exercised = all.filter((rule) => rule.traces > 0).length;
  return [
    `${all.length} rules, ${exercised} of them decided somewhere in the ${traces} traces of the corpus.`,
    '',
    table(['rule', 'traces', 'held', 'violated', 'undecided', 'why undecided'], all.map(coverageRow)),
  ].join('\n');
}

/** The recordings are replayed once a run. */
let claims: ReturnType<typeof claimTable> | undefined;

async function claimsPart(): Promise<string> {
  claims ??= claimTable(`${corpus}recordings`);
  const { head, rows } = await claims;
  return table(head, rows);
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

const parts: Readonly<Record<string, () => string | Promise<string>>> = {
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
  claims: claimsPart,
  models: () =>
    table(
      ['model', 'kernels', 'what distinguishes it'],
      modelIds.map((id) => [`[\`${id}\`](src/models/${id}.ts)`, models[id].kernels, models[id].summary]),
    ),
  bugs: () => table(['bug', 'commit', 'what it was', 'kernels', 'by what a trace shows it', ''], knownBugs.map(bugRow)),
  coverage: coveragePart,
};

/**
 * A text with its generated parts renewed.
 *
 * @throws Error when the markers of a part are missing
 */
export async function withGeneratedParts(text: string): Promise<string> {
  let current = text;
  for (const [name, part] of Object.entries(parts)) {
    const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
    const from = current.indexOf(begin);
    const to = current.indexOf(end);
    if (from < 0 || to < from) throw new Error(`README.md: expected ${begin} and, after it, ${end}`);
    current = `${current.slice(0, from + begin.length)}\n\n${await part()}\n\n${current.slice(to)}`;
  }
  return current;
}
