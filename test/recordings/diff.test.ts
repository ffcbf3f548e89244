import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BehaviourDiff } from '../../src/diff/behaviour/facts.js';
import type { Diff } from '../../src/diff/facts.js';
import { diff, fileInput } from '../../src/index.js';
import { folder, present } from './reports.js';

async function diffOf(old: string, next: string): Promise<Diff> {
  const input = (name: string) => fileInput(join(folder, `${name}.dat`));
  for await (const fact of diff(input(old), input(next)))
    if (fact.type === 'diff' && fact.diff !== null) return fact.diff;
  throw new Error('a recording could not be read');
}

/** A share or rate that changed for all vcpus together. */
function placed({ placements }: BehaviourDiff, step: string, anchor: string) {
  return placements.find((change) => change.role === null && change.step === step && change.anchor === anchor)?.share;
}
function rate({ rates }: BehaviourDiff, what: string, per: string) {
  return rates.find((change) => change.role === null && change.what === what && change.per === per)?.rate;
}

describe.skipIf(!present)('two recordings with nothing between them', () => {
  it.each([
    '4.9-nvhe-kp-mixed',
    '4.15-vhe-busy',
    '5.0-nvhe-tickwfi',
    '6.1-nvhe-overcommit',
    '7.2-vhe-mixed',
    'rfc-nvhe-tickwfi',
  ])('%s is the same as itself', async (name) => {
    const { verdict, because } = await diffOf(name, name);
    expect({ verdict, because }).toEqual({ verdict: 'same', because: [] });
  });

  it('is inconclusive where records were lost, even if their own verdict is another one', async () => {
    const { old, verdict, because } = await diffOf('6.1-nvhe-lost', '6.1-nvhe-lost');
    expect([old.verdict, verdict]).toEqual(['violations', 'inconclusive']);
    expect(because[0]).toMatch(/records were lost inside the trace/);
  });

  it.each([
    ['5.10-nvhe-tickwfi', '5.10-nvhe-tickwfi-tc291'],
    ['5.10-nvhe-tickwfi', '6.1-nvhe-tickwfi'],
    ['6.1-nvhe-tickwfi', '6.1-nvhe-kp-tickwfi'],
    ['6.1-nvhe-overcommit', '6.1-nvhe-kp-overcommit'],
    ['rfc-nvhe-tickwfi', 'rfct-nvhe-tickwfi'],
  ])('%s and %s, with the same timer code and guest, do the same', async (old, next) => {
    const { behaviour, findings } = await diffOf(old, next);
    const { rates, placements, paths, sequences } = behaviour;
    expect([rates, placements, paths, sequences, findings.new, findings.gone].map(({ length }) => length)).toEqual([
      0, 0, 0, 0, 0, 0,
    ]);
  });
});

// The last paragraph of §2f of the specification: what must show for the same guest.
describe.skipIf(!present).each([
  ['4.9-nvhe-kp-tickwfi', '6.1-nvhe-kp-tickwfi'],
  ['4.14-nvhe-kp-tickwfi', '7.2-vhe-kp-tickwfi'],
  ['4.14-nvhe-kp-mixed', '6.1-nvhe-kp-mixed'],
  ['4.9-nvhe-kp-mixed', '7.2-vhe-kp-mixed'],
  ['4.9-nvhe-kp-overcommit', '6.1-nvhe-kp-overcommit'],
])('from world switch to load and put: %s against %s', (old, next) => {
  let compared: Promise<Diff> | undefined;
  const result = () => {
    compared ??= diffOf(old, next);
    return compared;
  };

  it("has interrupts of the guest's timer where there were none", async () => {
    const { behaviour } = await result();
    const interrupts = rate(behaviour, 'vtimer_irq', 'tick');
    const lack = behaviour.notCompared.find(({ kind }) => kind === 'vtimer_irq');
    // A guest that sleeps between its ticks is out when its timer fires.
    if (old.includes('tickwfi')) expect(interrupts).toBeUndefined();
    else if (lack !== undefined) expect([lack.old, lack.new > 100]).toEqual([0, true]);
    else expect([interrupts!.old, interrupts!.new > 0.1]).toEqual([0, true]);
  });

  it('raises the level at the load or in the handler, before the exit is told, not after it', async () => {
    const { behaviour } = await result();
    const before = ['load', 'entry'].map((anchor) => placed(behaviour, 'update_irq 1', anchor));
    const gained = before.reduce((sum, share) => sum + (share === undefined ? 0 : share.new - share.old), 0);
    expect(gained).toBeGreaterThan(0.5);
  });

  it('no longer lowers the level after an exit', async () => {
    const { behaviour } = await result();
    const lowered = rate(behaviour, 'update_irq 0', 'tick')!;
    expect(lowered.old).toBeGreaterThan(0.99);
    expect(lowered.new).toBeLessThan(0.5);
    const afterExit = placed(behaviour, 'update_irq 0', 'exit');
    if (lowered.new > 0.1) expect(afterExit).toMatchObject({ old: 1, new: 0 });
  });

  it('arms the background timer at the put instead of before the sleep', async () => {
    const { behaviour } = await result();
    const armed = ['schedule', 'put'].map((anchor) => placed(behaviour, 'bg_arm', anchor));
    // kp-mixed was recorded without the events of hrtimers.
    if (old.includes('mixed')) return expect(armed).toEqual([undefined, undefined]);
    expect(armed).toMatchObject([
      { old: 1, new: 0 },
      { old: 0, new: 1 },
    ]);
  });

  it('needs no more entries and exits for a tick', async () => {
    const { behaviour } = await result();
    for (const what of ['entry', 'exit']) {
      const trips = rate(behaviour, what, 'tick');
      if (trips !== undefined) expect(trips.new).toBeLessThan(trips.old);
    }
  });
});
