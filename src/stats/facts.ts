import type { Fact, VcpuName } from '../check/facts.js';
import type { Category, CostKind } from '../cost/kinds.js';
import type { ModelId } from '../models/model.js';
import type { Count } from './cell.js';
import type { Distribution } from './histogram.js';

/** What the statistics are taken by. */
export type Grouping = 'vcpu' | 'vm' | 'cpu';

/** One row of a table of durations; in nanoseconds. */
export interface Measured {
  readonly name: string;
  readonly times: Distribution;
}

/** Operations on one kind of occasion. */
export interface CategoryCosts {
  readonly category: Category;
  /** How often it came about. */
  readonly events: number;
  /** Operations in all of them, those that never occurred left out. */
  readonly operations: Readonly<Partial<Record<CostKind, number>>>;
}

/** What the kernel's timer code did, as its design has it (specification §2f). */
export interface GroupCosts {
  readonly categories: readonly CategoryCosts[];
  /** Runs of the kernel's functions. */
  readonly runs: number;
  /** How many of them depend on what nothing tells, by what that is. */
  readonly assumed: Readonly<Record<string, number>>;
  /** How many of them left other records than the design foresees. */
  readonly unfit: number;
  /** Seconds in the guest. */
  readonly guestSeconds: number;
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
  /** Null where no model fits. */
  readonly costs: GroupCosts | null;
}

/** The statistics of a trace. */
export interface TraceStats {
  readonly by: Grouping;
  /** The model by whose design costs are told; null where none fits. */
  readonly costModel: ModelId | null;
  readonly groups: readonly GroupStats[];
}

type TraceEnd = Extract<Fact, { type: 'trace-end' }>;

/** A fact of a run that takes statistics: those of a trace come with its end. */
export type StatsFact = Exclude<Fact, TraceEnd> | (TraceEnd & { readonly stats: TraceStats });
