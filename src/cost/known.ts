import { canFire, Timer } from '../events/event.js';
import type { Known, VcpuState } from '../machine/state.js';
import { Field, know, nothingKnown } from './key.js';
import { Nesting } from './situation.js';

/** The key of what is known of any vcpu when something begins. */
export function keyOfVcpu(vcpu: VcpuState): number {
  const key = know(nothingKnown, Field.nested, nestingOf(vcpu));
  const { level } = vcpu.contexts[Timer.vtimer]!;
  return know(know(key, Field.enabled, three(vcpu.enabled)), Field.level, three(level));
}

/** The timer map as of its last record. */
export function nestingOf(vcpu: VcpuState): Nesting {
  if (vcpu.directVtimer < 0) return Nesting.unknown;
  if (!vcpu.isNested) return Nesting.none;
  return vcpu.directVtimer === Timer.hvtimer ? Nesting.hypervisor : Nesting.guest;
}

/** A known value as 0 or 1, an unknown one as 2. */
function three(value: Known): number {
  return value < 0 ? 2 : value;
}

/** Whether the copy of a timer in memory is enabled and not masked. */
export function memoryCanFire(vcpu: VcpuState, timer: Timer): number {
  const { ctl } = vcpu.contexts[timer]!;
  return ctl < 0 ? 2 : canFire(ctl) ? 1 : 0;
}
