import type { Fact, VcpuName } from '../check/facts.js';
import type { Count } from './cell.js';
import type { Distribution } from './histogram.js';

/** What the statistics are taken by. */
export type Grouping = 'vcpu' | 'vm' | 'cpu';

/** One row of a table of durations; in nanoseconds. */
export interface Measured {
  readonly name: string;
  readonly times: Distribution;
}

/** The statistics of one vcpu, VM or CPU. */
export interface GroupStats {
  /** By `vcpu`, who it is. */
  readonly vcpu: VcpuName | null;
  readonly vm: number | null;
  readonly cpu: number | null;
  readonly counts: Readonly<Record<keyof typeof Count, number>>;
  /** Where the vcpus were, those places in which they never were left out: how long each stay took. */
  readonly places: readonly Measured[];
  /** Exits by reason, the most time-consuming first: from the exit to the next entry or the end of KVM_RUN. */
  readonly exits: readonly Measured[];
  readonly latencies: readonly Measured[];
}

/** The statistics of a trace. */
export interface TraceStats {
  readonly by: Grouping;
  readonly groups: readonly GroupStats[];
}

type TraceEnd = Extract<Fact, { type: 'trace-end' }>;

/** A fact of a run that takes statistics: those of a trace come with its end. */
export type StatsFact = Exclude<Fact, TraceEnd> | (TraceEnd & { readonly stats: TraceStats });
