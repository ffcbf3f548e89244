import { canFire, Timer } from '../events/event.js';
import type { Known, VcpuState } from '../machine/state.js';
import { type Known3, Nesting } from './situation.js';

/** Sets everything to "not known". */
export function clear(known: Known3): Known3 {
  known.enabled = 2;
  known.level = 2;
  known.loaded = 2;
  known.canFire = 2;
  known.ptimerCanFire = 2;
  known.bgArmed = 2;
  known.blocked = 2;
  known.extra = 2;
  known.timer = 2;
  known.nested = Nesting.unknown;
  return known;
}

/** What is known of any vcpu when something begins. */
export function knowVcpu(known: Known3, vcpu: VcpuState): Known3 {
  known.enabled = three(vcpu.enabled);
  known.nested = nestingOf(vcpu);
  known.level = three(vcpu.contexts[Timer.vtimer]!.level);
  return known;
}

/** The timer map as of its last record. */
export function nestingOf(vcpu: VcpuState): Nesting {
  if (vcpu.directVtimer < 0) return Nesting.unknown;
  if (!vcpu.isNested) return Nesting.none;
  return vcpu.directVtimer === Timer.hvtimer ? Nesting.hypervisor : Nesting.guest;
}

/** A known value as 0 or 1, an unknown one as 2. */
export function three(value: Known): number {
  return value < 0 ? 2 : value;
}

/** Whether the copy of a timer in memory is enabled and not masked. */
export function memoryCanFire(vcpu: VcpuState, timer: Timer): number {
  const { ctl } = vcpu.contexts[timer]!;
  return ctl < 0 ? 2 : canFire(ctl) ? 1 : 0;
}
