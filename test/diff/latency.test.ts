import { describe, expect, it } from 'vitest';
import type { Diff } from '../../src/diff/facts.js';
import { compared } from './sleeper.js';

function latencyOf({ latency }: Diff, name: string) {
  return latency.latencies.find((one) => one.name === name)!;
}

describe('latencies of two recordings', () => {
  it('of the same kernel are the same', async () => {
    const { verdict, because, latency } = await compared({ seed: 1 }, { seed: 2 });
    expect([verdict, because]).toEqual(['same', []]);
    expect(latency.family).toBeGreaterThan(20);
    expect(new Set([...latency.latencies, ...latency.places].map(({ judgement }) => judgement))).toEqual(
      new Set(['noise']),
    );
  });

  it('differ where something takes 30 % longer: that, and what contains it', async () => {
    const result = await compared({ seed: 1 }, { seed: 2, entry: 1.3 });
    const { latency, because, verdict } = result;
    expect(verdict).toBe('changed');
    expect(because[0]).toMatch(/^load to entry: p50 x 1\.[23]/);
    const differ = latency.latencies.filter(({ judgement }) => judgement === 'differs').map(({ name }) => name);
    expect(differ).toEqual(['loadToEntry', 'deadlineToEntry', 'expiryToEntry'].filter((name) => differ.includes(name)));
    const { quantiles, old, new: next } = latencyOf(result, 'loadToEntry');
    const [p50] = quantiles;
    expect(p50!.factor![0]).toBeGreaterThan(1.2);
    expect(p50!.factor![0]).toBeLessThan(1.28);
    expect(p50!.factor![1]).toBeGreaterThan(1.25);
    expect(p50!.factor![1]).toBeLessThan(1.35);
    expect(p50!.interval![0]).toBeGreaterThan(30_000);
    expect([old!.count, next!.count]).toEqual([800, 800]);
    expect(old!.histogram.reduce((sum, { count }) => sum + count, 0)).toBe(800);
    expect(old!.max).toBeGreaterThanOrEqual(old!.p99);
  });

  it('do not differ where everything takes three times as long: that is the host', async () => {
    const { verdict, latency } = await compared({ seed: 1 }, { seed: 2, host: 3 });
    expect(verdict).toBe('same');
    expect(latency.host[0]!.factor).toBeGreaterThan(2.5);
    expect(latency.host[0]!.by).toBe('deadlineToExpiry');
    expect(latency.latencies.filter(({ judgement }) => judgement === 'host').map(({ name }) => name)).toEqual([
      'deadlineToExpiry',
    ]);
    expect(latency.latencies.some(({ judgement }) => judgement === 'differs')).toBe(false);
  });

  it('are not judged where a recording is too short', async () => {
    const { verdict, latency } = await compared({ seed: 1, ticks: 10 }, { seed: 2 });
    expect([verdict, latency.family]).toEqual(['same', 0]);
    expect(latency.latencies.map(({ judgement }) => judgement)).toContain('unjudged');
    expect(latency.host.map(({ factor }) => factor)).toEqual([null, null, null]);
    expect(latency.latencies[0]!.quantiles[0]!.unjudged).toMatch(/^fewer than 8 blocks/);
  });

  it('have the same figures at every run', async () => {
    const [one, other] = [await compared({ seed: 1 }, { seed: 2 }), await compared({ seed: 1 }, { seed: 2 })];
    expect(other.latency).toEqual(one.latency);
  });
});
