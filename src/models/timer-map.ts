import { Certainty } from '../events/event.js';
import { contextCount, no, somewhere, type TimerContext, unknown, yes } from '../machine/state.js';
import type { Model, Step } from './model.js';

// Source: arch_timer.c and arm.c of 5.4, 5.10, 5.15 and 6.1 (specification §2d). From 5.1 on the kernel traces
// every save and restore, so loads and puts imply neither: what the trace does not show did not happen.

/** kvm_arch_vcpu_load: the vcpu becomes the CPU's running vcpu. */
const load: Step = (machine, cpu, vcpu, event) => {
  if (vcpu === undefined) return;
  machine.setRunning(vcpu, cpu, event.certainty >= Certainty.approximate);
};

/** kvm_arch_vcpu_put ends with vcpu->cpu = -1 and kvm_arm_set_running_vcpu(NULL), after the timer's part. */
const putEnd: Step = (machine, cpu, vcpu) => {
  if (vcpu === undefined) return;
  machine.clearRunning(vcpu, cpu);
  // A put that is complete leaves the registers saved or the trace has shown otherwise; it is judged before.
  for (const context of vcpu.contexts) if (context.loaded === yes) context.loaded = unknown;
  for (let timer = 0; timer < cpu.owner.length; timer++)
    if (cpu.owner[timer] === vcpu.index) cpu.owner[timer] = somewhere;
};

/** kvm_arch_vcpu_ioctl_run, at trace_kvm_entry: interrupts off, immediately before the world switch. */
const entry: Step = (_machine, cpu, vcpu) => {
  if (vcpu === undefined) return;
  vcpu.inGuest = yes;
  vcpu.blocked = no;
  vcpu.exitClass = -1;
  vcpu.enabled = yes;
  vcpu.resetPending = false;
  if (vcpu.cpu === somewhere) vcpu.cpu = cpu.index;
  if (cpu.running === somewhere) cpu.running = vcpu.index;
  for (const context of vcpu.contexts) if (context.loaded !== no) context.enteredSinceRestore = yes;
  // A hypervisor in the guest writes the timers of its own guest in memory (VNCR_EL2), which traps nowhere.
  if (vcpu.isNested)
    for (let timer = 0; timer < contextCount; timer++)
      if (vcpu.isEmulated(timer)) (vcpu.contexts[timer] as TimerContext).writable = yes;
};

/** kvm_arch_vcpu_ioctl_run, at trace_kvm_exit: interrupts were on again for a moment (§0.5, point 1). */
const exit: Step = (_machine, cpu, vcpu, event) => {
  if (vcpu === undefined) return;
  vcpu.inGuest = no;
  vcpu.exitClass = event.exceptionClass;
  if (vcpu.cpu === somewhere) vcpu.cpu = cpu.index;
  if (cpu.running === somewhere) cpu.running = vcpu.index;
};

/** timer_save_state. */
const save: Step = (machine, cpu, vcpu, event) => {
  if (vcpu === undefined || event.timer < 0) return;
  machine.saveState(vcpu, cpu, event.timer, event);
};

/** timer_restore_state. */
const restore: Step = (machine, cpu, vcpu, event) => {
  if (vcpu === undefined || event.timer < 0) return;
  machine.restoreState(vcpu, cpu, event.timer, event);
  if (vcpu.enabled === yes && vcpu.contexts[event.timer] === vcpu.vtimer) vcpu.restoredSinceEnable = yes;
};

/** kvm_timer_update_irq. */
const updateIrq: Step = (machine, _cpu, vcpu, event) => {
  if (vcpu === undefined) {
    // Somebody's level has changed, and it is not known whose.
    for (const any of machine.vcpus) {
      const context = any.contexts[event.timer];
      if (context !== undefined) context.level = unknown;
    }
    return;
  }
  machine.updateIrq(vcpu, event.timer, event.level === 1 ? yes : no, event);
};

/** get_timer_map. */
const timerMap: Step = (_machine, _cpu, vcpu, event) => {
  if (vcpu === undefined) return;
  vcpu.directVtimer = event.directVtimer;
  vcpu.directPtimer = event.directPtimer;
  vcpu.emulVtimer = event.emulVtimer;
  vcpu.emulPtimer = event.emulPtimer;
};

