/**
 * The streams of a file in the order of their next records, on a tie the one with the lowest index first: the first one,
 * and a binary heap of the others, since a machine may have hundreds of CPUs.
 */
export class StreamQueue {
  /** Index of the stream whose record comes first, and the time of that; infinite where there is none. */
  first = 0;
  time = Number.NaN;
  /** By place in the heap: the index of the stream, and the time of its record. Behind them, one that has none. */
  private readonly streams: Int32Array;
  private readonly times: Float64Array;
  /** Number of the others. */
  private readonly count: number;

  /** @param times by stream */
  constructor(times: Float64Array) {
    // What is sorted is a heap.
    const [first, ...others] = Int32Array.from(times.keys()).sort((a, b) =>
      times[a] === times[b] ? a - b : times[a]! - times[b]!,
    );
    this.first = first ?? 0;
    this.time = times[this.first] ?? Number.POSITIVE_INFINITY;
    this.count = others.length;
    this.streams = Int32Array.from([...others, times.length]);
    this.times = Float64Array.from(this.streams, (stream) => times[stream] ?? Number.POSITIVE_INFINITY);
  }

  /** Latest time of a record of the first stream that comes before those of all others: times are whole numbers. */
  get limit(): number {
    return this.first < this.streams[0]! ? this.times[0]! : this.times[0]! - 1;
  }

  /** The first stream's next record has this time. */
  advance(time: number): void {
    const { streams, times, count, first } = this;
    if (time < times[0]! || (time === times[0]! && first < streams[0]!)) {
      this.time = time;
      return;
    }
    this.first = streams[0]!;
    this.time = times[0]!;
    let place = 0;
    for (let child = 1; child < count; child = 2 * place + 1) {
      let next = times[child]!;
      const other = times[child + 1]!;
      if (other < next || (other === next && streams[child + 1]! < streams[child]!)) {
        child++;
        next = other;
      }
      if (time < next || (time === next && first < streams[child]!)) break;
      times[place] = next;
      streams[place] = streams[child]!;
      place = child;
    }
    times[place] = time;
    streams[place] = first;
  }
}
