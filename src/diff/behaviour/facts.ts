import type { KindName } from '../../events/kinds.js';
import type { SideName } from '../facts.js';
import type { Comparison } from '../noise/level.js';
import type { Anchor } from './step.js';

/** Who it is about: a vcpu in both recordings, or null for all of them together. */
export interface Role {
  /** As the old and the new recording number it. */
  readonly old: { readonly vm: number; readonly id: number };
  readonly new: { readonly vm: number; readonly id: number };
}

/** A path from one entry to the next, and its share of all trips. */
export interface PathChange {
  readonly role: Role | null;
  /** Names of its steps; those of kinds that one recording cannot show are left out. */
  readonly steps: readonly string[];
  /** Trips that took it. */
  readonly old: number;
  readonly new: number;
  /** Shares of all trips. */
  readonly share: Comparison;
}

/** What follows a step, as a share of all that follows it. */
export interface SequenceChange {
  readonly role: Role | null;
  readonly step: string;
  readonly next: string;
  readonly share: Comparison;
}

/** Where a step happens: the last of entry, exit, load, put, schedule and unschedule before it. */
export interface PlacementChange {
  readonly role: Role | null;
  readonly step: string;
  readonly anchor: Anchor;
  /** Share of the step's occurrences that come there. */
  readonly share: Comparison;
}

/** How often a step happens. */
export interface RateChange {
  readonly role: Role | null;
  readonly what: string;
  /** What it is counted by. */
  readonly per: 'entry' | 'tick' | 'exit';
  readonly rate: Comparison;
}

/** A kind that is not compared, because one recording does not show it as the other does. */
export interface NotCompared {
  readonly kind: KindName;
  /** The recording that lacks it, and why. */
  readonly side: SideName;
  readonly why: string;
  /** Events of the kind in both recordings. */
  readonly old: number;
  readonly new: number;
}

/** What the vcpus do in both recordings, as far as both can show it. */
export interface BehaviourDiff {
  readonly notCompared: readonly NotCompared[];
  readonly rates: readonly RateChange[];
  readonly placements: readonly PlacementChange[];
  readonly paths: readonly PathChange[];
  readonly sequences: readonly SequenceChange[];
}
