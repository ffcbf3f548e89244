import { expect, it } from 'vitest';
import type { CostChange, CostDiff } from '../../src/diff/cost/facts.js';
import { diff, fileInput } from '../../src/index.js';

async function costOf(old: string, next: string): Promise<CostDiff> {
  for await (const fact of diff(fileInput(`traces/recordings/${old}`), fileInput(`traces/recordings/${next}`)))
    if (fact.type === 'diff' && fact.diff !== null) return fact.diff.cost;
  throw new Error('a recording could not be read');
}

const told = (changes: readonly CostChange[]) => changes.filter(({ differs }) => differs);

it('does not differ between a recording and itself', async () => {
  const { perEvent, totals } = await costOf('6.1-nvhe/overcommit.txt.gz', '6.1-nvhe/overcommit.txt.gz');
  expect(perEvent.length).toBeGreaterThan(20);
  expect(told([...perEvent, ...totals])).toEqual([]);
});

it('moves from entry and exit to load and put, as §2f tabulates', async () => {
  const { old, new: next, perEvent } = await costOf('4.9-nvhe/kp-overcommit.txt.gz', '5.10-nvhe/kp-overcommit.txt.gz');
  expect([old.model, next.model]).toEqual(['world-switch', 'timer-map']);
  const costs = Object.fromEntries(told(perEvent).map(({ kind, per, cost }) => [`${per} ${kind}`, cost]));
  for (const moved of ['cntvoff_write', 'cval_write', 'ctl_write', 'isb']) {
    expect(costs[`entry ${moved}`] ?? costs[`exit ${moved}`], moved).toMatchObject({ old: 1, new: 0 });
    expect(costs[`load ${moved}`], moved).toMatchObject({ old: 0, new: 1 });
  }
  const active = perEvent.find(({ kind, per }) => kind === 'active_write' && per === 'entry')!.cost;
  expect([active.old > 0.5, active.new]).toEqual([true, 0]);
  expect(costs['load active_write']).toMatchObject({ old: 0, new: 1 });
  // A non-VHE host switches its traps at every entry and exit with either.
  expect(costs['entry cnthctl_update']).toBeUndefined();
});
