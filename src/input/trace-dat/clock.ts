import type { Cursor } from './cursor.js';

/** One measurement of a guest's clock against its host's. */
interface Sample {
  readonly time: bigint;
  readonly offset: bigint;
  readonly scaling: bigint;
  /** Bits of `scaling` behind the point. */
  readonly fraction: bigint;
}

/** What brings a guest's times in line with its host's (TIME_SHIFT). */
export interface TimeShift {
  /** Between two measurements the offset changes steadily instead of at once. */
  readonly interpolates: boolean;
  /** By CPU, in the order of their times, no two of the same. */
  readonly cpus: readonly (readonly Sample[])[];
}

const interpolate = 1;

/** Reads the option: u64 peer, u32 flags, u32 CPUs, of each u32 count, times, offsets, scalings; then fractions. */
export function readTimeShift(cursor: Cursor): TimeShift {
  cursor.skip(8, "the peer's trace id");
  const flags = cursor.u32('flags');
  const count = cursor.u32('a number of CPUs');
  const values = (length: number, what: string) => {
    if (length * 8 > cursor.left) throw cursor.error(cursor.position, `${length} ${what}`, `${cursor.left} bytes`);
    return Array.from({ length }, () => cursor.bigU64(what));
  };
  const cpus: { times: bigint[]; offsets: bigint[]; scalings: bigint[] }[] = [];
  for (let cpu = 0; cpu < count; cpu++) {
    const samples = cursor.u32('a number of measurements');
    const times = values(samples, 'times');
    const offsets = values(samples, 'offsets').map((offset) => BigInt.asIntN(64, offset));
    cpus.push({ times, offsets, scalings: values(samples, 'scalings') });
  }
  const hasFractions = cursor.left > 0;
  return {
    interpolates: (flags & interpolate) !== 0,
    cpus: cpus.map(({ times, offsets, scalings }) => {
      const fractions = hasFractions ? values(times.length, 'fractions') : [];
      return times
        .map(
          (time, index): Sample => ({
            time,
            offset: offsets[index]!,
            scaling: scalings[index]!,
            fraction: BigInt.asUintN(6, fractions[index] ?? 0n),
          }),
        )
        .sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0))
        .filter(({ time }, index, all) => time !== all[index - 1]?.time);
    }),
  };
}

/** Turns raw times of the ring buffer into those that trace-cmd prints. */
export class DatClock {
  /** Whether raw times only have to be moved: then their differences are nanoseconds, or counts, as they are. */
  readonly isSteady: boolean;
  private readonly tsc: { readonly mult: number; readonly shift: number } | undefined;
  private readonly shift: TimeShift | undefined;
  private readonly offset: bigint;

  /**
   * @param tsc    counts to nanoseconds: `(count * mult) >> shift` (TSC2NSEC)
   * @param shift  brings a guest's times in line with its host's
   * @param offset nanoseconds to be added (DATE, OFFSET)
   */
  constructor(
    tsc: { readonly mult: number; readonly shift: number } | undefined,
    shift: TimeShift | undefined,
    offset: bigint,
  ) {
    this.tsc = tsc;
    this.shift = shift;
    this.offset = offset;
    this.isSteady = tsc === undefined && shift === undefined;
  }

  /** Time of a CPU's record in the trace's clock; the order is that of trace-cmd. */
  absolute(raw: bigint, cpu: number): bigint {
    const { tsc } = this;
    const shifted = this.shifted(raw, this.shift?.cpus[cpu] ?? []);
    return (tsc === undefined ? shifted : (shifted * BigInt(tsc.mult)) >> BigInt(tsc.shift)) + this.offset;
  }

  private shifted(raw: bigint, samples: readonly Sample[]): bigint {
    const [first, next] = samples;
    if (first === undefined) return raw;
    if (next === undefined) return raw + first.offset;
    // The last measurement at or before it, and never the very last: one is needed behind it.
    let index = 0;
    let to = samples.length - 2;
    while (index < to) {
      const middle = (index + to + 1) >>> 1;
      if (samples[middle]!.time <= raw) index = middle;
      else to = middle - 1;
    }
    const { time, offset, scaling, fraction } = samples[index]!;
    const after = samples[index + 1]!;
    const delta = after.time - time;
    const change = (raw - time) * (after.offset - offset);
    const moved = this.shift?.interpolates === true ? offset + (change + delta / 2n) / delta : offset;
    return (BigInt.asUintN(64, raw * scaling) >> fraction) + moved;
  }
}
