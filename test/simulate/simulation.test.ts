import { describe, expect, it } from 'vitest';
import { Register, Timer } from '../../src/events/event.js';
import { kindNames } from '../../src/events/kinds.js';
import { type Call, type Operate, operationMeanings, type Role } from '../../src/models/design.js';
import { designs } from '../../src/models/designs/index.js';
import { type ModelId, modelIds } from '../../src/models/model.js';
import { Simulation } from '../../src/simulate/simulation.js';
import { episodes, episodesOf, hostsOf } from '../mutation/driver/index.js';
import { Stage } from '../mutation/driver/stage.js';
import { judge, play } from '../mutation/trial.js';

/** What is wrong with a kernel as it was: the rules that say so of it. */
const weakPoints: Readonly<Partial<Record<ModelId, Readonly<Record<string, string>>>>> = {
  'rfc-load-put': {
    'affinity-forwarded-while-any-loaded': 'W1',
    'user-write-survives': 'W4',
    'reset-clears-timer': 'W4',
    'first-entry-restores-user-state': 'W5',
    'dist-active-cleared-on-lower': 'W6',
    'disabled-vcpu-silent': 'loads write affinity and active state before the first run',
  },
  'load-put-4.15': {
    'user-write-survives': 'bug 15: registers are written while loaded',
    'reset-clears-timer': 'bug 17: a reset while loaded',
    'soft-timer-follows-emulated-context':
      'bug 16: a load does not report the physical timer that has expired meanwhile',
  },
  'load-put-4.16': { 'dist-active-at-load': 'bug 22' },
  'load-put-5.0': { 'dist-active-at-load': 'bug 22' },
  'timer-map': { 'soft-timer-follows-emulated-context': 'bug 24' },
};

describe.each(modelIds)('a kernel of %s', (id) => {
  const design = designs[id];
  const played = hostsOf(design).flatMap((host) =>
    episodesOf(host)
      .filter(([name]) => name in episodes)
      .map(([, episode]) => ({ host, ...play(design, host, episode) })),
  );
  const summaries = played.map(({ events, host }) => judge(events, id, host));

  it('does what its own model calls right, but for the weak points that it had', () => {
    expect(played.flatMap(({ bug }) => bug ?? [])).toEqual([]);
    const found = new Set(summaries.flatMap(({ findings }) => findings.map(({ rule }) => rule)));
    expect([...found].sort()).toEqual(Object.keys(weakPoints[id] ?? {}).sort());
  });

  it('exercises most of the rules of its model', () => {
    const decided = new Map<string, boolean>();
    for (const { rules } of summaries)
      for (const [rule, { held, violated, status }] of Object.entries(rules))
        if (status !== 'not-applicable') decided.set(rule, (decided.get(rule) ?? false) || held + violated > 0);
    const share = [...decided.values()].filter((yes) => yes).length / decided.size;
    expect(share).toBeGreaterThan(id === 'world-switch' ? 0.4 : 0.7);
  });

  it('takes every transition of its lifecycle that the driver can bring about', () => {
    const seen = new Set(played.flatMap(({ events }) => events.map(({ kind }) => kindNames[kind])));
    const alphabet = new Set(design.lifecycle.transitions.map(({ event }) => event));
    const never = [...alphabet].filter((event) => !seen.has(event));
    expect(never).toEqual([]);
  });

  it('records the same each time', () => {
    const [host] = hostsOf(design);
    const spell = () => play(design, host!, episodes.block!).events.map((event) => JSON.stringify(event));
    expect(spell()).toEqual(spell());
  });
});

/** What costs nothing worth counting. */
const free: readonly string[] = ['memory', 'interrupts', 'guest'];

/** Effects of a function and of what it calls, by operation. */
function effectsOf(id: ModelId, host: 'vhe' | 'nvhe', role: Role): Record<string, number> {
  const counts: Record<string, number> = {};
  let counting = false;
  const sink = {
    effect(effect: Operate | Call) {
      if (!counting || 'call' in effect || free.includes(operationMeanings[effect.do][1])) return;
      const name = effect.viaHyp === true && host === 'nvhe' ? `hyp ${effect.do}` : effect.do;
      counts[name] = (counts[name] ?? 0) + 1;
    },
  };
  const options = hostsOf(designs[id]).find((each) => each.host === host && each.inKernelIrqchip)!;
  const stage = new Stage(designs[id], options, () => {}, sink);
  stage.begin(stage.a, stage.c0);
  stage.arm(stage.a, stage.c0, 5000);
  const { simulation, a, c0 } = stage;
  if (role === 'load') simulation.put(a, c0);
  counting = true;
  if (role === 'load') simulation.load(a, c0);
  else if (role === 'put') simulation.put(a, c0);
  else simulation.run(a, c0, () => {});
  return counts;
}

