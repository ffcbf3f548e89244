import { describe, expect, it } from 'vitest';
import { Blocks, createSums, foldMerged, foldSums, mostBlocks } from '../../../src/diff/noise/index.js';
import { Histogram } from '../../../src/stats/histogram.js';

const millisecond = 1e6;

/** Events of a recording, one every millisecond, counted and measured by block. */
function divide(events: number, start = 0) {
  const blocks = new Blocks();
  const counts = createSums();
  const times: (Histogram | undefined)[] = [];
  blocks.keep({
    fold() {
      foldSums(counts);
      foldMerged(times);
    },
  });
  for (let i = 0; i < events; i++) {
    blocks.advance(start + i * millisecond);
    counts[blocks.current]!++;
    times[blocks.current] ??= new Histogram();
    times[blocks.current]!.add(i);
  }
  return { blocks, counts, times };
}

describe('blocks of a recording', () => {
  it('have what was counted apart put to its place, out of order and at the end too', () => {
    const blocks = new Blocks();
    const counts = createSums();
    let current = 0;
    blocks.keep({
      settle(block) {
        counts[block]! += current;
        current = 0;
      },
      fold: () => foldSums(counts),
    });
    const times = [0, 1, 20, 5, 40, 39, 39, 2_000, 1, 90_000, 90_001].map((time) => time * millisecond);
    for (const time of times) {
      blocks.advance(time);
      current++;
    }
    blocks.end();
    const expected = createSums();
    for (const time of times) expected[Math.floor(time / blocks.width)]!++;
    expect([...counts]).toEqual([...expected]);
  });

  it.each([10, 100, 500, 1_000, 5_000, 100_000])('lose nothing of %i ms', (events) => {
    const { blocks, counts, times } = divide(events);
    expect(counts.reduce((sum, count) => sum + count)).toBe(events);
    expect(times.length).toBeLessThanOrEqual(mostBlocks);
    times.forEach((one, block) => {
      const first = Math.ceil((block * blocks.width) / millisecond);
      expect([one?.count, one?.min]).toEqual([counts[block], first]);
    });
  });

  it('are equally wide but the last, and more than half of the most once the recording is long', () => {
    for (const seconds of [1, 2, 3, 7, 100]) {
      const { counts, blocks } = divide(seconds * 1_000);
      const used = counts.filter((count) => count > 0);
      expect(used.length).toBeGreaterThan(mostBlocks / 2);
      const whole = blocks.width / millisecond;
      expect(used.slice(0, -1).every((count) => Math.abs(count - whole) <= 1)).toBe(true);
    }
  });

  it('begin with the recording, and take what is recorded out of order before it', () => {
    const { counts } = divide(1_000, 5e12);
    expect(counts[0]).toBeGreaterThan(0);
    const blocks = new Blocks();
    blocks.advance(1_000);
    blocks.advance(400);
    expect(blocks.current).toBe(0);
  });

  it('bear a pause of hours', () => {
    const blocks = new Blocks();
    const counts = createSums();
    blocks.keep({ fold: () => foldSums(counts) });
    for (const time of [0, millisecond, 3.6e13]) {
      blocks.advance(time);
      counts[blocks.current]!++;
    }
    expect([counts[0], counts[blocks.current], blocks.current < mostBlocks]).toEqual([2, 1, true]);
  });
});
