import { nowhere } from '../machine/state.js';
import type { Model, Step } from './model.js';
import { timerMapModel } from './timer-map.js';

// Source: arch_timer.c of 6.6 and 6.12 (specification §2e). Offsets belong to the VM; CNTVOFF_EL2 is written by
// the restore and the save of the direct virtual timer instead of by load and put.

/** kvm_timer_vcpu_load: no offset any more; timer_set_traps at its end leaves no record. */
const timerLoad: Step = () => {};

/** kvm_timer_vcpu_put: no offset any more. */
const timerPut: Step = () => {};

/** timer_restore_state: set_cntvoff(timer_get_offset(ctx)) precedes CVAL for the virtual timers. */
const restore: Step = (machine, cpu, vcpu, event) => {
  if (vcpu !== undefined && vcpu.contexts[event.timer] === vcpu.vtimer) machine.setCntvoff(cpu, vcpu.index);
  timerMapModel.steps.restore?.(machine, cpu, vcpu, event);
};

/** timer_save_state: set_cntvoff(0) follows CTL := 0 for the virtual timers. */
const save: Step = (machine, cpu, vcpu, event) => {
  timerMapModel.steps.save?.(machine, cpu, vcpu, event);
  if (vcpu !== undefined && vcpu.contexts[event.timer] === vcpu.vtimer) machine.setCntvoff(cpu, nowhere);
};

/** 6.4 to 6.13: VM-wide offsets, nested maps. */
export const offsetModel: Model = {
  id: 'offset',
  kernels: '6.4 to 6.13',
  span: [6004, 6013],
  summary:
    'as timer-map, with offsets per VM, CNTVOFF written in save and restore, and nested maps (ev: in the timer map)',
  recordsSaveRestore: true,
  steps: { ...timerMapModel.steps, timer_load: timerLoad, timer_put: timerPut, restore, save },
};
