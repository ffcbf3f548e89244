import type { Position, VcpuName, WitnessEvent } from '../../check/facts.js';
import type { KindName } from '../../events/kinds.js';

/** Why two recordings cannot be laid side by side. */
export type Misalignment =
  /** One of them does not show why the guest was left. */
  | 'no-exits'
  /** Too few guest steps to tell. */
  | 'few-steps'
  /** The guests did not do the same. */
  | 'other-work'
  /** As `other-work`, but records were lost. */
  | 'lost-records';

/** One vcpu in both recordings. */
export interface VcpuPair {
  readonly old: VcpuName;
  readonly new: VcpuName;
  /** `name`: same VM and vcpu id. `steps`: their guests did the same. */
  readonly by: 'name' | 'steps';
  /** Guest steps on both sides, up to where one of the two ended. */
  readonly steps: readonly [number, number];
  /** How many of them are the same step on both sides. */
  readonly aligned: number;
}

/** Whether and how the two recordings were laid side by side. */
export interface AlignmentSummary {
  readonly aligned: boolean;
  readonly reason: Misalignment | null;
  /** In words: how it was done, or why it was not. */
  readonly because: string;
  /** Share of the guest steps that are the same on both sides, 0 to 1. */
  readonly share: number;
  /** The two are one recording: the aligned steps have the same times. */
  readonly oneRecording: boolean;
  /** Both recordings were compared to the end of the shorter one; else what is kept in memory ended before. */
  readonly complete: boolean;
  /** Kinds of events that are in no path, because one recording cannot show them, or only derives them. */
  readonly leftOut: readonly KindName[];
  readonly vcpus: readonly VcpuPair[];
}

/** One recording at the divergence. */
export interface DivergentSide {
  /** Seconds in the trace's clock with nine decimals. */
  readonly time: string;
  /** Seconds since the recording's first record. */
  readonly since: number;
  readonly position: Position;
  /** The steps of the host's path there, in order; null where it is at nothing of this kind. */
  readonly path: readonly string[] | null;
  /** Where there is none: the path that it takes most often elsewhere; null where it never is at anything of this kind. */
  readonly usual: readonly string[] | null;
  /** How often it takes this path, of how often it is at this kind of step; each aligned guest step counts once. */
  readonly times: number;
  readonly of: number;
  /**
   * The last events of the vcpu before the path, and those of the path, which are the decisive ones. Empty when the
   * recording cannot be read again, as a pipe.
   */
  readonly events: readonly WitnessEvent[];
  /** State of the vcpu and its CPU before the path and after it, in the kernel's field names. */
  readonly before: Readonly<Record<string, string>>;
  readonly after: Readonly<Record<string, string>>;
}

/** The first place where the two behave differently. */
export interface FirstDivergence {
  /**
   * `path`: the host handles the same thing in another way. `values`: in the same way, with other values (one recording
   * only). `step`: the guest's next step is another one (one recording only).
   */
  readonly kind: 'path' | 'values' | 'step';
  /** What is handled: `exit by WFx`, `load after a sleep`. */
  readonly at: string;
  /** Index in the alignment's `vcpus`. */
  readonly vcpu: number;
  /** Guest steps of this vcpu that are the same before it. */
  readonly after: number;
  readonly old: DivergentSide;
  readonly new: DivergentSide;
  /** Probability that the difference is chance; null for one recording, where nothing is. */
  readonly chance: number | null;
}

/** First divergence of two recordings. */
export interface Divergence {
  readonly alignment: AlignmentSummary;
  readonly first: FirstDivergence | null;
  /** Paths that only one of them takes, so rarely that chance may explain it. */
  readonly rare: number;
  /** Level of the test, for all paths together. */
  readonly level: number;
}
