import { describe, expect, test } from 'vitest';
import {
  checkText,
  type Line,
  lines,
  lose,
  marks,
  missing,
  random,
  report,
  stock,
  textOf,
  told,
} from './recordings.js';

async function alarmsOf(variants: Iterable<readonly [string, readonly Line[]]>): Promise<Record<string, string[]>> {
  const alarms: Record<string, string[]> = {};
  for (const [title, kept] of variants) {
    const found = told(await checkText(textOf(kept)));
    if (found.length > 0) alarms[title] = found;
  }
  return alarms;
}

/** Lines in which records are lost: many times as many as any rule looks back. */
const longest = 12_000;

describe.skipIf(missing !== undefined)(`a part of a recording is no violation (${missing ?? 'recordings'})`, () => {
  for (const name of stock) {
    const all = () => lines(report(name, '-N'));

    test(`${name}: cut at any place`, async () => {
      const whole = all();
      const next = random(7);
      function* cuts(): Generator<readonly [string, readonly Line[]]> {
        for (let i = 0; i < 60; i++) {
          const start = next(whole.length);
          yield [`200 lines from ${start + 1}`, whole.slice(start, start + 200)];
          yield [`2000 lines from ${start + 1}`, whole.slice(start, start + 2000)];
        }
        for (let i = 0; i < 4; i++) {
          const at = next(whole.length);
          yield [`from line ${at + 1}`, whole.slice(at)];
          yield [`to line ${at}`, whole.slice(0, at)];
        }
      }
      expect(await alarmsOf(cuts())).toEqual({});
    });

    test(`${name}: records lost, with a mark`, async () => {
      const whole = all();
      const next = random(11);
      function* losses(): Generator<readonly [string, readonly Line[]]> {
        for (let i = 0; i < 24; i++) {
          const start = next(Math.max(1, whole.length - longest));
          const part = whole.slice(start, start + longest);
          const stretches = Array.from({ length: i % 4 === 0 ? 1 : 1 + next(7) }, () => ({
            // The last tenth stays: a loss at the very end leaves no mark.
            from: 1 + next(Math.floor(part.length * 0.7)),
            cpu: next(2),
            count: next(10) < 3 ? 200 + next(Math.floor(part.length / 20)) : 1 + next(30),
          }));
          const losses = stretches.map(({ from, cpu, count }) => `${count} of CPU ${cpu} from ${start + from}`);
          yield [losses.join(', '), lose(part, stretches, marks[i % 3] as string)];
        }
      }
      expect(await alarmsOf(losses())).toEqual({});
    });

    test(`${name}: one CPU's buffer missing`, async () => {
      const whole = all();
      const only = (cpu: number) => whole.filter((line) => line.cpu === cpu || line.cpu < 0);
      expect(
        await alarmsOf([
          ['only CPU 0', only(0)],
          ['only CPU 1', only(1)],
        ]),
      ).toEqual({});
    });

    test(`${name}: a buffer that starts later than the other`, async () => {
      const whole = all();
      const next = random(13);
      function* late(): Generator<readonly [string, readonly Line[]]> {
        for (let i = 0; i < 6; i++) {
          const [cpu, at] = [i % 2, 1 + next(whole.length - 1)];
          const kept = whole.filter((line, index) => line.cpu !== cpu || index >= at);
          yield [`CPU ${cpu} from line ${at + 1}`, kept];
          const first = kept.findIndex((line) => line.cpu === cpu);
          const mark: Line = { text: `##### CPU ${cpu} buffer started ####`, cpu: -1, event: '' };
          if (first >= 0) yield [`CPU ${cpu} from line ${at + 1}, with a mark`, kept.toSpliced(first, 0, mark)];
        }
      }
      expect(await alarmsOf(late())).toEqual({});
    });

    test(`${name}: a buffer that ends before the other`, async () => {
      const whole = all();
      const next = random(17);
      function* early(): Generator<readonly [string, readonly Line[]]> {
        for (let i = 0; i < 12; i++) {
          const cpu = i % 2;
          // Nothing but its first records, or any end; and the others go on for a moment, or to the end.
          const at = 1 + next(i % 6 === 5 ? 400 : whole.length);
          const end = i % 3 === 0 ? at + 600 : whole.length;
          const kept = whole.slice(0, end).filter((line, index) => line.cpu !== cpu || index <= at);
          yield [`CPU ${cpu} to line ${at + 1}, the others to line ${end}`, kept];
        }
      }
      expect(await alarmsOf(early())).toEqual({});
    });
  }
});
