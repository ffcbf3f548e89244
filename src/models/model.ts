import type { TimerEvent } from '../events/event.js';
import { type KindName, kindNames } from '../events/kinds.js';
import type { Machine } from '../machine/machine.js';
import type { CpuState, VcpuState } from '../machine/state.js';

/** Kernel generations of the timer code (specification §2), in historical order. */
export const modelIds = [
  'world-switch',
  'rfc-load-put',
  'load-put-4.15',
  'load-put-4.16',
  'load-put-5.0',
  'timer-map',
  'offset',
  'stateless-level',
] as const;

export type ModelId = (typeof modelIds)[number];

/** What one kernel function does to the machine; `vcpu` is absent when the event could not be attributed. */
export type Step = (machine: Machine, cpu: CpuState, vcpu: VcpuState | undefined, event: TimerEvent) => void;

/** The timer code of one kernel generation. A model is pure: it touches the machine and nothing else. */
export interface Model {
  readonly id: ModelId;
  /** The kernels that have it. */
  readonly kernels: string;
  /** First and last of them, `major * 1000 + minor`. */
  readonly span: readonly [number, number];
  /** What distinguishes it, in one sentence. */
  readonly summary: string;
  /** A trace of 5.1 and later records every save and restore; before, loads and puts imply them. */
  readonly recordsSaveRestore: boolean;
  /** One function per event kind; its body mirrors the kernel function named above it. */
  readonly steps: Readonly<Partial<Record<KindName, Step>>>;
}

/** The steps of a model by kind number, for the hot path. */
export function stepTable(model: Model): readonly (Step | undefined)[] {
  return kindNames.map((name) => model.steps[name]);
}
