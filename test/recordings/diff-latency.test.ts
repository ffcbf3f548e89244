import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DistributionShift, LatencyDiff } from '../../src/diff/latency/facts.js';
import { diff, fileInput } from '../../src/index.js';
import { folder, present } from './reports.js';

async function latencyOf(old: string, next: string): Promise<LatencyDiff> {
  const input = (name: string) => fileInput(join(folder, `${name}.dat`));
  for await (const fact of diff(input(old), input(next)))
    if (fact.type === 'diff' && fact.diff !== null) return fact.diff.latency;
  throw new Error('a recording could not be read');
}

function differing(shifts: readonly DistributionShift[]): string[] {
  return shifts.filter(({ judgement }) => judgement === 'differs').map(({ name }) => name);
}

describe.skipIf(!present)('latencies of one kernel, recorded twice', () => {
  // Their hosts differ by up to 28 times.
  it.each([
    ['5.10-nvhe-tickwfi', '5.10-nvhe-tickwfi-tc291'],
    ['6.1-nvhe-mixed', '6.1-nvhe-mixed-mono'],
    ['6.1-nvhe-tickwfi', '6.1-nvhe-tickwfi-v6'],
    ['6.1-nvhe-tickwfi', '6.1-nvhe-tickwfi-zstd'],
    ['broken/clean-tickwfi', '6.1-vhe-tickwfi'],
    ['rfc-nvhe-tickwfi', 'rfct-nvhe-tickwfi'],
  ])('%s and %s do not differ', async (old, next) => {
    const { latencies, places, family, host } = await latencyOf(old, next);
    expect([differing(latencies), differing(places)]).toEqual([[], []]);
    expect(family).toBeGreaterThan(20);
    expect(host.every(({ factor }) => factor !== null && factor >= 1)).toBe(true);
  });
});

describe.skipIf(!present)('the wakeup', () => {
  // Up to 4.14 a work item wakes the vcpu, later the callback itself.
  it.each([
    ['4.9-nvhe-kp-tickwfi', '6.1-nvhe-kp-tickwfi'],
    ['4.14-nvhe-kp-tickwfi', '7.2-vhe-kp-tickwfi'],
    ['4.9-nvhe-kp-overcommit', '6.1-nvhe-kp-overcommit'],
  ])('comes later after the expiry in %s than in %s', async (old, next) => {
    const { latencies } = await latencyOf(old, next);
    const shift = latencies.find(({ name }) => name === 'expiryToWakeup')!;
    expect(shift.judgement).toBe('differs');
    expect(shift.quantiles[0]!.factor![1]).toBeLessThan(0.5);
  });
});

describe.skipIf(!present)('deadlines of interrupts', () => {
  it('are known for some of them, to 50 us', async () => {
    const { deadlines, latencies } = await latencyOf('5.10-nvhe-mixed', '7.2-vhe-mixed');
    for (const { known, interrupts, error } of [deadlines.old, deadlines.new]) {
      expect(known).toBeGreaterThan(20);
      expect(known).toBeLessThan(interrupts);
      expect(error).toBeLessThanOrEqual(50_000);
    }
    expect(latencies.find(({ name }) => name === 'deadlineToInterrupt')!.old!.count).toBe(deadlines.old.known);
  });

  it('are known for none where nothing shows the counter', async () => {
    const { deadlines } = await latencyOf('4.9-nvhe-mixed', '4.14-nvhe-mixed');
    expect([deadlines.old.known, deadlines.new.known]).toEqual([0, 0]);
  });

  it('are measured from once, however often the RFC takes the interrupt', async () => {
    const { deadlines } = await latencyOf('4.15-nvhe-mixed', 'rfc-nvhe-mixed');
    expect(deadlines.old.known).toBeGreaterThan(500);
    expect(deadlines.new.known).toBeGreaterThan(500);
    expect(deadlines.new.interrupts).toBeGreaterThan(30 * deadlines.new.known);
  });
});
