import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Lifecycle, stateMeanings } from '../../src/models/design.js';
import { designs } from '../../src/models/designs/index.js';
import { modelIds } from '../../src/models/model.js';
import { folder, present, recordings } from '../recordings/reports.js';
import { walk } from './lifecycle.js';

const kept = join(import.meta.dirname, '../../traces/recordings');
const own = readdirSync(kept, { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.(dat|txt|log)(\.gz)?$/.test(file))
  .map((file) => join(kept, file));
const shared = recordings(/^(\d|rfc).*\.dat$/).map((file) => join(folder, file));

/** Transitions by model that recordings took. */
const taken = new Map<string, Set<string>>();

const named = ({ transitions }: Lifecycle) => transitions.map(({ from, event, to }) => `${from} ${event} ${to}`);

describe.each(modelIds)('the lifecycle of %s', (id) => {
  const { lifecycle } = designs[id];
  const states = Object.keys(lifecycle.states);

  it('is deterministic', () => {
    const keys = lifecycle.transitions.map(({ from, event }) => `${from} ${event}`);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('has known states only, each of them on a way from the initial to a final one', () => {
    expect(Object.keys(stateMeanings)).toEqual(expect.arrayContaining(states));
    expect(states).toEqual(expect.arrayContaining([lifecycle.initial, ...lifecycle.final]));
    const reach = (from: readonly string[], forwards: boolean) => {
      const seen = new Set(from);
      for (const state of seen)
        for (const step of lifecycle.transitions)
          if ((forwards ? step.from : step.to) === state) seen.add(forwards ? step.to : step.from);
      return [...seen].sort();
    };
    expect(reach([lifecycle.initial], true)).toEqual([...states].sort());
    expect(reach(lifecycle.final, false)).toEqual([...states].sort());
  });
});

describe('the vcpus of recordings', () => {
  it.each([...own, ...shared].map((file) => [file.replace(/.*\/(?=[^/]+\/[^/]+$)/, ''), file]))(
    'go by the lifecycle of their model: %s',
    async (_, file) => {
      const { model, steps, offPath, complete, ...rest } = await walk(file!);
      expect(steps).toBeGreaterThan(0);
      if (complete) expect(offPath).toEqual([]);
      else expect(offPath.length).toBeLessThan(steps / 1000);
      if (model === null) return;
      const all = taken.get(model) ?? new Set();
      taken.set(model, all);
      for (const step of rest.taken) all.add(step);
    },
    60_000,
  );

  it('would be off its path where an event is in the wrong place', async () => {
    const trace = `# model: timer-map\nevent,vcpu,cpu\nload,0,0\nentry,0,0\nput,0,0\n`;
    const { offPath } = await walk('wrong.csv', trace);
    expect(offPath).toMatchObject([{ event: 'put', from: ['GUEST', 'EXITING'] }]);
  });

  afterAll(() => {
    if (!present) return;
    for (const id of modelIds) {
      const all = named(designs[id].lifecycle);
      const never = all.filter((step) => taken.get(id)?.has(step) !== true);
      process.stdout.write(
        `${id}: recordings take ${all.length - never.length} of ${all.length} transitions unmistakably${never.length === 0 ? '' : `; not: ${never.join(', ')}`}\n`,
      );
    }
  });
});
