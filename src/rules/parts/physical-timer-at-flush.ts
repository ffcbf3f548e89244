import { canFire, Timer, type TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { no, type TimerContext, unknown, yes } from '../../machine/state.js';
import { because, type RuleContext, type RuleHandlers } from '../context.js';
import { when } from '../occasion.js';
import { Slots, timerText, vcpuName } from '../support.js';

/**
 * 4.11 to 4.14: kvm_timer_flush_hwstate arms the vcpu's one hrtimer for the physical timer, whose registers are known where
 * every write of them has a record. It looks twice, first for the level and then for the hrtimer: what has not expired by
 * the next sync had not expired for either.
 */
export function physicalTimerAtFlush(context: RuleContext): RuleHandlers {
  const { machine } = context;
  /** By vcpu: the flush under way or over, until the next one. */
  const flushes = new Slots();
  /** By vcpu: the hrtimer was armed since the flush. */
  const armed: boolean[] = [];
  /** By vcpu: CTL of the physical timer when the flush was over, -1 not known. */
  const flushed: number[] = [];

  function violate(event: TimerEvent, at: TimerEvent, message: string): void {
    context.violate(event, {
      message,
      data: { vcpu: vcpuName(machine, event.vcpu), timer: timerText(Timer.ptimer), cpu: at.cpu },
      witness: [machine.vcpu(event.vcpu).last[Kind.trapped_access], event],
      at,
    });
  }

  /** The flush is over. */
  function over(event: TimerEvent): void {
    const flush = event.vcpu < 0 ? undefined : flushes.get(event.vcpu);
    if (flush === undefined || flushed[event.vcpu] !== unknown) return;
    const { ctl, level } = machine.vcpu(event.vcpu).contexts[Timer.ptimer] as TimerContext;
    flushed[event.vcpu] = ctl;
    if (machine.vcpu(event.vcpu).last[Kind.trapped_access].serial === 0) return flushes.clear(event.vcpu);
    if (ctl < 0 || level === unknown) {
      flushes.clear(event.vcpu);
      return context.undecided(flush, because.emulated);
    }
    if (canFire(ctl) && armed[event.vcpu] !== true && level === no) return;
    flushes.clear(event.vcpu);
    if (canFire(ctl)) return context.hold(flush);
    if (armed[event.vcpu] === true) violate(event, flush, 'armed-for-nothing');
    else if (level === yes) violate(event, flush, 'level-stays');
    else context.hold(flush);
  }

  /** The sync is over: what it has not reported had not expired before. */
  function goesOn(event: TimerEvent): void {
    const flush = event.vcpu < 0 ? undefined : flushes.take(event.vcpu);
    if (flush === undefined || machine.vcpu(event.vcpu).last[Kind.sync].serial < flush.serial) return;
    const { level } = machine.vcpu(event.vcpu).contexts[Timer.ptimer] as TimerContext;
    if (level === no) violate(event, flush, 'unarmed');
    else context.undecided(flush, 'the timer has expired in between: whether before the flush, no record tells');
  }

  return {
    before: {
      flush(event) {
        goesOn(event);
        if (event.vcpu < 0) return;
        armed[event.vcpu] = false;
        flushed[event.vcpu] = unknown;
        flushes.set(event.vcpu, event);
      },
      bg_arm: when(flushes.occasion, (event) => {
        if (event.vcpu >= 0) armed[event.vcpu] = true;
      }),
      entry: when(flushes.occasion, over),
      sync: when(flushes.occasion, over),
      trapped_access: when(flushes.occasion, goesOn),
      wfx: when(flushes.occasion, goesOn),
      schedule: when(flushes.occasion, goesOn),
      userspace_exit: when(flushes.occasion, goesOn),
      put: when(flushes.occasion, goesOn),
      user_write: when(flushes.occasion, goesOn),
      reset: when(flushes.occasion, goesOn),
      lost() {
        flushes.each((flush, vcpu) => {
          flushes.clear(vcpu);
          context.undecided(flush, because.initial);
        });
      },
    },
  };
}
