import fc from 'fast-check';
import { expect, it } from 'vitest';
import { StreamQueue } from '../../../src/input/trace-dat/queue.js';

/** Times of the records of each stream, few different ones, so that many are the same. */
const streams = fc.array(
  fc.array(fc.nat(20), { maxLength: 12 }).map((times) => times.sort((a, b) => a - b)),
  { maxLength: 9 },
);

it('takes the records of all streams in the order of their times, on a tie the lowest stream’s first', () => {
  fc.assert(
    fc.property(streams, (times) => {
      const next = times.map(() => 0);
      const timeOf = (stream: number) => times[stream]?.[next[stream]!] ?? Number.POSITIVE_INFINITY;
      const queue = new StreamQueue(Float64Array.from(times, (_, stream) => timeOf(stream)));
      const taken: [number, number][] = [];
      while (queue.time < Number.POSITIVE_INFINITY) {
        const { first, limit } = queue;
        expect(timeOf(first)).toBe(queue.time);
        expect(queue.time).toBeLessThanOrEqual(limit);
        while (timeOf(first) <= limit && timeOf(first) < Number.POSITIVE_INFINITY) {
          taken.push([timeOf(first), first]);
          next[first]!++;
        }
        queue.advance(timeOf(first));
      }
      const all = times.flatMap((each, stream) => each.map((time): [number, number] => [time, stream]));
      expect(taken).toEqual(all.sort(([a, one], [b, other]) => a - b || one - other));
    }),
  );
});

it('stays with a stream that has to pause before its next record is known', () => {
  const queue = new StreamQueue(Float64Array.of(5, 3, 3));
  expect([queue.first, queue.time, queue.limit]).toEqual([1, 3, 3]);
  queue.advance(Number.NEGATIVE_INFINITY);
  expect(queue.first).toBe(1);
  queue.advance(4);
  expect([queue.first, queue.time, queue.limit]).toEqual([2, 3, 3]);
});
