import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CostCounter } from '../../src/cost/costs.js';
import type { Costs } from '../../src/cost/tally.js';
import { check, fileInput } from '../../src/index.js';
import { rules } from '../../src/rules/index.js';
import { folder, present, recordings } from '../recordings/reports.js';

/** Recordings of stock kernels and of the RFC's that have lost nothing. */
const files = [...recordings(/^(?!.*(?:lost|overwrite)).*\.dat$/), ...recordings(/^clean-.*\.dat$/, 'broken')];

/** A timer that is cancelled leaves a record only if it was armed. */
const attempts = ['bg_cancel', 'soft_cancel'];

/** Episodes that the design does not explain: what userspace writes leaves no record on 4.9, but its level may. */
const unexplained: Readonly<Record<string, number>> = { '4.9-nvhe-kp-cntvoff.dat': 1 };

async function costsOf(file: string): Promise<Costs> {
  const off = Object.fromEntries(rules.map(({ id }) => [id, 'off' as const]));
  let counter: CostCounter | undefined;
  const observe = () => {
    counter = new CostCounter();
    return counter;
  };
  for await (const fact of check([fileInput(join(folder, file))], { rules: off, observe })) {
    if (fact.type === 'trace-failed') throw new Error(fact.failure.error);
  }
  return counter!.costs()!;
}

/** Records by category and kind, those that the design has as well. */
function recordsOf({ records }: Costs): Record<string, number> {
  return Object.fromEntries(records.map(({ category, kind, recorded }) => [`${category} ${kind}`, recorded]));
}

describe.runIf(present)('what a design foresees', () => {
  it.each(files)('is what was recorded: %s', async (file) => {
    const costs = await costsOf(file);
    expect(costs.total).toBeGreaterThan(0);
    expect(costs.unfit).toBe(unexplained[file] ?? 0);
    for (const { category, kind, foreseen, recorded } of costs.records) {
      if (attempts.includes(kind)) expect([category, kind, recorded <= foreseen]).toEqual([category, kind, true]);
      else if (costs.unfit === 0) expect([category, kind, foreseen]).toEqual([category, kind, recorded]);
    }
  });

  it.each([
    ['rfc-nvhe-mixed.dat', 'load', ['set_affinity', 'set_active', 'set_cntvoff', 'restore']],
    ['rfc-nvhe-mixed.dat', 'put', ['save', 'set_cntvoff', 'set_affinity']],
    ['rfc-nvhe-mixed.dat', 'block', ['save', 'bg_arm']],
    ['rfc-vhe-tickwfi.dat', 'put', ['save', 'set_cntvoff', 'set_affinity']],
    ['4.15-nvhe-mixed.dat', 'load', ['set_active', 'restore']],
    ['4.15-nvhe-mixed.dat', 'exit', ['update_irq', 'set_active']],
    ['4.15-nvhe-mixed.dat', 'block', ['save', 'bg_arm']],
    ['4.19-nvhe-mixed.dat', 'load', ['set_active', 'restore']],
    ['4.19-nvhe-mixed.dat', 'put', ['save']],
    ['4.19-nvhe-mixed.dat', 'unblock', ['restore']],
    ['5.0-nvhe-mixed.dat', 'load', ['set_active', 'restore']],
    ['5.0-nvhe-mixed.dat', 'interrupt', ['update_irq']],
    ['5.10-nvhe-mixed.dat', 'put', ['save', 'bg_arm']],
    ['5.10-nvhe-mixed.dat', 'load', ['restore', 'emulate']],
    ['6.1-vhe-mixed.dat', 'put', ['save', 'bg_arm']],
    ['7.2-vhe-mixed.dat', 'load', ['restore']],
    ['broken/clean-mask-kp.dat', 'load', ['set_active', 'update_irq', 'restore']],
  ] as const)('counts the same operations as %s has records: %s %j', async (file, category, kinds) => {
    const { records } = await costsOf(file);
    for (const kind of kinds) {
      const row = records.find((each) => each.category === category && each.kind === kind);
      expect(row, kind).toBeDefined();
      expect(row!.recorded).toBeGreaterThan(0);
      expect(row!.foreseen).toBe(row!.recorded);
    }
  });

  it('tells one distributor write a load on 4.19, and the hooks one a call', async () => {
    const costs = await costsOf('4.19-nvhe-mixed.dat');
    const loads = costs.table.events('load');
    expect(loads).toBe(recordsOf(costs)['load restore']);
    expect(costs.table.operations('load', 'active_write')).toBe(recordsOf(costs)['load set_active']);
    expect(costs.table.perEvent('load', 'active_write')).toBe(1);
    expect(costs.table.perEvent('entry', 'active_write')).toBe(0);
  });
});