describe('the operations of an event are those of specification §2f', () => {
  const restore = { wr_cval: 1, isb: 1, wr_ctl: 1 };
  const save = { rd_ctl: 1, rd_cval: 1, stop: 1 };
  it.each([
    ['world-switch', 'nvhe', 'load', {}],
    ['world-switch', 'nvhe', 'put', {}],
    ['world-switch', 'nvhe', 'run', { ...restore, ...save, traps: 2, cntvoff: 2, bg_cancel: 1 }],
    ['world-switch', 'vhe', 'run', { ...restore, ...save, cntvoff: 2, bg_cancel: 1 }],
    ['rfc-load-put', 'nvhe', 'load', { affinity: 1, dist_active: 1, 'hyp cntvoff': 1, ...restore }],
    ['rfc-load-put', 'nvhe', 'put', { ...save, 'hyp cntvoff': 1, affinity: 1 }],
    ['rfc-load-put', 'nvhe', 'run', { traps: 2 }],
    ['rfc-load-put', 'vhe', 'run', {}],
    ['load-put-4.16', 'nvhe', 'load', { dist_active: 1, 'hyp cntvoff': 1, ...restore, soft_cancel: 1 }],
    ['load-put-4.16', 'nvhe', 'put', { ...save, isb: 1, soft_cancel: 1, 'hyp cntvoff': 1 }],
    ['load-put-4.16', 'vhe', 'put', { ...save, isb: 1, soft_cancel: 1 }],
    ['load-put-5.0', 'nvhe', 'run', { traps: 2 }],
    [
      'timer-map',
      'vhe',
      'load',
      { inject: 2, dist_active: 2, cntvoff: 1, bg_cancel: 1, wr_cval: 2, isb: 2, wr_ctl: 2 },
    ],
    ['timer-map', 'vhe', 'put', { rd_ctl: 2, rd_cval: 2, stop: 2, isb: 2, cntvoff: 1 }],
    ['timer-map', 'vhe', 'run', {}],
    [
      'timer-map',
      'nvhe',
      'load',
      { inject: 1, dist_active: 1, 'hyp cntvoff': 1, bg_cancel: 1, ...restore, soft_cancel: 1 },
    ],
    ['timer-map', 'nvhe', 'put', { ...save, isb: 1, soft_cancel: 1, 'hyp cntvoff': 1 }],
    ['timer-map', 'nvhe', 'run', { traps: 2 }],
    ['offset', 'nvhe', 'put', { ...save, isb: 1, soft_cancel: 1, 'hyp cntvoff': 1 }],
  ] as const)('%s on %s: %s', (id, host, role, expected) => {
    expect(effectsOf(id, host, role)).toEqual(expected);
  });
});

describe('the hardware', () => {
  const design = designs['timer-map'];
  const [host] = hostsOf(design);
  const simulation = new Simulation(design, host!, () => {});
  const [cpu] = simulation.cpus;

  it('sets ISTATUS when the counter reaches CVAL, and only while enabled', () => {
    const timer = cpu!.timers[Timer.vtimer];
    timer.cval = simulation.counter + 100;
    timer.ctl = 1;
    expect(simulation.readCtl(cpu!, Timer.vtimer)).toBe(1);
    timer.cval = simulation.counter;
    expect(simulation.readCtl(cpu!, Timer.vtimer)).toBe(5);
    timer.ctl = 3;
    expect(simulation.line(cpu!, Timer.vtimer)).toBe(false);
    timer.ctl = 0;
    expect(simulation.readCtl(cpu!, Timer.vtimer)).toBe(0);
  });

  it('compares the virtual timer with the counter less CNTVOFF', () => {
    const timer = cpu!.timers[Timer.vtimer];
    cpu!.cntvoff = 1000;
    timer.ctl = 1;
    timer.cval = simulation.counter - 500;
    expect(simulation.line(cpu!, Timer.vtimer)).toBe(false);
    cpu!.cntvoff = 0;
    expect(simulation.line(cpu!, Timer.vtimer)).toBe(true);
  });

  it('does not signal an interrupt again while it is active', () => {
    cpu!.irqsOff = 1;
    expect(simulation.signalled(cpu!, Timer.vtimer)).toBe(true);
    cpu!.active[Timer.vtimer] = true;
    expect(simulation.signalled(cpu!, Timer.vtimer)).toBe(false);
  });
});

it('gives userspace the counter that it asks for', () => {
  const design = designs.offset;
  const [host] = hostsOf(design);
  const { simulation, a, c0 } = new Stage(design, host!, () => {});
  simulation.userWrite(a, c0, Timer.vtimer, Register.cnt, 1234);
  expect(simulation.contextCount(a, Timer.vtimer)).toBe(1234);
});
