import { type Cpu, monotonicLag, nsPerCount } from './host-state.js';
import type { Tracepoints } from './tracepoints.js';

/** The CPU that acts, what it records, and how time passes on it by chance. */
export class Burst {
  /** The CPU whose burst it is. */
  cpu!: Cpu;
  #random = 0x2545f491;

  constructor(readonly trace: Tracepoints) {}

  chance(share: number): boolean {
    return this.uniform() < share;
  }

  /** Uniform in [0, 1), by xorshift. */
  uniform(): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return (x >>> 0) / 2 ** 32;
  }

  /** A time in ns between two, in whole counts. */
  between(from: number, to: number): number {
    return Math.round((from + (to - from) * this.uniform()) / nsPerCount) * nsPerCount;
  }

  /** Time passes on the CPU until the next record, which is by `pid`. */
  after(from: number, to: number, pid: number, flags: number): Tracepoints {
    const trace = this.trace;
    this.cpu.time += this.between(from, to);
    trace.time = this.cpu.time;
    trace.pid = pid;
    trace.flags = flags;
    return trace;
  }

  monotonic(time: number): number {
    return time - monotonicLag;
  }
}
