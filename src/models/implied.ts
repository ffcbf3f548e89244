import { Timer } from '../events/event.js';
import type { Machine } from '../machine/machine.js';
import { type CpuState, no, type TimerContext, type VcpuState, yes } from '../machine/state.js';
import type { Step } from './model.js';

// Up to 5.0 no tracepoint shows a save or a restore: load, put, schedule and unschedule imply them, and a record of one,
// which only probes make, confirms what was implied.

/** The virtual timer's context: the only one whose registers the hardware holds before 5.1. */
export function vtimerOf(vcpu: VcpuState): TimerContext {
  return vcpu.contexts[Timer.vtimer] as TimerContext;
}

/** timer_save_state, vtimer_save_state from 4.15 on: nothing unless loaded. */
export function impliedSave(machine: Machine, vcpu: VcpuState, cpu: CpuState): void {
  if (vtimerOf(vcpu).loaded !== no) machine.saveState(vcpu, cpu, Timer.vtimer, undefined);
}

/** The record of a save: usually of one that schedule or put has implied. */
export const save: Step = (machine, cpu, vcpu, event) => {
  if (vcpu === undefined || event.timer < 0) return;
  const context = vcpu.contexts[event.timer] as TimerContext;
  if (context.implied && context.loaded === no) machine.confirmSave(vcpu, event.timer, event);
  else machine.saveState(vcpu, cpu, event.timer, event);
};

/** The record of a restore: usually of one that load or unschedule has implied. */
export const restore: Step = (machine, cpu, vcpu, event) => {
  if (vcpu === undefined || event.timer < 0) return;
  const context = vcpu.contexts[event.timer] as TimerContext;
  if (context.implied && context.loaded === yes) machine.confirmRestore(vcpu, event.timer, event);
  else machine.restoreState(vcpu, cpu, event.timer, event);
  if (vcpu.enabled === yes) vcpu.restoredSinceEnable = yes;
};
