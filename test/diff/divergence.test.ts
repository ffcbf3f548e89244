import { describe, expect, it } from 'vitest';
import { align, share } from '../../src/diff/divergence/align.js';
import { chanceOfNone } from '../../src/diff/divergence/chance.js';
import { GrowingPath, normalised, otherPath, Paths } from '../../src/diff/divergence/paths.js';
import { type Diff, diff, fileInput } from '../../src/index.js';

async function diffOf(old: string, next: string): Promise<Diff> {
  const path = (name: string) => fileInput(`traces/recordings/${name}`);
  for await (const fact of diff(path(old), path(next))) if (fact.type === 'diff') return fact.diff!;
  throw new Error('no diff');
}

describe('aligning guest steps', () => {
  const steps = (text: string) => Uint16Array.from(text, (letter) => letter.charCodeAt(0));

  it.each([
    ['the same', 'abcabd', 'abcabd', 'abcabd', 1],
    ['a step too many', 'abcd', 'abxcd', 'abcd', 8 / 9],
    ['another step', 'abcd', 'abxd', 'abd', 6 / 8],
    ['an end that comes early', 'abcd', 'ab', 'ab', 1],
    ['nothing', 'ab', '', '', 0],
  ])('%s', (_, a, b, common, likeness) => {
    const alignment = align(steps(a), steps(b));
    const found = [...alignment.first.subarray(0, alignment.length)].map((at) => a[at]).join('');
    expect([found, share(alignment)]).toEqual([common, likeness]);
  });

  it('finds its way again after a hundred steps of one side only, in a long sequence', () => {
    let random = 1;
    const sequence = Array.from({ length: 2000 }, () => {
      random = (random * 1_103_515_245 + 12_345) % 2 ** 31;
      return 1 + ((random >> 16) % 7);
    });
    const longer = [...sequence.slice(0, 700), ...Array.from({ length: 100 }, () => 9), ...sequence.slice(700)];
    const alignment = align(Uint16Array.from(sequence), Uint16Array.from(longer));
    expect(alignment.length).toBeGreaterThan(1900);
    expect(alignment.second[alignment.length - 1]).toBe(alignment.first[alignment.length - 1]! + 100);
  });
});

describe('paths', () => {
  it.each([
    ['keeps what happens once', 'abc', 'abc'],
    ['takes a loop once', 'xababaty', 'xabaty'],
    ['takes a loop of one step once', 'xaaay', 'xay'],
    ['takes a loop in a loop once', 'aabaabc', 'abc'],
    ['leaves out what does not count', 'a-b-b', 'ab'],
  ])('%s', (_, path, expected) => {
    const codes = [...path].map((letter) => letter.charCodeAt(0));
    const kept = normalised(codes, (code) => code !== '-'.charCodeAt(0));
    expect(String.fromCharCode(...kept)).toBe(expected);
  });

  it('are known again by their steps', () => {
    const paths = new Paths();
    const number = (...codes: number[]) => paths.number(Uint16Array.from(codes), codes.length);
    expect([number(1, 2), number(2, 1), number(1, 2), number(1)]).toEqual([0, 1, 0, 2]);
  });

  it('are bounded in length and in number', () => {
    const path = new GrowingPath();
    for (let step = 0; step < 1000; step++) path.add(step % 7);
    expect(path.length).toBe(64);
    const paths = new Paths();
    for (let step = 0; step < 10_000; step++) paths.number(Uint16Array.of(step), 1);
    expect([paths.list.length, paths.number(Uint16Array.of(9_999), 1)]).toEqual([8192, otherPath]);
  });
});

it.each([
  [0, 5, 5, 1],
  [1, 5, 5, 0.5],
  [2, 2, 2, 1 / 6],
])('none of %i on the other side of %i and %i places is chance at %f', (times, ours, theirs, chance) => {
  expect(chanceOfNone(times, ours, theirs)).toBeCloseTo(chance, 12);
});

describe('the first divergence', () => {
  it.each([
    ['6.1-nvhe/tickwfi-zstd.dat', '6.1-nvhe/tickwfi-zstd.dat'],
    ['6.1-nvhe/kp-mixed.txt.gz', '6.1-nvhe/kp-mixed.txt.gz'],
    ['rfc-nvhe/tickwfi.dat', 'rfc-nvhe/tickwfi.dat'],
  ])('of %s and itself: none', async (old, next) => {
    const { divergence } = await diffOf(old, next);
    expect(divergence.alignment).toMatchObject({ aligned: true, share: 1, oneRecording: true });
    expect([divergence.first, divergence.rare]).toEqual([null, 0]);
  });

  it.each([
    // Two runs of one kernel and scenario.
    ['6.1-nvhe/tickwfi-zstd.dat', '6.1-nvhe/tickwfi-v6.dat.gz'],
    ['7.2-vhe/tickwfi.txt.gz', '7.2-vhe/kp-tickwfi.dat'],
    // Two kernels of one model.
    ['5.10-nvhe/tickwfi.txt.gz', '6.1-nvhe/tickwfi-zstd.dat'],
    // What is in a path must be recorded by both: the RFC's affinity changes are not.
    ['rfc-nvhe/tickwfi.dat', 'rfc-nvhe/tickwfi-tracepoints.txt.gz'],
  ])('of %s and %s: none beyond chance', async (old, next) => {
    const { divergence } = await diffOf(old, next);
    expect(divergence.alignment.because).toMatch(/guest steps/);
    expect([divergence.alignment.aligned, divergence.first]).toEqual([true, null]);
  });

  it.each([
    // VHE hosts save the physical timer as well.
    [
      '6.1-nvhe/tickwfi-zstd.dat',
      '6.1-vhe/tickwfi.txt.gz',
      'exit by WFx',
      /^exit > wfx .*put > save > bg_arm$/,
      /save ptimer/,
    ],
    // Up to 5.0 the blocking hook saves, and arms the background timer, whether the vcpu then sleeps or not.
    [
      '4.15-nvhe/tickwfi.dat',
      '6.1-nvhe/tickwfi-zstd.dat',
      'exit by WFx',
      /^exit > wfx > save > bg_arm > restore/,
      /halt_end > entry$/,
    ],
  ])('of %s and %s: %s', async (old, next, at, before, after) => {
    const { first } = (await diffOf(old, next)).divergence;
    expect(first!.at).toBe(at);
    expect(first!.old.path!.join(' > ')).toMatch(before);
    expect(first!.new.path!.join(' > ')).toMatch(after);
    expect(first!.chance).toBeLessThan(0.001);
    for (const side of [first!.old, first!.new]) {
      const path = side.events.filter(({ decisive }) => decisive);
      expect(path[0]).toMatchObject({ event: 'exit', time: side.time, position: side.position });
      expect(side.before['vcpu.in_guest']).toBe('1');
      expect(side.after['vcpu.in_guest']).toBe('0');
    }
  });

  it.each([
    ['6.1-nvhe/kp-mixed.txt.gz', '6.1-nvhe/tickwfi-zstd.dat', 'other-work'],
    ['6.1-nvhe/tickwfi-zstd.dat', '6.1-nvhe/extract-overwrite.dat', 'lost-records'],
    ['../bugs/bug-01-1a74847885cc.csv', '6.1-nvhe/tickwfi-zstd.dat', 'few-steps'],
  ])('of %s and %s: not to be told, %s', async (old, next, reason) => {
    const { alignment, first } = (await diffOf(old, next)).divergence;
    expect([alignment.aligned, alignment.reason, first]).toEqual([false, reason, null]);
    expect(alignment.because).not.toBe('');
  });
});
