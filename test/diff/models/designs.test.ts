import { describe, expect, it } from 'vitest';
import { categories, costKinds } from '../../../src/cost/kinds.js';
import type { ModelsDiff } from '../../../src/diff/models/facts.js';
import { diffModels, fileInput, type Input } from '../../../src/index.js';
import type { ModelId } from '../../../src/models/model.js';

async function diffOf(
  input: Input | string,
  first: ModelId,
  second: ModelId,
  host?: 'vhe' | 'nvhe',
): Promise<ModelsDiff> {
  const source = typeof input === 'string' ? fileInput(`traces/recordings/${input}`) : input;
  for await (const fact of diffModels([source], [first, second], host === undefined ? {} : { host })) {
    if (fact.type === 'trace-failed') throw new Error(fact.failure.error);
    if (fact.type === 'trace-end') return fact.diff;
  }
  throw new Error('no end');
}

const claimsOf = ({ claims }: ModelsDiff) => Object.fromEntries(claims.map(({ id, status }) => [id, status]));
const hazardsOf = ({ hazards }: ModelsDiff, side: 'first' | 'second' | 'both') =>
  hazards.filter((hazard) => hazard.in === side).map(({ finding }) => `${finding.rule}/${finding.diagnosis}`);

describe('a design against itself', () => {
  it.each([
    ['4.9-nvhe/kp-overcommit.txt.gz', 'world-switch', []],
    // Bug 15: up to 4.16 what userspace writes is lost; the recording shows it as well.
    ['4.15-nvhe/cntvoff.txt.gz', 'load-put-4.15', ['user-write-survives/lost', 'cntvoff-uniform-while-loaded/differs']],
    // Bug 22, as in the recording.
    ['4.19-vhe/busy.txt.gz', 'load-put-4.16', ['dist-active-at-load/known-pending-inactive']],
    ['5.10-nvhe/kp-overcommit.txt.gz', 'timer-map', []],
    ['6.1-vhe/overcommit.txt.gz', 'timer-map', []],
    ['7.2-vhe/kp-mixed.txt.gz', 'stateless-level', []],
    // Of another generation than the recording.
    ['6.1-vhe/overcommit.txt.gz', 'world-switch', []],
    ['4.9-nvhe/kp-overcommit.txt.gz', 'offset', []],
  ] as const)('%s: %s differs in nothing and has no hazard but %j', async (path, model, known) => {
    const diff = await diffOf(path, model, model);
    expect(hazardsOf(diff, 'both').sort()).toEqual([...known].sort());
    expect(diff.hazards.length).toBe(known.length);
    expect(diff.guestDivergence).toBeNull();
    expect(diff.hostDivergence).toBeNull();
    for (const { onlyFirst, onlySecond } of Object.values(diff.signals))
      expect([onlyFirst, onlySecond]).toEqual([0, 0]);
    for (const category of categories)
      for (const kind of costKinds)
        expect(diff.first.costs.operations(category, kind)).toBe(diff.second.costs.operations(category, kind));
    expect(diff.signals.taken.both).toBeGreaterThan(0);
  });
});

