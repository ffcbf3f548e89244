import { accessClasses, type TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { type VcpuState, yes } from '../../machine/state.js';

/**
 * Whether the vcpu's thread was switched out in the middle of a trapped access: what one timer_emulate or
 * kvm_timer_update_irq has begun goes on when the thread comes back, after the load in which it does. From 6.3 on the
 * access to an emulated timer may be preempted anywhere (fc6ee952cf00: kvm_arm_timer_write_sysreg disables preemption
 * for direct timers alone), and so may be what evaluates the physical timer up to 5.0. A load, a put and an interrupt
 * cannot.
 */
export function isPreempted(event: TimerEvent, { exitClass, inGuest }: VcpuState): boolean {
  const isSwitch = event.kind === Kind.sched_switch && event.sleeping !== 1;
  return isSwitch && inGuest !== yes && accessClasses.includes(exitClass);
}

/**
 * Whether the vcpu was preempted in a trapped access and has been loaded again: the access goes on with what it had
 * begun. Up to 6.2 it puts and loads the timer itself, with no switch.
 */
export function isResumed({ exitClass, last }: VcpuState): boolean {
  const exit = last[Kind.exit].serial;
  return accessClasses.includes(exitClass) && last[Kind.load].serial > exit && last[Kind.sched_switch].serial > exit;
}
