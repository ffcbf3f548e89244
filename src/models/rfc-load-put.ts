import { Certainty, Timer } from '../events/event.js';
import type { Machine } from '../machine/machine.js';
import type { CpuState } from '../machine/state.js';
import { no, type TimerContext, unknown, type VcpuState, yes } from '../machine/state.js';
import { firstRun } from './emulated-ptimer.js';
import { impliedSave, restore, save } from './implied.js';
import { memoryShown } from './load-put.js';
import type { Model, Step } from './model.js';
import { timerMapModel } from './timer-map.js';

// Source: [RFC PATCH 5/7] "KVM: arm/arm64: Move timer save/restore out of hyp code where possible" on 4.10-rc
// (specification §2b). One virtual timer; no record shows a save or a restore unless the trace was made with
// probes, so load, put, schedule and unschedule imply them.

/** timer_restore_state: nothing if loaded; registers are written only if enabled, `loaded` is set always (W5). */
function timerRestoreState(machine: Machine, vcpu: VcpuState, cpu: CpuState): void {
  const context = vcpu.contexts[Timer.vtimer] as TimerContext;
  if (context.loaded === yes) return;
  if (vcpu.enabled === no) {
    context.loaded = yes;
    context.implied = true;
    context.forgetHardware();
    return;
  }
  machine.restoreState(vcpu, cpu, Timer.vtimer, undefined);
  if (vcpu.enabled === yes) vcpu.restoredSinceEnable = yes;
}

/** kvm_arch_vcpu_load, then kvm_timer_vcpu_load: affinity, active state, offset, restore; no check of `enabled`. */
const load: Step = (machine, cpu, vcpu, event) => {
  if (vcpu === undefined) return;
  machine.setRunning(vcpu, cpu, event.certainty >= Certainty.approximate);
  machine.setAffinity(yes);
  const level = (vcpu.contexts[Timer.vtimer] as TimerContext).level;
  // level || kvm_vgic_map_is_active(): the second half is invisible, so a low level leaves the state unknown.
  machine.setActive(cpu, Timer.vtimer, level === yes ? yes : unknown);
  timerRestoreState(machine, vcpu, cpu);
};

/** kvm_arch_vcpu_put: kvm_timer_vcpu_put first (save, offset, affinity), the running vcpu is cleared after it. */
const put: Step = (machine, cpu, vcpu) => {
  if (vcpu === undefined) return;
  impliedSave(machine, vcpu, cpu);
  machine.setAffinity(no);
};

const putEnd: Step = (machine, cpu, vcpu) => {
  if (vcpu !== undefined) machine.clearRunning(vcpu, cpu);
};

/** kvm_timer_schedule: save, then the background timer unless the guest's has expired or cannot fire. */
const schedule: Step = (machine, cpu, vcpu) => {
  if (vcpu === undefined) return;
  impliedSave(machine, vcpu, cpu);
  vcpu.blocked = yes;
};

/** kvm_timer_unschedule, before kvm_vcpu_wakeup: disarm, then restore, which a load may have done already. */
const unschedule: Step = (machine, cpu, vcpu) => {
  if (vcpu === undefined) return;
  machine.disarmBackgroundTimer(vcpu);
  timerRestoreState(machine, vcpu, cpu);
  vcpu.blocked = no;
};

/** kvm_arch_timer_handler: if the level is low, the memory copy of CTL is overwritten from hardware (W3). */
const irq: Step = (machine, cpu, vcpu, event) => {
  timerMapModel.steps.vtimer_irq?.(machine, cpu, vcpu, event);
  const context = vcpu?.contexts[Timer.vtimer];
  if (context === undefined || context.level === yes) return;
  if (context.loaded === no) context.ctl = 0;
};

/** kvm_timer_enable, in the first KVM_RUN, with the vcpu loaded (W5): nothing if enabled. */
const enable: Step = (machine, cpu, vcpu, event) => {
  if (vcpu !== undefined && vcpu.enabled !== yes) {
    firstRun(vcpu);
    // The load before it has written nothing.
    (vcpu.contexts[Timer.vtimer] as TimerContext).forgetHardware();
  }
  timerMapModel.steps.enable?.(machine, cpu, vcpu, event);
};

/** [RFC PATCH 5/7], December 2016, on 4.10-rc. */
export const rfcLoadPutModel: Model = {
  id: 'rfc-load-put',
  kernels: '4.10-rc with the RFC series of December 2016',
  span: [4010, 4010],
  summary: 'save and restore moved from the world switch to vcpu load and put; affinity set at load, cleared at put',
  recordsSaveRestore: false,
  steps: {
    ...timerMapModel.steps,
    load,
    put,
    put_end: putEnd,
    timer_load: memoryShown,
    timer_put: memoryShown,
    schedule,
    unschedule,
    halt_end: unschedule,
    vtimer_irq: irq,
    enable,
    save,
    restore,
  },
};