describe('the RFC on the guests of other kernels', () => {
  it.each([
    ['4.9-nvhe/kp-overcommit.txt.gz', 'W1 with vcpus of two VMs'],
    ['4.15-vhe/busy.txt.gz', 'W1 with two vcpus that spin'],
    ['6.1-vhe/overcommit.txt.gz', 'W1 on a schedule of 6.1'],
  ])('%s: has its interrupt storm: %s', async (path) => {
    const diff = await diffOf(path, 'world-switch', 'rfc-load-put');
    expect(hazardsOf(diff, 'first')).toEqual([]);
    expect(hazardsOf(diff, 'second')).toEqual(
      expect.arrayContaining([
        'affinity-forwarded-while-any-loaded/cleared',
        'irq-not-repeated-while-level-high/storm',
        'first-entry-restores-user-state/not-restored',
      ]),
    );
    // Cut off, and that is told.
    expect(diff.second.assumed['storm-cut']).toBeGreaterThan(0);
    expect(diff.first.assumed['storm-cut']).toBeUndefined();
    expect(diff.second.signals.idleInterrupts).toBeGreaterThan(0);
  });

  it('has none where one vcpu has the host to itself', async () => {
    const alone: Input = {
      path: 'alone',
      async *open() {
        yield Buffer.from(oneVcpu);
      },
    };
    const diff = await diffOf(alone, 'world-switch', 'rfc-load-put');
    expect(diff.second.signals.raised).toBe(1);
    expect(hazardsOf(diff, 'second')).not.toContain('irq-not-repeated-while-level-high/storm');
    expect(diff.second.assumed['storm-cut']).toBeUndefined();
  });

  it.each([
    ['4.9-nvhe/kp-overcommit.txt.gz', 'nvhe', 'not-claimed'],
    ['4.9-nvhe/kp-overcommit.txt.gz', 'vhe', 'held-before'],
    ['6.1-vhe/overcommit.txt.gz', undefined, 'held-before'],
  ] as const)('keeps what its message promises: %s on %s', async (path, host, traps) => {
    for (const second of ['rfc-load-put', 'load-put-4.15', 'load-put-4.16'] as const) {
      const diff = await diffOf(path, 'world-switch', second, host);
      expect(claimsOf(diff)).toEqual({
        'no-cntvoff-per-trip': 'holds',
        'no-traps-per-trip-vhe': traps,
        'timer-left-running': 'holds',
        'injected-from-handler': 'holds',
        'no-active-write-at-entry': 'holds',
      });
    }
  });

  it('the other way round the promises fail, and that is said', async () => {
    const diff = await diffOf('4.9-nvhe/kp-overcommit.txt.gz', 'rfc-load-put', 'world-switch');
    expect(claimsOf(diff)).toEqual({
      'no-cntvoff-per-trip': 'fails',
      'no-traps-per-trip-vhe': 'not-claimed',
      'timer-left-running': 'fails',
      'injected-from-handler': 'fails',
      'no-active-write-at-entry': 'fails',
    });
  });
});

it('shows where the designs part: what is lost in the RFC, the guest sees', async () => {
  const diff = await diffOf('4.9-nvhe/kp-overcommit.txt.gz', 'world-switch', 'rfc-load-put');
  // W5: the first entry of a vcpu runs with what the one before it has left in CVAL.
  expect(diff.guestDivergence).toMatchObject({ after: 'entry' });
  expect(diff.guestDivergence?.first.CNTV_CVAL).not.toBe(diff.guestDivergence?.second.CNTV_CVAL);
  // The first interrupt is one that the world switch never takes.
  expect(diff.hostDivergence?.what).toMatch(/interrupts that the host took.*: 0 against 1$/);
});

it('keeps a write of userspace in a design that does not lose it, where the recorded kernel did', async () => {
  const diff = await diffOf('4.15-nvhe/cntvoff.txt.gz', 'load-put-4.15', 'load-put-5.0');
  expect(hazardsOf(diff, 'first')).toContain('user-write-survives/lost');
  expect(hazardsOf(diff, 'second')).not.toContain('user-write-survives/lost');
  expect(diff.assumed['write-lost']).toBeGreaterThan(0);
});

it('refuses a model that does not exist', async () => {
  await expect(diffOf('4.9-nvhe/kp-overcommit.txt.gz', 'world-switch', 'no-such' as ModelId)).rejects.toThrow(
    "unknown model 'no-such'",
  );
});

/** A vcpu whose timer expires in the guest, as 4.9 records it. */
const oneVcpu = `# model: world-switch
# host: nvhe
time, pid, cpu, vm, vcpu, event, timer, level, code
1000000us, 100, 0, 0, 0, load, , ,
1000010us, 100, 0, 0, 0, flush, , ,
1000020us, 100, 0, 0, 0, entry, , ,
1000100us, 100, 0, 0, 0, exit, , , 2
1000110us, 100, 0, 0, 0, sync, , ,
1000120us, 100, 0, 0, 0, flush, , ,
1000130us, 100, 0, 0, 0, entry, , ,
1000500us, 100, 0, 0, 0, exit, , , 0
1000510us, 100, 0, 0, 0, sync, , ,
1000520us, 100, 0, 0, 0, update_irq, vtimer, 1,
1000530us, 100, 0, 0, 0, flush, , ,
1000540us, 100, 0, 0, 0, entry, , ,
1000600us, 100, 0, 0, 0, exit, , , 2
1000610us, 100, 0, 0, 0, sync, , ,
1000620us, 100, 0, 0, 0, update_irq, vtimer, 0,
1000630us, 100, 0, 0, 0, put, , ,
`;
