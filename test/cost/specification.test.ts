import { describe, expect, it } from 'vitest';
import { costKinds } from '../../src/cost/kinds.js';
import type { Episode, Known3, Surroundings } from '../../src/cost/situation.js';
import { Walk } from '../../src/cost/walk.js';
import type { Host } from '../../src/machine/machine.js';
import { designs } from '../../src/models/designs/index.js';
import type { ModelId } from '../../src/models/model.js';

const unknown: Known3 = {
  enabled: 1,
  level: 2,
  loaded: 2,
  canFire: 1,
  ptimerCanFire: 0,
  bgArmed: 2,
  blocked: 0,
  extra: 2,
  timer: 2,
  nested: 0,
};

/**
 * The operations of one event of a vcpu that has run before, with the vgic in the kernel, whose virtual timer can fire and
 * whose physical one cannot: those of all ways through the functions, as `0-1` where they differ.
 */
function row(id: ModelId, host: Host, episodes: readonly Episode[], known: Partial<Known3>): Record<string, string> {
  const surroundings: Surroundings = {
    design: designs[id],
    host,
    hasPtimer: id !== 'world-switch' && id !== 'rfc-load-put',
    activeState: true,
    inKernelIrqchip: true,
    gicv5: false,
    nests: false,
    cntpoff: false,
  };
  const least: Record<string, number> = {};
  const most: Record<string, number> = {};
  for (const episode of episodes) {
    const paths = new Walk(surroundings, { ...unknown, ...known }, new Map()).paths(episode);
    const counts = paths.map(({ effects, reads }) => {
      const costs = [...effects.map(({ cost }) => cost), ...reads];
      const ofKind = (kind: string) => costs.filter((cost) => cost === kind).length;
      const calls = effects.filter(({ viaHyp }) => viaHyp).length;
      return Object.fromEntries(costKinds.map((kind) => [kind, kind === 'hypercall' ? calls : ofKind(kind)]));
    });
    for (const kind of costKinds) {
      least[kind] = (least[kind] ?? 0) + Math.min(...counts.map((each) => each[kind]!));
      most[kind] = (most[kind] ?? 0) + Math.max(...counts.map((each) => each[kind]!));
    }
  }
  return Object.fromEntries(
    costKinds
      .filter((kind) => most[kind]! > 0)
      .map((kind) => [kind, least[kind] === most[kind] ? `${most[kind]}` : `${least[kind]}-${most[kind]}`]),
  );
}

const trip = { nvhe: { cnthctl_update: '1' }, vhe: {} } as const;
/** Reports and injections, which the table leaves out of most of its cells. */
const report = { report: '0-1', injection: '0-1' };
const restore = { cval_write: '1', isb: '1', ctl_write: '1' };
const save = { ctl_read: '1', cval_read: '1', ctl_write: '1', isb: '1' };
const [entry, exit] = [
  ['flush', 'enter'],
  ['leave', 'sync'],
] as const;

