import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type Category, type CostKind, categories, costKinds } from '../../../src/cost/kinds.js';
import type { CostTable } from '../../../src/cost/table.js';
import type { ModelsDiff } from '../../../src/diff/models/facts.js';
import { diffModels, type Input } from '../../../src/index.js';

// A short window of a real recording, 4.9 on a non-VHE host: two VMs are created, two vcpus run, and the timer of one of them
// expires once, right before the last entry but one. What the two designs do in it is written out here by hand from
// specification §2f and §2b, and from counts that are taken from the text without the tool.

const lines = gunzipSync(readFileSync('traces/recordings/4.9-nvhe/kp-overcommit.txt.gz'))
  .toString()
  .split('\n')
  .slice(0, 892);
const window: Input = {
  path: 'window',
  async *open() {
    yield Buffer.from(`${lines.join('\n')}\n`);
  },
};

/** Records whose line matches. */
const records = (pattern: RegExp) => lines.filter((line) => pattern.test(line)).length;

const entries = 49;
const exits = 48;
const loads = 26;
const puts = 24;
/** Loads of vcpu threads, after the first of each: only then the timer is enabled (W5). The others are VMM ioctls. */
const enabledLoads = 4;
const enabledPuts = 4;
/** Entries whose flush writes the active state: the cache says that it must, or the level is high. */
const activeWrites = 8;
/** Exits with the level high: one, the guest takes its interrupt in that stay. */
const highExits = 1;

it('holds what is counted here', () => {
  expect(records(/ kvm_entry: /)).toBe(entries);
  expect(records(/ kvm_exit: /)).toBe(exits);
  expect(records(/ vcpu_load: /)).toBe(loads);
  expect(records(/ vcpu_put: /)).toBe(puts);
  // Each of the two threads that run vcpus is loaded once before its first entry.
  expect(records(/ kvm-vcpu-\d-\d+ .* vcpu_load: /) - 2).toBe(enabledLoads);
  expect(records(/ kvm-vcpu-\d-\d+ .* vcpu_put: /)).toBe(enabledPuts);
  // acl is active_cleared_last when the flush begins: 0 makes it write.
  expect(records(/ timer_flush: .* acl=0 /)).toBe(activeWrites);
  expect(records(/ kvm_timer_update_irq: .* level 1/)).toBe(1);
  expect(records(/ kvm_timer_update_irq: .* level 0/)).toBe(highExits);
  expect(records(/ timer_schedule: /)).toBe(0);
});

type Counts = Partial<Record<Category, Partial<Record<CostKind, number>>>>;

/** All but reads of the counter, which depend on which of the deadlines are armed. */
function counted(costs: CostTable): Counts {
  return Object.fromEntries(
    categories.flatMap((category) => {
      const kinds = costKinds.filter((kind) => kind !== 'cntpct_read' && costs.operations(category, kind) > 0);
      if (kinds.length === 0) return [];
      return [[category, Object.fromEntries(kinds.map((kind) => [kind, costs.operations(category, kind)]))]];
    }),
  );
}

async function replayed(): Promise<ModelsDiff> {
  const facts = diffModels([window], ['world-switch', 'rfc-load-put'], { recorded: 'world-switch', host: 'nvhe' });
  for await (const fact of facts) if (fact.type === 'trace-end') return fact.diff;
  throw new Error('no end');
}

describe('the operations of a window, as §2f counts them', async () => {
  const diff = await replayed();

  it('in the world switch: everything at every entry and exit', () => {
    expect(counted(diff.first.costs)).toEqual({
      entry: {
        ctl_write: entries,
        cval_write: entries,
        cntvoff_write: entries,
        cnthctl_update: entries,
        isb: entries,
        active_write: activeWrites,
      },
      exit: {
        ctl_read: exits,
        cval_read: exits,
        ctl_write: exits,
        cntvoff_write: exits,
        cnthctl_update: exits,
        // The level goes up after one exit and down after the next.
        report: 2,
        injection: 2,
      },
    });
  });

  it('in the RFC: at loads and puts, of ioctls as well (W10)', () => {
    expect(counted(diff.second.costs)).toEqual({
      entry: { cnthctl_update: entries },
      // With the level high sync reads both registers; it lowers the level.
      exit: { cnthctl_update: exits, ctl_read: highExits, cval_read: highExits, report: 1, injection: 1 },
      load: {
        affinity: loads,
        active_write: loads,
        cntvoff_write: loads,
        hypercall: loads,
        // Only an enabled timer is restored.
        cval_write: enabledLoads,
        isb: enabledLoads,
        ctl_write: enabledLoads,
      },
      put: {
        // Only an enabled one is read; CTL is cleared either way.
        ctl_read: enabledPuts,
        cval_read: enabledPuts,
        ctl_write: puts,
        cntvoff_write: puts,
        hypercall: puts,
        affinity: puts,
      },
      interrupt: { ctl_read: 1, report: 1, injection: 1 },
    });
  });

  it('so the claims come out with these figures', () => {
    const trips = entries + exits;
    expect(diff.claims.map(({ id, status, first, second }) => [id, status, first, second])).toEqual([
      ['no-cntvoff-per-trip', 'holds', { count: trips, of: trips }, { count: 0, of: trips }],
      ['no-traps-per-trip-vhe', 'not-claimed', { count: trips, of: trips }, { count: trips, of: trips }],
      ['timer-left-running', 'holds', { count: exits, of: exits }, { count: 0, of: exits }],
      ['injected-from-handler', 'holds', { count: 0, of: 1 }, { count: 1, of: 1 }],
      ['no-active-write-at-entry', 'holds', { count: activeWrites, of: entries }, { count: 0, of: entries }],
    ]);
  });

  it('takes one interrupt, in the RFC, where the world switch reports a level', () => {
    expect(diff.signals.interrupts).toEqual({ both: 0, onlyFirst: 0, onlySecond: 1 });
    expect(diff.signals.raised).toEqual({ both: 1, onlyFirst: 0, onlySecond: 0 });
    expect(diff.signals.taken).toEqual({ both: 1, onlyFirst: 0, onlySecond: 0 });
  });
});
