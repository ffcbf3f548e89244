import { describe, expect, it } from 'vitest';
import { filtered, PathTable, PathTree } from '../../src/diff/behaviour/paths.js';
import { stepNamed, steps } from '../../src/diff/behaviour/step.js';
import type { Diff } from '../../src/diff/facts.js';
import { diff, fileInput } from '../../src/index.js';

/** Takes the path of the last trip out of a table that had no other. */
function pathOf(...trip: string[]): string[] {
  const table = new PathTable(new PathTree(), 8);
  for (const step of trip) table.add(stepNamed(step));
  table.end(true);
  return [...table.all()].flatMap((path) => [...path.steps].map((step) => steps[step]!.name));
}

describe('paths', () => {
  it.each([
    [['exit', 'put', 'load'], 'exit put load'],
    [['vtimer_irq', 'vtimer_irq', 'vtimer_irq', 'exit'], 'vtimer_irq exit'],
    [['exit', 'put', 'load', 'put', 'load', 'put', 'load'], 'exit put load'],
    [['exit', 'update_irq 1', 'update_irq 0', 'update_irq 1'], 'exit update_irq 1 update_irq 0 update_irq 1'],
  ])('tells %s as %s', (trip, path) => {
    expect(pathOf(...trip).join(' ')).toBe(path);
  });

  it('finds the loops that are left when steps are left out', () => {
    const path = Uint8Array.from(['put', 'save', 'load', 'put', 'load'].map(stepNamed));
    expect(filtered(path, (step) => steps[step]!.name !== 'save').map((step) => steps[step]!.name)).toEqual([
      'put',
      'load',
    ]);
  });

  it('keeps so many of them, and counts the trips of the others', () => {
    const table = new PathTable(new PathTree(), 2);
    for (const trip of [['exit'], ['exit', 'put'], ['exit', 'load'], ['exit']]) {
      for (const step of trip) table.add(stepNamed(step));
      table.end(true);
    }
    table.settle(3);
    expect([...table.all()].map(({ trips }) => trips[3])).toEqual([2, 1]);
    expect(table.others[3]).toBe(1);
  });

  it('does not count a trip that was not seen whole', () => {
    const table = new PathTable(new PathTree(), 2);
    table.add(stepNamed('exit'));
    table.end(false);
    table.add(stepNamed('put'));
    table.end(true);
    expect([...table.all()].map((path) => [...path.steps].map((step) => steps[step]!.name))).toEqual([['put']]);
  });
});

async function diffOf(old: string, next: string): Promise<Diff> {
  for await (const fact of diff(fileInput(`traces/recordings/${old}`), fileInput(`traces/recordings/${next}`)))
    if (fact.type === 'diff' && fact.diff !== null) return fact.diff;
  throw new Error('a recording could not be read');
}

describe('behaviour of two recordings', () => {
  it('is the same for kernels with the same model', async () => {
    const { behaviour, verdict } = await diffOf('5.10-nvhe/tickwfi.txt.gz', '5.10-nvhe/tickwfi.txt.gz');
    expect(verdict).toBe('same');
    expect(behaviour).toMatchObject({ rates: [], placements: [], paths: [], sequences: [] });
  });

  it('tells what moved between 4.9 and 5.10, and what cannot be compared', async () => {
    const { behaviour, because } = await diffOf('4.9-nvhe/kp-overcommit.txt.gz', '5.10-nvhe/kp-overcommit.txt.gz');
    const placed = (step: string, anchor: string) =>
      behaviour.placements.find((change) => change.role === null && change.step === step && change.anchor === anchor)
        ?.share;
    expect(placed('update_irq 0', 'exit')).toMatchObject({ old: 1, new: 0 });
    expect(placed('update_irq 0', 'load')).toMatchObject({ old: 0, new: 1 });
    expect(placed('update_irq 1', 'entry')!.old).toBe(0);
    expect(placed('update_irq 1', 'entry')!.new).toBeGreaterThan(0.2);
    const interrupts = behaviour.rates.find(({ what, per }) => what === 'vtimer_irq' && per === 'tick')!.rate;
    expect(interrupts.old).toBe(0);
    expect(interrupts.new).toBeGreaterThan(0.2);
    // The excerpt of 4.9 has no symbols: which hrtimer is the background timer is not known.
    const lacking = behaviour.notCompared.map(({ kind, side }) => [kind, side]);
    for (const kind of ['save', 'bg_arm', 'bg_cancel']) expect(lacking).toContainEqual([kind, 'old']);
    expect(because).toContain('update_irq 0: after exit 100 % -> 0 %, after load 0 % -> 100 %');
  });
});
