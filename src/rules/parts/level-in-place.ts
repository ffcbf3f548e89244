import { accessClasses, Context, Timer, type TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { yes } from '../../machine/state.js';
import type { RuleContext } from '../context.js';
import { cachingModels, timerText, vcpuName } from '../support.js';

/**
 * Up to 5.0 the virtual timer's level is evaluated in few places: by flush and sync up to 4.14, by the sync of an exit and the
 * handler later, and whenever its registers are written. A report in the run of a vcpu's own thread that none of them has
 * brought about comes from somewhere else.
 *
 * @returns what to call with every report
 */
export function levelInPlace(context: RuleContext): (event: TimerEvent) => void {
  const { machine } = context;
  const isWorldSwitch = context.model.id === 'world-switch';
  // From 4.16 on a load may report it before it restores the timer, where bae561c0cff7 is backported.
  const isStrict = context.candidates.every((id) => id === 'world-switch' || cachingModels.includes(id));

  return (event) => {
    if (event.timer !== Timer.vtimer || event.context === Context.hardirq) return;
    if (!context.records(Kind.load) || (isWorldSwitch && !(context.records(Kind.flush) && context.records(Kind.sync))))
      return;
    // Where no record shows the interrupt, a report in a thread may be its handler's.
    if (!isWorldSwitch && !context.records(Kind.vtimer_irq)) return;
    const vcpu = machine.vcpu(event.vcpu);
    const { running, inTimerIrq } = machine.cpu(event.cpu);
    // Another thread resets it, an interrupt comes in between, a sync is part of the exit.
    if (running !== event.vcpu || inTimerIrq === yes || vcpu.inGuest === yes || vcpu.cpuApproximate) return;
    const { last } = vcpu;
    if (!isStrict && vcpu.vtimer.restore.serial < last[Kind.load].serial) return;
    // In an ioctl, or in a trap, the registers may have been written without a record.
    if (last[Kind.exit].serial < Math.max(last[Kind.userspace_exit].serial, 1)) return;
    if (!context.records(Kind.userspace_exit) || accessClasses.includes(vcpu.exitClass)) return;
    const reason = Math.max(
      last[Kind.flush].serial,
      last[Kind.sync].serial,
      last[Kind.user_write].serial,
      last[Kind.reset].serial,
      last[Kind.trapped_access].serial,
    );
    const other = Math.max(last[Kind.load].serial, last[Kind.schedule].serial, last[Kind.unschedule].serial);
    if (reason > other || other === 0) return;
    context.violate(event, {
      message: 'out-of-place',
      data: { timer: timerText(event.timer), vcpu: vcpuName(machine, event.vcpu), level: event.level },
      witness: [last[Kind.load]],
    });
  };
}
