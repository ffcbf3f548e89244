import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ModelId } from '../../src/models/model.js';
import { explanations } from './explanations.js';
import type { Score } from './score.js';

/** What became of a model's mutants: the file `fates.json`, by model. */
export interface Fates {
  readonly mutants: number;
  /** Named by a rule, by rule and diagnosis. */
  readonly rules: Readonly<Record<string, number>>;
  /** The kernel itself would have stopped: BUG_ON, a NULL pointer, endless recursion. */
  readonly kernel: number;
  /** No rule names them, and why: what a trace cannot show, or what does no harm. */
  readonly explained: Readonly<Record<string, readonly string[]>>;
  /** No rule names them, and it is not said why. */
  readonly open: readonly string[];
}

const file = join(import.meta.dirname, 'fates.json');

export const readFates = (): Partial<Record<ModelId, Fates>> => JSON.parse(readFileSync(file, 'utf8'));

export function writeFates(fates: Partial<Record<ModelId, Fates>>): void {
  writeFileSync(file, `${JSON.stringify(fates, null, 2)}\n`);
}

/** Sorts a model's scores into the table. */
export function fatesOf(scores: readonly Score[]): Fates {
  const rules: Record<string, number> = {};
  const explained: Record<string, string[]> = {};
  const open: string[] = [];
  let kernel = 0;
  for (const score of scores) {
    const { fate, detail, mutant } = score;
    if (fate === 'rule') rules[detail] = (rules[detail] ?? 0) + 1;
    else if (fate === 'kernel') kernel++;
    else {
      const why = explanations.find((each) => each.fits(score));
      if (why === undefined)
        open.push(
          `${mutant.name}${fate === 'unnoticed' ? '' : ` (${fate === 'same' ? 'every trace is the same' : fate})`}`,
        );
      else {
        explained[why.reason] ??= [];
        explained[why.reason]!.push(mutant.name);
      }
    }
  }
  const sorted = Object.fromEntries(Object.entries(rules).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { mutants: scores.length, rules: sorted, kernel, explained, open };
}

/** Mutants that were noticed, and those that could be: all that are not explained. */
export function killRate({ mutants, rules, kernel, explained }: Fates): { noticed: number; decidable: number } {
  const noticed = Object.values(rules).reduce((sum, count) => sum + count, 0) + kernel;
  const excused = Object.values(explained).reduce((sum, names) => sum + names.length, 0);
  return { noticed, decidable: mutants - excused };
}
