import { Certainty, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import type { Machine } from '../machine/machine.js';
import { no, type TimerContext, unknown, type VcpuState, yes } from '../machine/state.js';
import { firstRun, leaveToUserspace, settleAccess, trappedAccess } from './emulated-ptimer.js';
import type { Model, Step } from './model.js';
import { timerMapModel } from './timer-map.js';

// Source: arch_timer.c, arm.c and hyp/timer-sr.c of 4.9 and 4.14 (specification §2a); 4.4 to 4.8 are inferred from
// 4.9. There is no flag `loaded`: the hardware holds a vcpu's CNTV between its entry and its real exit, and neither
// the restore nor the save there leaves a record. The physical timer exists from 4.11 on, and only in memory.

const { steps } = timerMapModel;

/** What a probe read of the vcpu's timer when the function was entered: the state before the function's own effects. */
function show(machine: Machine, vcpu: VcpuState, event: TimerEvent): void {
  machine.showMemory(vcpu, Timer.vtimer, event);
  if (event.activeCleared >= 0) vcpu.activeCleared = event.activeCleared === 1 ? yes : no;
  // 4.9 keeps `armed` set after the expiry until unschedule or the work item clears it: only a clear one tells.
  if (event.armed === 0) vcpu.bgArmed = no;
}

/** kvm_arch_vcpu_load: no timer effect. */
const load: Step = (machine, cpu, vcpu, event) => {
  if (vcpu === undefined) return;
  machine.setRunning(vcpu, cpu, event.certainty >= Certainty.approximate);
};

/** kvm_timer_vcpu_put: active_cleared_last := false, since the next flush may be on another CPU. */
const timerPut: Step = (machine, _cpu, vcpu, event) => {
  if (vcpu === undefined) return;
  show(machine, vcpu, event);
  vcpu.activeCleared = no;
};

const put: Step = (_machine, _cpu, vcpu) => {
  if (vcpu !== undefined) vcpu.activeCleared = no;
};

const putEnd: Step = (machine, cpu, vcpu) => {
  if (vcpu !== undefined) machine.clearRunning(vcpu, cpu);
};

/**
 * kvm_timer_flush_hwstate: update_state, from 4.11 on the hrtimer for the physical timer, then the active state, all of
 * which have records of their own (kvm_timer_update_irq, hrtimer_start, a probe on irq_set_irqchip_state).
 */
const flush: Step = (machine, _cpu, vcpu, event) => {
  if (vcpu === undefined) return;
  show(machine, vcpu, event);
  vcpu.activeCleared = unknown;
  inRun(vcpu);
};

/** kvm_timer_sync_hwstate: from 4.11 on disarms the hrtimer, then update_state. */
const sync: Step = (machine, _cpu, vcpu, event) => {
  if (vcpu === undefined) return;
  show(machine, vcpu, event);
  inRun(vcpu);
};

/** Inside KVM_RUN userspace writes no register: what was written before is in memory by now. */
function inRun(vcpu: VcpuState): void {
  for (const context of vcpu.contexts) context.writable = no;
  vcpu.blocked = no;
}

/**
 * kvm_arch_vcpu_ioctl_run, at trace_kvm_entry; then __timer_restore_state: offset, CVAL, isb, CTL. On non-VHE hosts it
 * writes CNTHCTL_EL2 before; 4.9 does so on VHE as well, in the wrong layout (specification §5, bug 8).
 */
const entry: Step = (machine, cpu, vcpu, event) => {
  if (vcpu === undefined) return;
  settleAccess(vcpu);
  steps.entry?.(machine, cpu, vcpu, event);
  machine.restoreState(vcpu, cpu, Timer.vtimer, undefined);
  const context = vcpu.contexts[Timer.vtimer] as TimerContext;
  context.enteredSinceRestore = yes;
  // The copy in memory is of no use from here on: the exit writes it anew, wherever that is recorded.
  context.forgetMemory();
  context.writable = no;
};

/** __timer_save_state (registers read, CTL := 0, offset := 0), long before trace_kvm_exit (§0.5, point 1). */
const exit: Step = (machine, cpu, vcpu, event) => {
  if (vcpu !== undefined) {
    machine.saveState(vcpu, cpu, Timer.vtimer, undefined);
    (vcpu.contexts[Timer.vtimer] as TimerContext).forgetHardware();
  }
  steps.exit?.(machine, cpu, vcpu, event);
};

/** kvm_timer_schedule: BUG_ON(armed), then the hrtimer unless the timer has expired or cannot fire. */
const schedule: Step = (machine, cpu, vcpu, event) => {
  if (vcpu === undefined) return;
  show(machine, vcpu, event);
  steps.schedule?.(machine, cpu, vcpu, event);
};

/** kvm_timer_unschedule: disarms the hrtimer, which has a record of its own if it had not fired. */
const unschedule: Step = (machine, _cpu, vcpu, event) => {
  if (vcpu === undefined) return;
  show(machine, vcpu, event);
  vcpu.blocked = no;
};

/** kvm_timer_update_irq: active_cleared_last := false, and the level. */
const updateIrq: Step = (machine, cpu, vcpu, event) => {
  steps.update_irq?.(machine, cpu, vcpu, event);
  if (vcpu === undefined) return;
  // A flush goes on to decide anew.
  vcpu.activeCleared = vcpu.last[Kind.flush].serial > vcpu.last[Kind.sync].serial ? unknown : no;
};

/** irq_set_irqchip_state in flush: active_cleared_last := !level; no other caller of it concerns the timer. */
const setActive: Step = (machine, cpu, vcpu, event) => {
  steps.set_active?.(machine, cpu, vcpu, event);
  if (vcpu !== undefined && event.timer !== Timer.ptimer) vcpu.activeCleared = event.level === 1 ? no : yes;
};

/** kvm_timer_enable: nothing if enabled. */
const enable: Step = (machine, cpu, vcpu, event) => {
  if (vcpu !== undefined && vcpu.enabled !== yes) firstRun(vcpu);
  steps.enable?.(machine, cpu, vcpu, event);
};

const userspaceExit: Step = (machine, cpu, vcpu, event) => {
  steps.userspace_exit?.(machine, cpu, vcpu, event);
  if (vcpu !== undefined) leaveToUserspace(vcpu);
};

/** 4.4 to 4.14. */
export const worldSwitchModel: Model = {
  id: 'world-switch',
  kernels: '4.4 to 4.14',
  span: [4004, 4014],
  summary: 'the hypervisor saves and restores the timer around every entry; hardware holds it only in the guest',
  recordsSaveRestore: false,
  steps: {
    entry,
    exit,
    load,
    put,
    timer_put: timerPut,
    put_end: putEnd,
    flush,
    sync,
    schedule,
    unschedule,
    halt_end: steps.halt_end,
    update_irq: updateIrq,
    set_active: setActive,
    bg_arm: steps.bg_arm,
    bg_cancel: steps.bg_cancel,
    bg_expire: steps.bg_expire,
    vtimer_irq: steps.vtimer_irq,
    vtimer_irq_end: steps.vtimer_irq_end,
    enable,
    reset: steps.reset,
    user_write: steps.user_write,
    trapped_access: trappedAccess,
    userspace_exit: userspaceExit,
    lost: steps.lost,
  } as Model['steps'],
};
