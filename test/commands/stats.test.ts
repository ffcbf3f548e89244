import { describe, expect, it } from 'vitest';
import { statsSchema } from '../../src/report/json/stats.js';
import { timervet } from '../package/timervet.js';

const recording = 'traces/recordings/6.1-vhe/tickwfi.txt.gz';
const overcommit = 'traces/recordings/6.1-nvhe/overcommit.txt.gz';
const lossy = 'traces/recordings/6.1-nvhe/lost-trace_pipe.txt.gz';

async function statsJson(...args: string[]) {
  const { code, stdout, stderr } = await timervet(['stats', '--format', 'json', ...args]);
  return { code, stderr, stats: statsSchema.parse(JSON.parse(stdout)) };
}

describe('timervet stats', () => {
  it('shows each vcpu, within 100 columns', async () => {
    const { code, stdout, stderr } = await timervet(['stats', recording]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^traces\/recordings\/6\.1-vhe\/tickwfi\.txt\.gz\n {2}size {7}14468 records, /);
    expect(stdout.match(/^vcpu \d of VM 0, thread CPU \d\/KVM-\d+$/gm)).toHaveLength(2);
    for (const text of ['\n  lifecycle   ', '\n    guest ', '\n    TRAP WFx ', '\n    deadline to expiry '])
      expect(stdout).toContain(text);
    expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
  });

  it('counts what the recording holds, however it is grouped', async () => {
    const all = await Promise.all(['vcpu', 'vm', 'cpu'].map((by) => statsJson('--by', by, overcommit)));
    const groupings = all.map(({ stats }) => stats.traces[0]!.groups);
    const sum = (groups: (typeof groupings)[number], name: string) =>
      groups.reduce((total, { counts }) => total + counts[name]!, 0);
    expect(groupings.map(({ length }) => length)).toEqual([4, 2, 2]);
    for (const name of ['entries', 'exits', 'loads', 'puts', 'saves', 'backgroundFired']) {
      const totals = groupings.map((groups) => sum(groups, name));
      expect(totals).toEqual([totals[0], totals[0], totals[0]]);
      expect(totals[0]).toBeGreaterThan(100);
    }
  });

  it('tells the costs of every occasion within 100 columns, and the same sum however it is grouped', async () => {
    const { stdout } = await timervet(['stats', '--by', 'cpu', overcommit]);
    expect(stdout).toMatch(/\n {2}costs +entry +exit +load +put +block +unblock +irq +expiry +\/s +\/tick\n/);
    expect(stdout).toMatch(/\n {4}CNTHCTL_EL2 update +1\.00 +1\.00 +- /);
    expect(stdout).toMatch(/\n {2}assumed {5}.*lr_pending in \d+/);
    expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
    const all = await Promise.all(['vcpu', 'vm', 'cpu'].map((by) => statsJson('--by', by, overcommit)));
    const loads = all.map(({ stats }) =>
      stats.traces[0]!.groups.reduce((sum, { costs }) => {
        const row = costs!.categories.find(({ category }) => category === 'load')!;
        return sum + row.operations.active_write!;
      }, 0),
    );
    expect(loads).toEqual([loads[0], loads[0], loads[0]]);
    expect(loads[0]).toBeGreaterThan(100);
  });

  it('measures what the kernel counted: the time in all places is that of the recording', async () => {
    const { stats } = await statsJson(recording);
    const [trace] = stats.traces;
    for (const { places, counts, exits } of trace!.groups) {
      const whole = Object.values(places).reduce((sum, times) => sum + times!.total, 0);
      expect(whole / 1e9).toBeLessThanOrEqual(trace!.duration + 1e-6);
      expect(whole / 1e9).toBeGreaterThan(trace!.duration * 0.8);
      expect(places.guest!.count).toBe(counts.entries);
      const handled = exits.reduce((sum, { times }) => sum + times.count, 0);
      expect(handled).toBeGreaterThanOrEqual(counts.exits! - 1);
      expect(handled).toBeLessThanOrEqual(counts.exits!);
    }
  });

  it('says what was lost', async () => {
    const { code, stdout } = await timervet(['stats', lossy]);
    expect(code).toBe(0);
    expect(stdout).toContain('\n    unknown ');
    expect(stdout).toMatch(/lost-events/);
  });

  it('answers 3 when one of its inputs cannot be read', async () => {
    const { code, stderr, stats } = await statsJson('traces/formats/unusable/nocontext.txt', recording);
    expect(code).toBe(3);
    expect(stderr).toMatch(/^error: traces\/formats\/unusable/);
    expect({ traces: stats.traces.length, failures: stats.failures.length }).toEqual({ traces: 1, failures: 1 });
  });

  it('refuses what it cannot take statistics by', async () => {
    const { code, stderr } = await timervet(['stats', '--by', 'pid', recording]);
    expect(code).toBe(2);
    expect(stderr).toContain('Allowed choices are vcpu, vm, cpu.');
  });
});
