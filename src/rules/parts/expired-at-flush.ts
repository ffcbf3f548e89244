import { canFire, Timer, type TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { yes } from '../../machine/state.js';
import { because, type RuleContext, type RuleHandlers } from '../context.js';
import { when } from '../occasion.js';
import { isSameValue, Slots, timerText, vcpuName } from '../support.js';

/**
 * 4.4 to 4.14: the callback of the vcpu's one hrtimer arms it again unless a timer has expired, and the next sync or flush
 * reports what has. No counter is needed to tell.
 */
export function expiredAtFlush(context: RuleContext): RuleHandlers {
  const { machine } = context;
  /** By vcpu: an expiry that nothing has reported so far. */
  const fired = new Slots();
  /** By vcpu: the counter offset of its VM when it fired, which userspace may change through another vcpu. */
  const offsets = new Slots();
  /** By vcpu: its virtual timer could not fire when it was flushed. */
  const idle: boolean[] = [];

  const forget = when(fired.occasion, (event) => {
    const fire = event.vcpu < 0 ? undefined : fired.take(event.vcpu);
    if (fire !== undefined) context.undecided(fire, 'the registers may have been written since');
  });

  return {
    before: {
      flush(event) {
        if (event.vcpu >= 0) idle[event.vcpu] = event.ctl >= 0 && !canFire(event.ctl);
      },
      bg_expire(event) {
        if (event.vcpu < 0 || !context.records(Kind.bg_arm)) return;
        const { last, blocked, offset } = machine.vcpu(event.vcpu);
        // In the run the callback also looks at the old copy of the virtual timer, whatever the guest has made of it.
        const isInRun = last[Kind.flush].serial > last[Kind.sync].serial;
        if (!(isInRun ? idle[event.vcpu] === true : blocked === yes)) return;
        fired.set(event.vcpu, event);
        if (offset.serial > 0) offsets.set(event.vcpu, offset);
        else offsets.clear(event.vcpu);
      },
      bg_arm: when(fired.occasion, (event) => {
        if (event.vcpu >= 0) fired.clear(event.vcpu);
        else fired.each((_, vcpu) => fired.clear(vcpu));
      }),
      update_irq: when(fired.occasion, (event) => {
        if (event.level !== 1) return;
        if (event.vcpu < 0) return undecide(because.unattributed);
        const fire = fired.take(event.vcpu);
        if (fire !== undefined) context.hold(fire);
      }),
      user_write: forget,
      reset: forget,
      trapped_access: forget,
      userspace_exit: forget,
      entry: when(fired.occasion, (event) => {
        const fire = event.vcpu < 0 ? undefined : fired.get(event.vcpu);
        const flush = machine.vcpu(event.vcpu).last[Kind.flush];
        if (fire === undefined || flush.serial < fire.serial) return;
        fired.clear(event.vcpu);
        if (!context.records(Kind.update_irq)) return context.undecided(fire, because.noReports);
        if (machine.vcpu(event.vcpu).unseen) return context.undecided(fire, because.blind);
        const offset = offsets.take(event.vcpu);
        if (offset === undefined || !flush.hasValue || !isSameValue(offset, flush))
          return context.undecided(fire, 'the counter of the guest may have been set since');
        unreported(event, fire, flush);
      }),
      lost() {
        undecide(because.initial);
      },
    },
    end() {
      fired.each((fire) => context.undecided(fire, because.ends));
    },
  };

  function undecide(reason: string): void {
    fired.each((fire, vcpu) => {
      fired.clear(vcpu);
      context.undecided(fire, reason);
    });
  }

  function unreported(event: TimerEvent, fire: TimerEvent, flush: TimerEvent): void {
    context.violate(event, {
      message: 'fired-unreported',
      data: { vcpu: vcpuName(machine, event.vcpu), timer: timerText(Timer.vtimer), cpu: event.cpu },
      witness: [flush, event],
      at: fire,
    });
  }
}
