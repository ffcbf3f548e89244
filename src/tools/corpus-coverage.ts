/** How often the shipped corpus decides each rule, and what keeps it from deciding. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { check, fileInput, rules, type TraceSummary } from '../index.js';

/** What the corpus says of one rule. */
export interface CorpusCoverage {
  readonly id: string;
  /** Traces in which it was decided at least once. */
  traces: number;
  held: number;
  violated: number;
  undecided: number;
  /** Undecided evaluations by reason. */
  readonly reasons: Map<string, number>;
}

interface Row {
  readonly path: string;
  readonly options?: { readonly model?: string; readonly host?: 'vhe' | 'nvhe' };
}

/** Checks every trace of the manifest. @param folder the corpus */
export async function corpusCoverage(folder: string): Promise<{ traces: number; rules: readonly CorpusCoverage[] }> {
  const { traces } = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as { traces: Row[] };
  const byRule = new Map<string, CorpusCoverage>(
    rules.map(({ id }) => [id, { id, traces: 0, held: 0, violated: 0, undecided: 0, reasons: new Map() }]),
  );
  for (const { path, options = {} } of traces) {
    for await (const fact of check([fileInput(join(folder, path))], options)) {
      if (fact.type === 'trace-failed') throw new Error(fact.failure.error);
      if (fact.type === 'trace-end') add(byRule, fact.summary);
    }
  }
  return { traces: traces.length, rules: [...byRule.values()] };
}

function add(byRule: ReadonlyMap<string, CorpusCoverage>, summary: TraceSummary): void {
  for (const [id, rule] of Object.entries(summary.rules)) {
    const sum = byRule.get(id);
    if (sum === undefined) continue;
    if (rule.held + rule.violated > 0) sum.traces++;
    sum.held += rule.held;
    sum.violated += rule.violated;
    sum.undecided += rule.undecided;
    for (const [reason, count] of Object.entries(rule.reasons))
      sum.reasons.set(reason, (sum.reasons.get(reason) ?? 0) + count);
  }
}
