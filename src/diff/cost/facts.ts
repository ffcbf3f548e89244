import type { Category, CostKind } from '../../cost/kinds.js';
import type { ModelId } from '../../models/model.js';
import type { Comparison } from '../noise/index.js';

/** Operations of a kind: a run of the kernel's code of one category, or per something else. */
export interface CostChange {
  readonly kind: CostKind;
  readonly per: Category | 'tick' | 'guest second';
  readonly cost: Comparison;
  /** It differs beyond noise. */
  readonly differs: boolean;
}

/** What is not known of one recording's costs. */
export interface CostBasis {
  /** The model by whose design they are told; null where none fits. */
  readonly model: ModelId | null;
  /** Runs of the kernel's code, and of how many the cost depends on a guard that nothing tells. */
  readonly runs: number;
  readonly assumed: Readonly<Record<string, number>>;
}

/** What the kernel's timer code had to do, by the design that fits each recording; only what either of them did at all. */
export interface CostDiff {
  readonly old: CostBasis;
  readonly new: CostBasis;
  /** By category, then by kind. */
  readonly perEvent: readonly CostChange[];
  /** Of all categories together, per tick of the guest's timer and per second of guest time. */
  readonly totals: readonly CostChange[];
}
