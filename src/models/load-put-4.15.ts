import { Timer } from '../events/event.js';
import { unknown, yes } from '../machine/state.js';
import { vtimerOf } from './implied.js';
import { loadPutSteps, timerVcpuLoad } from './load-put.js';
import type { Model, Step } from './model.js';

// Source: arch_timer.c of 4.15.1 (specification §2c, "4.15 final"): the first landed form, with 36e5cfd410ad and
// 0eb7c33cadf6. irq.level is the line: the handler raises it if it is low and the hardware's CTL is exactly
// ENABLE | ISTATUS; every sync lowers it, and clears the active state unless the virtual interrupt is active. should_fire
// uses the memory copies, which a sync with the level high refreshes. Every vcpu ioctl loads and puts the vcpu.

/** kvm_timer_vcpu_load: the interrupt is active if level || kvm_vgic_map_is_active(); the second half is invisible. */
const load: Step = (machine, cpu, vcpu, event) => {
  loadPutSteps.load(machine, cpu, vcpu, event);
  if (vcpu !== undefined && vcpu.enabled === yes && vtimerOf(vcpu).level === yes)
    machine.setActive(cpu, Timer.vtimer, yes);
};

/** kvm_timer_enable, in the first KVM_RUN, with the vcpu loaded: it ends with a whole kvm_timer_vcpu_load (0eb7c33cadf6). */
const enable: Step = (machine, cpu, vcpu, event) => {
  if (vcpu === undefined || vcpu.enabled === yes) return;
  loadPutSteps.enable(machine, cpu, vcpu, event);
  timerVcpuLoad(machine, vcpu, cpu, unknown);
};

/** 4.15. */
export const loadPut415Model: Model = {
  id: 'load-put-4.15',
  kernels: '4.15',
  span: [4015, 4015],
  summary:
    'save in put and schedule, restore in load and unschedule; affinity set once; the level is cached and lowered by every sync',
  recordsSaveRestore: false,
  steps: { ...loadPutSteps, load, enable },
};
