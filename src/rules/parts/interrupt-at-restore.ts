import { canFire, Timer, type TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { no } from '../../machine/state.js';
import { because, type Handler, type RuleContext } from '../context.js';
import type { Occasion } from '../occasion.js';
import { cvalText, isSameValue, Slots, timerText, vcpuName } from '../support.js';

/** Nanoseconds by which a clock may be read beside the truth. */
const tolerance = 50_000;

/** What the rule calls, before the model has applied the event. */
export interface InterruptAtRestore {
  /** The active state of an interrupt is written. */
  readonly activated: Handler;
  readonly restored: Handler;
  readonly interrupted: Handler;
  readonly entered: Handler;
  /** The vcpu leaves the CPU, or its timer the registers. */
  readonly left: Handler;
  lost(): void;
}

/**
 * Up to 5.0 a load reports no level of the virtual timer: where it has expired, the hardware raises the interrupt as soon
 * as vtimer_restore_state writes CTL, and the host takes it before the entry, for until then interrupts are enabled. Only
 * where the load has written that the interrupt is inactive; an active one is not signalled again.
 *
 * @param waiting there is one while an interrupt is expected
 */
export function interruptAtRestore(context: RuleContext, waiting: Occasion): InterruptAtRestore {
  const { machine, timing } = context;
  /** By CPU: the restore of an expired timer, whose interrupt has not come so far. */
  const expected = new Slots(waiting);
  /** By CPU: the last write of the active state. */
  const writes = new Slots();
  /** By vcpu: the first counter offset that a restore has shown, and whether another one has. */
  const offsets = new Slots();
  const isMoved: boolean[] = [];

  /** Whether the counter was never set while the vcpu ran: the line follows a change only with what comes after it. */
  function isSteady(event: TimerEvent): boolean {
    const offset = event.hasValue ? event : machine.vcpu(event.vcpu).offset;
    if (!offset.hasValue) return false;
    const first = offsets.get(event.vcpu);
    if (first === undefined) offsets.set(event.vcpu, offset);
    else if (!isSameValue(first, offset)) isMoved[event.vcpu] = true;
    return isMoved[event.vcpu] !== true;
  }

  /** The load has made the interrupt inactive, and it has not come since. */
  function isInactive(event: TimerEvent): boolean {
    const { active, last, running } = machine.cpu(event.cpu);
    const load = machine.vcpu(event.vcpu).last[Kind.load];
    return (
      running === event.vcpu &&
      active[Timer.vtimer] === no &&
      load.cpu === event.cpu &&
      load.serial > last[Kind.put].serial &&
      load.serial > last[Kind.vtimer_irq].serial
    );
  }

  return {
    activated(event) {
      if (event.timer === Timer.vtimer) writes.set(event.cpu, event);
    },
    restored(event) {
      if (event.vcpu < 0 || event.timer !== Timer.vtimer || !event.hasCval) return;
      const steady = isSteady(event);
      if (!canFire(event.ctl) || !isInactive(event)) return;
      if (!context.records(Kind.vtimer_irq) || context.records(Kind.mask_irq)) return;
      const passed = timing.passed(event.vcpu, Timer.vtimer, event.cvalHi, event.cvalLo, event.time - tolerance);
      if (passed === 0) return;
      if (passed < 0) return context.undecided(event, 'the offset is not known well enough');
      if (steady) expected.set(event.cpu, event);
      else context.undecided(event, because.userspace);
    },
    interrupted(event) {
      const restore = expected.take(event.cpu);
      if (restore !== undefined) context.hold(restore);
    },
    entered(event) {
      const restore = expected.take(event.cpu);
      const written = writes.get(event.cpu);
      if (restore === undefined || written === undefined || restore.vcpu !== event.vcpu) return;
      context.violate(event, {
        message: 'not-interrupted',
        data: {
          vcpu: vcpuName(machine, event.vcpu),
          timer: timerText(Timer.vtimer),
          cval: cvalText(restore),
          cpu: event.cpu,
        },
        witness: [machine.vcpu(event.vcpu).last[Kind.load], written, event],
        at: restore,
      });
    },
    left(event) {
      expected.clear(event.cpu);
    },
    lost() {
      expected.each((_, cpu) => expected.clear(cpu));
    },
  };
}
