import { accessClasses, type TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { yes } from '../../machine/state.js';
import type { RuleContext } from '../context.js';

/** What a put shows of itself. */
const putKinds: readonly number[] = [Kind.put, Kind.put_end, Kind.save];

/**
 * Whether the vcpu's thread was switched out in the middle of a trapped access: what one timer_emulate or
 * kvm_timer_update_irq has begun goes on when the thread comes back, after the load in which it does. From 6.3 on the
 * access to an emulated timer may be preempted anywhere (fc6ee952cf00: kvm_arm_timer_write_sysreg disables preemption
 * for direct timers alone), and so may be what evaluates the physical timer up to 5.0. A load, a put and an interrupt
 * cannot.
 */
export function isPreempted(context: RuleContext, event: TimerEvent): boolean {
  const { exitClass, inGuest } = context.machine.vcpu(event.vcpu);
  if (inGuest === yes || !accessClasses.includes(exitClass)) return false;
  if (context.records(Kind.sched_switch)) return event.kind === Kind.sched_switch && event.sleeping !== 1;
  return putsUnswitched(context) && putKinds.includes(event.kind);
}

/**
 * Whether the vcpu was preempted in a trapped access and has been loaded again: the access goes on with what it had
 * begun. Up to 6.2 it puts and loads the timer itself, with no switch.
 */
export function isResumed(context: RuleContext, vcpu: number): boolean {
  const { exitClass, last } = context.machine.vcpu(vcpu);
  const exit = last[Kind.exit].serial;
  if (!accessClasses.includes(exitClass) || last[Kind.load].serial < exit) return false;
  if (context.records(Kind.sched_switch)) return last[Kind.sched_switch].serial > exit;
  return putsUnswitched(context) && last[Kind.put].serial > exit;
}

/** Where no switch is recorded a put in an access tells of one, unless accesses make their own (up to 6.2). */
function putsUnswitched(context: RuleContext): boolean {
  return !context.candidates.includes('timer-map');
}