/** kvm_timer_blocking, inside the put since 5.1: soft_timer_start(&timer->bg_timer). */
const bgArm: Step = (machine, _cpu, vcpu) => {
  if (vcpu !== undefined) machine.armBackgroundTimer(vcpu);
};

/** kvm_timer_unblocking, inside the load since 5.1: soft_timer_cancel(&timer->bg_timer); or kvm_bg_timer_expire. */
const bgEnd: Step = (machine, _cpu, vcpu) => {
  if (vcpu !== undefined) machine.disarmBackgroundTimer(vcpu);
};

/** kvm_arch_timer_handler, from irq_handler_entry to irq_handler_exit. */
const irq: Step = (_machine, cpu) => {
  cpu.inTimerIrq = yes;
};
const irqEnd: Step = (_machine, cpu) => {
  cpu.inTimerIrq = no;
};

/** irq_set_irqchip_state(host_vtimer_irq, IRQCHIP_STATE_ACTIVE, …) in kvm_timer_vcpu_load_gic and the vgic's fold. */
const setActive: Step = (machine, cpu, _vcpu, event) => {
  machine.setActive(cpu, event.timer, event.level === 1 ? yes : no);
};

/** irq_set_vcpu_affinity: once in kvm_timer_hyp_init since 4.15, hence seldom in a trace. */
const setAffinity: Step = (machine, _cpu, _vcpu, event) => {
  machine.setAffinity(event.level === 1 ? yes : no);
};

/** kvm_vcpu_block and kvm_vcpu_halt: the vcpu's wait. */
const schedule: Step = (_machine, _cpu, vcpu) => {
  if (vcpu !== undefined) vcpu.blocked = yes;
};
const unschedule: Step = (_machine, _cpu, vcpu) => {
  if (vcpu !== undefined) vcpu.blocked = no;
};

/** kvm_timer_enable: timer->enabled = 1, in the first KVM_RUN, before the load. */
const enable: Step = (_machine, _cpu, vcpu) => {
  if (vcpu === undefined) return;
  vcpu.enabled = yes;
  vcpu.restoredSinceEnable = no;
};

/** kvm_timer_vcpu_reset: CTL := 0 in the memory copy of every context; CVAL stays. */
const reset: Step = (_machine, _cpu, vcpu) => {
  if (vcpu === undefined) return;
  vcpu.resetPending = true;
  for (const context of vcpu.contexts) context.ctl = 0;
};

/** kvm_arm_timer_set_reg: the memory copy; the vcpu is not loaded during the ioctl since 4.17. */
const userWrite: Step = (machine, _cpu, vcpu, event) => {
  if (vcpu !== undefined) machine.writeMemory(vcpu, event);
};

/** Back in userspace, which may write registers without leaving a record. */
const userspaceExit: Step = (_machine, _cpu, vcpu) => {
  if (vcpu === undefined) return;
  for (const context of vcpu.contexts) context.writable = yes;
  vcpu.blocked = no;
};

const lost: Step = (machine, cpu) => {
  machine.forgetCpu(cpu.index);
};

/** 5.1 to 6.3: contexts are direct or emulated by the timer map; the background timer lives in put and load. */
export const timerMapModel: Model = {
  id: 'timer-map',
  kernels: '5.1 to 6.3',
  span: [5001, 6003],
  summary: 'kvm_get_timer_map tells direct from emulated contexts; every save and restore is traced',
  recordsSaveRestore: true,
  steps: {
    load,
    put_end: putEnd,
    entry,
    exit,
    save,
    restore,
    update_irq: updateIrq,
    timer_map: timerMap,
    bg_arm: bgArm,
    bg_cancel: bgEnd,
    bg_expire: bgEnd,
    vtimer_irq: irq,
    vtimer_irq_end: irqEnd,
    set_active: setActive,
    set_affinity: setAffinity,
    schedule,
    unschedule,
    halt_end: unschedule,
    enable,
    reset,
    user_write: userWrite,
    userspace_exit: userspaceExit,
    lost,
  },
};