/** Specification §2f, by hand, row by row and column by column. Where it and the designs differ, a note says so. */
const table: readonly (readonly [
  ModelId,
  Host,
  string,
  readonly Episode[],
  Partial<Known3>,
  Readonly<Record<string, string>>,
])[] = [
  // a. dist 0-1; CNTHCTL; CNTVOFF, CVAL, isb, CTL; CNTPCT if it can fire
  ...(['nvhe', 'vhe'] as const).flatMap((host) => [
    [
      'world-switch',
      host,
      'entry',
      entry,
      {},
      { cntpct_read: '1', cntvoff_write: '1', ...trip[host], ...restore, active_write: '0-1', ...report },
    ] as const,
    // CTL, CVAL read; CTL := 0; CNTHCTL; CNTVOFF; CNTPCT if it can fire; U on change
    [
      'world-switch',
      host,
      'exit',
      exit,
      {},
      { ctl_read: '1', cval_read: '1', cntpct_read: '1', ctl_write: '1', cntvoff_write: '1', ...trip[host], ...report },
    ] as const,
    ['world-switch', host, 'load', ['load'], {}, {}] as const,
    ['world-switch', host, 'put', ['put'], {}, {}] as const,
    // The table has one CNTPCT read: should_fire reads it, and the computation of the deadline once more.
    ['world-switch', host, 'block', ['schedule'], {}, { cntpct_read: '1-2', hrtimer_start: '0-1' }] as const,
    ['world-switch', host, 'unblock', ['unschedule'], {}, { hrtimer_cancel: '0-1', work: '1' }] as const,
    // b.
    ['rfc-load-put', host, 'entry', ['enter'], { level: 0 }, trip[host]] as const,
    ['rfc-load-put', host, 'exit', ['leave'], { level: 0, loaded: 1 }, trip[host]] as const,
    // The table reads CTL and CVAL twice where the level is high: the design has its two reads, of sync itself and of
    // should_fire, as one.
    [
      'rfc-load-put',
      host,
      'exit with the level high',
      ['leave'],
      { level: 1, loaded: 1 },
      { ctl_read: '1', cval_read: '1', cntpct_read: '1', ...trip[host], ...report },
    ] as const,
    // A hypercall only where the hypervisor is another exception level.
    [
      'rfc-load-put',
      host,
      'load',
      ['load'],
      { loaded: 0 },
      {
        ...restore,
        cntvoff_write: '1',
        ...(host === 'nvhe' && { hypercall: '1' }),
        active_write: '1',
        affinity: '1',
      },
    ] as const,
    [
      'rfc-load-put',
      host,
      'put',
      ['put'],
      { loaded: 1 },
      {
        ctl_read: '1',
        cval_read: '1',
        ctl_write: '1',
        cntvoff_write: '1',
        ...(host === 'nvhe' && { hypercall: '1' }),
        affinity: '1',
      },
    ] as const,
    [
      'rfc-load-put',
      host,
      'unblock, loaded again',
      ['unschedule'],
      { loaded: 1 },
      { hrtimer_cancel: '0-1', work: '1' },
    ] as const,
    // c2, and 5.0 without its work item.
    ...(['load-put-4.16', 'load-put-5.0'] as const).flatMap((id) => [
      [id, host, 'entry', ['enter'], {}, trip[host]] as const,
      // The fold reads CTL and writes the active state only where the list register is still pending.
      [id, host, 'exit', ['leave'], { loaded: 1 }, { ctl_read: '0-1', ...trip[host], active_write: '0-1' }] as const,
      [
        id,
        host,
        'load',
        ['load'],
        { loaded: 0 },
        {
          ...restore,
          cntvoff_write: '1',
          ...(host === 'nvhe' && { hypercall: '1' }),
          active_write: '1',
          hrtimer_cancel: '1',
          ...report,
        },
      ] as const,
      [
        id,
        host,
        'put',
        ['put'],
        { loaded: 1 },
        { ...save, ...(host === 'nvhe' && { cntvoff_write: '1', hypercall: '1' }), hrtimer_cancel: '1' },
      ] as const,
      [id, host, 'block', ['schedule'], { loaded: 1 }, { ...save, cntpct_read: '1-2', hrtimer_start: '0-1' }] as const,
      [
        id,
        host,
        'unblock, loaded again',
        ['unschedule'],
        { loaded: 1 },
        { hrtimer_cancel: '1', ...(id === 'load-put-4.16' && { work: '1' }) },
      ] as const,
      [id, host, 'interrupt', ['irq'], { extra: 1, timer: 1 }, { ctl_read: '1', ...report }] as const,
    ]),
  ]),
  // d on VHE: two direct timers.
  ['timer-map', 'vhe', 'entry', ['enter'], {}, {}],
  ['timer-map', 'vhe', 'exit', ['leave'], { loaded: 1 }, { ctl_read: '0-2', active_write: '0-2' }],
  [
    'timer-map',
    'vhe',
    'load',
    ['load'],
    { loaded: 0 },
    {
      cntpct_read: '1',
      ctl_write: '2',
      cval_write: '2',
      cntvoff_write: '1',
      isb: '2',
      active_write: '2',
      hrtimer_cancel: '1',
      report: '2',
      injection: '2',
    },
  ],
  [
    'timer-map',
    'vhe',
    'put',
    ['put'],
    { loaded: 1 },
    { ctl_read: '2', cval_read: '2', ctl_write: '2', isb: '2', cntvoff_write: '1' },
  ],
  [
    'timer-map',
    'vhe',
    'put to sleep',
    ['put'],
    { loaded: 1, blocked: 1 },
    {
      ctl_read: '2',
      cval_read: '2',
      cntpct_read: '1',
      ctl_write: '2',
      isb: '2',
      cntvoff_write: '1',
      hrtimer_start: '1',
    },
  ],
  ['timer-map', 'vhe', 'block', ['schedule'], {}, {}],
  ['timer-map', 'vhe', 'unblock', ['unschedule'], {}, {}],
  ['timer-map', 'vhe', 'interrupt', ['irq'], { extra: 1, timer: 1 }, { ctl_read: '1', ...report }],
  // d on non-VHE.
  ['timer-map', 'nvhe', 'entry', ['enter'], {}, { cnthctl_update: '1' }],
  [
    'timer-map',
    'nvhe',
    'exit',
    ['leave'],
    { loaded: 1 },
    { ctl_read: '0-1', cnthctl_update: '1', active_write: '0-1' },
  ],
  // U 1, and one more of the emulated timer where its output has changed; the soft timer is cancelled otherwise.
  [
    'timer-map',
    'nvhe',
    'load',
    ['load'],
    { loaded: 0 },
    {
      cntpct_read: '1',
      ...restore,
      cntvoff_write: '1',
      hypercall: '1',
      active_write: '1',
      hrtimer_cancel: '1-2',
      report: '1-2',
      injection: '1-2',
    },
  ],
  [
    'timer-map',
    'nvhe',
    'put',
    ['put'],
    { loaded: 1 },
    { ...save, cntvoff_write: '1', hypercall: '1', hrtimer_cancel: '1' },
  ],
  ['timer-map', 'nvhe', 'block', ['schedule'], {}, {}],
  ['timer-map', 'nvhe', 'unblock', ['unschedule'], {}, {}],
  // Up to 6.2 a trapped access is a whole put and load; from 6.3 on, and so from 6.4 on, it concerns one timer.
  [
    'offset',
    'vhe',
    'load',
    ['load'],
    { loaded: 0 },
    {
      cntpct_read: '1',
      ctl_write: '2',
      cval_write: '2',
      cntvoff_write: '1',
      cnthctl_update: '1',
      isb: '2',
      active_write: '2',
      hrtimer_cancel: '1',
      report: '2',
      injection: '2',
    },
  ],
  [
    'stateless-level',
    'vhe',
    'put',
    ['put'],
    { loaded: 1 },
    { ctl_read: '2', cval_read: '2', ctl_write: '2', isb: '2', cntvoff_write: '1' },
  ],
];

describe('the costs of an event (specification §2f)', () => {
  it.each(table)('%s on %s: %s', (id, host, _, episodes, known, expected) => {
    expect(row(id, host, episodes, known)).toEqual(expected);
  });

  it('move from every entry and exit to load and put', () => {
    const writes = (id: ModelId, episodes: readonly Episode[], known: Partial<Known3>) =>
      row(id, 'nvhe', episodes, known).cntvoff_write ?? '0';
    expect(writes('world-switch', ['enter', 'leave'], {})).toBe('2');
    expect(writes('world-switch', ['load', 'put'], {})).toBe('0');
    for (const id of ['rfc-load-put', 'load-put-4.16', 'timer-map', 'offset', 'stateless-level'] as const) {
      expect(writes(id, ['enter', 'leave'], { loaded: 1 })).toBe('0');
      expect(writes(id, ['load'], { loaded: 0 })).toBe('1');
      expect(writes(id, ['put'], { loaded: 1 })).toBe('1');
    }
  });
});
