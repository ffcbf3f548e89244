import { accessClasses, Ctl, Register, Timer } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { no, type TimerContext, unknown, type VcpuState } from '../machine/state.js';
import type { Step } from './model.js';

// Up to 5.0 the guest's physical timer is in memory alone, on every host: what it holds is known as long as every write of
// it has a record. A trapped access is one (kvm_arm_timer_set_reg, later kvm_arm_timer_write_sysreg), KVM_SET_ONE_REG
// another, a reset a third; what comes without a record makes it unknown.

const ptimerOf = (vcpu: VcpuState) => vcpu.contexts[Timer.ptimer] as TimerContext;

/** A guest's write of CNTP_CTL_EL0, CNTP_CVAL_EL0 or CNTP_TVAL_EL0. */
export const trappedAccess: Step = (_machine, _cpu, vcpu, event) => {
  if (vcpu === undefined || event.write === 0 || (event.timer !== Timer.ptimer && event.timer !== Timer.unknown))
    return;
  const context = ptimerOf(vcpu);
  if (!event.hasValue || event.register < 0) return context.forgetMemory();
  if (event.register === Register.ctl) context.ctl = event.valueLo & (Ctl.enable | Ctl.imask);
  context.cvalKnown = event.register === Register.cval || (event.register === Register.ctl && context.cvalKnown);
  if (event.register !== Register.cval) return;
  context.cvalHi = event.valueHi;
  context.cvalLo = event.valueLo;
};

/** Before an entry is applied: an exit since the last one that was, or may have been, a write without a record. */
export function settleAccess({ last, contexts }: VcpuState): void {
  const exit = last[Kind.exit];
  const seen = exit.serial > last[Kind.entry].serial;
  const other = exit.exceptionClass >= 0 ? !accessClasses.includes(exit.exceptionClass) : exit.exitCode === 0;
  const told = last[Kind.trapped_access].serial > exit.serial;
  if (!seen || !(other || told)) (contexts[Timer.ptimer] as TimerContext).forgetMemory();
}

/** Userspace may write it without a record from here on. */
export function leaveToUserspace(vcpu: VcpuState): void {
  ptimerOf(vcpu).forgetMemory();
}

/** kvm_timer_enable, once in the life of a vcpu: until then nothing has reported a level (kvm_timer_update_state). */
export function firstRun(vcpu: VcpuState): void {
  for (const context of vcpu.contexts) if (context.level === unknown) context.level = no;
}
