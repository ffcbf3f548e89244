import { expect, it } from 'vitest';
import { latencyLines } from '../../src/report/text/diff/latency.js';
import { createTheme } from '../../src/report/text/theme.js';
import { compared, type MadeUp } from '../diff/sleeper.js';

async function shown(old: MadeUp, next: MadeUp): Promise<string[]> {
  const { latency } = await compared(old, next);
  return latencyLines(latency, { theme: await createTheme(false), width: 100, verbose: false });
}

it('shows what differs with its figures, histogram, factor and interval, and names the rest', async () => {
  const lines = await shown({ seed: 1 }, { seed: 2, entry: 2 });
  expect(lines[0]).toMatch(/^latency {2}\d changes$/);
  expect(lines[1]).toMatch(/^ {2}hosts differ by x 1\.\d+ at p50/);
  const at = lines.findIndex((line) => line.startsWith('  load to entry '));
  const [old, next, shift, interval] = lines.slice(at, at + 4);
  expect(old).toMatch(/^ {2}load to entry +old +800 +\d+ us +\d+ us +(\S+ us|\?) +\d+ us {2}\|[ .:=+*#@-]+\|$/);
  expect(next).toMatch(/^ +new +800 +/);
  expect(shift).toMatch(/^ +shift +x [12]\.\d\d\* +x [12]\.\d\d\* +\? +from 131 us$/);
  expect(interval).toMatch(/^ +[12]\.\d\.\.[12]\.\d +/);
  expect(lines.join(' ')).toMatch(/ {2}below noise: .*deadline to expiry.*time asleep/);
  expect(lines.join(' ')).toMatch(/Welch's t-test of quantiles .*; Holm, level 1 %$/);
  expect(lines.filter((line) => line.length > 100)).toEqual([]);
});

it("says what is the hosts' own, and that nothing differs", async () => {
  const lines = await shown({ seed: 1 }, { seed: 2, host: 3 });
  expect(lines[0]).toBe('latency  nothing differs beyond noise');
  expect(lines.join('\n')).toContain("\n  the hosts' and guests' own: deadline to expiry");
});

it('says why nothing is judged', async () => {
  const lines = await shown({ seed: 1, ticks: 10 }, { seed: 2 });
  expect(lines[1]).toBe('  hosts: nothing shows how they compare, so that no latency is judged');
  expect(lines.join(' ')).toContain('too little data: deadline to expiry, ');
});
