/**
 * The streams of a file in the order of their next records, on a tie the one with the lowest index first: a binary heap,
 * since a machine may have hundreds of CPUs.
 */
export class StreamQueue {
  /** By place in the heap: the index of the stream, and the time of its record. */
  private readonly streams: Uint32Array;
  private readonly times: Float64Array;

  /** @param times by stream */
  constructor(times: Float64Array) {
    // What is sorted is a heap.
    this.streams = Uint32Array.from(times.keys()).sort((a, b) =>
      times[a] === times[b] ? a - b : times[a]! - times[b]!,
    );
    this.times = Float64Array.from(this.streams, (stream) => times[stream]!);
  }

  /** Index of the stream whose record comes first, and the time of that. */
  get first(): number {
    return this.streams[0]!;
  }

  get time(): number {
    return this.times.length > 0 ? this.times[0]! : Number.POSITIVE_INFINITY;
  }

  /** Latest time of a record of the first stream that comes before those of all others: times are whole numbers. */
  get limit(): number {
    const { streams, times } = this;
    if (times.length === 1) return Number.POSITIVE_INFINITY;
    const left = streams[0]! < streams[1]! ? times[1]! : times[1]! - 1;
    if (times.length === 2) return left;
    const right = streams[0]! < streams[2]! ? times[2]! : times[2]! - 1;
    return left < right ? left : right;
  }

  /** The first stream's next record has this time. */
  advance(time: number): void {
    const { streams, times } = this;
    const count = times.length;
    const stream = streams[0]!;
    let place = 0;
    for (let child = 1; child < count; child = 2 * place + 1) {
      let next = times[child]!;
      if (child + 1 < count) {
        const other = times[child + 1]!;
        if (other < next || (other === next && streams[child + 1]! < streams[child]!)) {
          child++;
          next = other;
        }
      }
      if (time < next || (time === next && stream < streams[child]!)) break;
      times[place] = next;
      streams[place] = streams[child]!;
      place = child;
    }
    times[place] = time;
    streams[place] = stream;
  }
}
