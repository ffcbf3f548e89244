import { afterAll, describe, expect, it } from 'vitest';
import { designs } from '../../src/models/designs/index.js';
import { type ModelId, modelIds } from '../../src/models/model.js';
import { explanations } from './explanations.js';
import { type Fates, fatesOf, killRate, readFates, writeFates } from './report.js';
import { scores } from './score.js';

/** With TIMERVET_UPDATE set the table is written anew: after a change of rules, models, driver or explanations. */
const update = process.env.TIMERVET_UPDATE !== undefined;
const known = update ? {} : readFates();
const found: Partial<Record<ModelId, Fates>> = {};
const used = new Set<string>();

describe.each(modelIds)('the mutants of %s', (id) => {
  it('have the fates that the table gives them', () => {
    const fates = fatesOf(scores(designs[id]));
    found[id] = fates;
    for (const reason of Object.keys(fates.explained)) used.add(reason);
    expect(fates.mutants).toBeGreaterThan(100);
    if (!update) expect(fates).toEqual(known[id]);
  });
});

it('leave no explanation without a mutant', () => {
  expect(explanations.map(({ reason }) => reason).filter((reason) => !used.has(reason))).toEqual([]);
});

afterAll(() => {
  if (update) writeFates(found);
  for (const id of modelIds) {
    const fates = found[id];
    if (fates === undefined) continue;
    const { noticed, decidable } = killRate(fates);
    const share = ((100 * noticed) / decidable).toFixed(0);
    process.stdout.write(
      `${id}: ${fates.mutants} mutants, ${noticed} of ${decidable} decidable ones noticed (${share}%), ${fates.open.length} open\n`,
    );
  }
});
