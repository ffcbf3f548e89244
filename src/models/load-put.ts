import { Certainty, Timer } from '../events/event.js';
import type { Machine } from '../machine/machine.js';
import { type CpuState, type Known, no, unknown, type VcpuState, yes } from '../machine/state.js';
import { firstRun, leaveToUserspace, settleAccess, trappedAccess } from './emulated-ptimer.js';
import { impliedSave, restore, save, vtimerOf } from './implied.js';
import type { Step } from './model.js';
import { timerMapModel } from './timer-map.js';

// What arch_timer.c of 4.15.1, 4.19.71 and 5.0 have in common (specification §2c). The virtual timer's registers belong
// to a loaded vcpu from load to put and from unschedule to schedule. The physical timer is emulated on VHE and non-VHE:
// its hrtimer is armed by load and cancelled by put (phys_timer_emulate), and its level has records of its own.

/**
 * vtimer_restore_state: nothing if loaded. Whether a vcpu has run before is known from its first entry, exit or enable
 * on; until then its load may have returned at once.
 */
function restoreVtimer(machine: Machine, vcpu: VcpuState, cpu: CpuState): void {
  const context = vtimerOf(vcpu);
  if (context.loaded === yes) return;
  if (vcpu.enabled === unknown) {
    context.loaded = unknown;
    context.implied = true;
    context.forgetHardware();
    return;
  }
  machine.restoreState(vcpu, cpu, Timer.vtimer, undefined);
  vcpu.restoredSinceEnable = yes;
}

/**
 * kvm_timer_vcpu_load: returns at once if !enabled; then the active state, the offset, and the restore.
 *
 * @param active what is known of the active state that it writes
 */
export function timerVcpuLoad(machine: Machine, vcpu: VcpuState, cpu: CpuState, active: Known): void {
  if (vcpu.enabled === no) return;
  machine.setActive(cpu, Timer.vtimer, active);
  restoreVtimer(machine, vcpu, cpu);
}

/** kvm_arch_vcpu_load. The vgic's active state has no record, so that what load writes is not known without a probe. */
const load: Step = (machine, cpu, vcpu, event) => {
  if (vcpu === undefined) return;
  machine.setRunning(vcpu, cpu, event.certainty >= Certainty.approximate);
  timerVcpuLoad(machine, vcpu, cpu, unknown);
};

/** kvm_timer_vcpu_load and _put where they are probed: the load has been applied, what is new is the memory copy. */
export const memoryShown: Step = (machine, _cpu, vcpu, event) => {
  if (vcpu !== undefined && event.loaded === 0 && event.hasCval) machine.showSaved(vcpu, Timer.vtimer, event);
};

/** As `memoryShown`; the load in kvm_timer_enable of 4.15 is none of kvm_arch_vcpu_load, and restores for the first time. */
const timerLoad: Step = (machine, cpu, vcpu, event) => {
  memoryShown(machine, cpu, vcpu, event);
  if (vcpu !== undefined && vcpu.enabled === yes && vcpu.cpu === cpu.index) restoreVtimer(machine, vcpu, cpu);
};

/**
 * kvm_arch_vcpu_put, with kvm_timer_vcpu_put: the save, with the isb of 36e5cfd410ad, the physical timer's hrtimer, and
 * CNTVOFF := 0, which 4.16 and later leave out on VHE.
 */
const put: Step = (machine, cpu, vcpu) => {
  if (vcpu === undefined || vcpu.enabled === no) return;
  impliedSave(machine, vcpu, cpu);
};

/**
 * kvm_timer_schedule: the save, then the background timer unless a timer should fire or none can. WFI alone does not show
 * it: the halt polls before, and need not come to it.
 */
const schedule: Step = (machine, cpu, vcpu, event) => {
  if (vcpu === undefined) return;
  vcpu.blocked = yes;
  if (event.certainty === Certainty.recorded) impliedSave(machine, vcpu, cpu);
  else if (vtimerOf(vcpu).loaded === yes) vtimerOf(vcpu).loaded = unknown;
};

/** kvm_timer_unschedule: the restore, which a load may have done already; the cancel has a record of its own. */
const unschedule: Step = (machine, cpu, vcpu) => {
  if (vcpu === undefined) return;
  restoreVtimer(machine, vcpu, cpu);
  vcpu.blocked = no;
};

/** A vcpu that is entered is loaded, and no longer waits, whatever the trace has shown of it. */
const entry: Step = (machine, cpu, vcpu, event) => {
  if (vcpu !== undefined) settleAccess(vcpu);
  timerMapModel.steps.entry?.(machine, cpu, vcpu, event);
  if (vcpu === undefined || vcpu.cpu !== cpu.index || vtimerOf(vcpu).loaded === yes) return;
  restoreVtimer(machine, vcpu, cpu);
  vtimerOf(vcpu).enteredSinceRestore = yes;
};

const exit: Step = (machine, cpu, vcpu, event) => {
  timerMapModel.steps.exit?.(machine, cpu, vcpu, event);
  if (vcpu !== undefined) vcpu.enabled = yes;
};

/** kvm_timer_enable, before the load of the first KVM_RUN since 4.16; it returns at once if enabled. */
const enable: Step = (machine, cpu, vcpu, event) => {
  if (vcpu === undefined || vcpu.enabled === yes) return;
  firstRun(vcpu);
  timerMapModel.steps.enable?.(machine, cpu, vcpu, event);
};

const userspaceExit: Step = (machine, cpu, vcpu, event) => {
  timerMapModel.steps.userspace_exit?.(machine, cpu, vcpu, event);
  if (vcpu !== undefined) leaveToUserspace(vcpu);
};

/**
 * The steps of 4.16 to 5.0. The handler (kvm_arch_timer_handler) does nothing without a running vcpu and reports level 1
 * whenever the hardware asserts its line, again and again; sync lowers it for userspace irqchips only. What both do has
 * records.
 */
export const loadPutSteps = {
  ...timerMapModel.steps,
  load,
  put,
  timer_load: timerLoad,
  timer_put: memoryShown,
  schedule,
  unschedule,
  halt_end: unschedule,
  entry,
  exit,
  enable,
  trapped_access: trappedAccess,
  userspace_exit: userspaceExit,
  save,
  restore,
} as const;
