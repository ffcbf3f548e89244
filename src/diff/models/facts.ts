import type { Fact, Finding, TraceSummary, VcpuName } from '../../check/facts.js';
import type { CostTable } from '../../cost/table.js';
import type { Host } from '../../machine/machine.js';
import type { ModelId } from '../../models/model.js';
import type { Assumption } from './assumptions.js';
import type { Claim } from './claims.js';
import type { Signals } from './count.js';
import type { DesignState, Stopped } from './guest.js';

/** How often each of two designs had something, by the time between two writes of a guest to its timer. */
export interface Shared {
  readonly both: number;
  readonly onlyFirst: number;
  readonly onlySecond: number;
}

export const signalNames = ['interrupts', 'raised', 'lowered', 'taken'] as const;

/** What designs are compared by, between two writes of a guest to its timer. */
export type SignalName = (typeof signalNames)[number];

/** A rule that fails under a design for this schedule, or the kernel's own stop. */
export interface Hazard {
  readonly in: 'first' | 'second' | 'both';
  /** As the design tells it that has it; the first one's where both have. */
  readonly finding: Finding;
  /** How often in each. */
  readonly counts: readonly [first: number, second: number];
}

/** The first place where the designs differ. */
export interface DesignDivergence {
  /** Nanoseconds since the trace began, and seconds in its clock with nine decimals. */
  readonly time: string;
  readonly vcpu: VcpuName | null;
  readonly cpu: number;
  /** After what: `entry`, `put`, … */
  readonly after: string;
  /** What differs, as a sentence. */
  readonly what: string;
  readonly first: DesignState;
  readonly second: DesignState;
}

/** One design on the guest. */
export interface DesignOutcome {
  readonly model: ModelId;
  readonly costs: CostTable;
  readonly signals: Signals;
  /** Assumptions that only this design needed. */
  readonly assumed: Readonly<Partial<Record<Assumption, number>>>;
  readonly stopped: (Stopped & { readonly at: string }) | null;
}

/** Two designs on the guest of one recording. */
export interface ModelsDiff {
  readonly host: Host;
  /** Who says what kind of host it is. */
  readonly hostFrom: 'given' | 'trace' | 'assumed';
  /** Whether the guest's kernel has a physical timer, that is 4.11 and later. */
  readonly hasPtimer: boolean;
  readonly first: DesignOutcome;
  readonly second: DesignOutcome;
  /** Acts of guest, scheduler and userspace that both were shown. */
  readonly stimuli: number;
  readonly assumed: Readonly<Partial<Record<Assumption, number>>>;
  readonly signals: Readonly<Record<SignalName, Shared>>;
  readonly hazards: readonly Hazard[];
  /** In what the guest sees at an entry, and in the interrupts and levels of the host. Null where there is none. */
  readonly guestDivergence: DesignDivergence | null;
  readonly hostDivergence: DesignDivergence | null;
  /** What the RFC's message promises, of the second design against the first. */
  readonly claims: readonly Claim[];
}

/** The stream of facts of `diff --models`. */
export type ModelsDiffFact =
  | Exclude<Fact, { readonly type: 'trace-end' }>
  | {
      readonly type: 'trace-end';
      readonly path: string;
      readonly summary: TraceSummary;
      readonly diff: ModelsDiff;
    };
