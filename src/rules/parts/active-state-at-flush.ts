import { Timer, type TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { no, type TimerContext, unknown } from '../../machine/state.js';
import { because, type RuleContext, type RuleHandlers } from '../context.js';
import { Slots, timerText, vcpuName } from '../support.js';

/** 4.4 to 4.14: kvm_timer_flush_hwstate writes the active state, unless it has cleared it last and would do so again. */
export function activeStateAtFlush(context: RuleContext): RuleHandlers {
  const { machine } = context;
  /** Flushes that have not come to their end, by vcpu. */
  const open = new Slots();
  /** By vcpu: the state that the flush has written, -1 none. */
  const written: number[] = [];

  function violate(event: TimerEvent, message: string, at: TimerEvent): void {
    context.violate(event, {
      message,
      data: { timer: timerText(Timer.vtimer), vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu },
      witness: [event, machine.vcpu(event.vcpu).last[Kind.put]],
      at,
    });
  }

  function flushed(event: TimerEvent): void {
    const flush = event.vcpu < 0 ? undefined : open.take(event.vcpu);
    if (flush === undefined || !context.records(Kind.set_active)) return;
    const { level } = machine.vcpu(event.vcpu).contexts[Timer.vtimer] as TimerContext;
    if (level === unknown) return context.undecided(flush, because.initial);
    // Userspace irqchips mask the interrupt instead.
    if (level === no || context.records(Kind.mask_irq)) return;
    if (written[event.vcpu] === 1) context.hold(flush);
    else violate(event, 'flushed-inactive', flush);
  }

  return {
    before: {
      flush(event) {
        if (event.vcpu < 0) return context.undecided(event, because.unattributed);
        written[event.vcpu] = -1;
        open.set(event.vcpu, event);
        if (event.activeCleared < 0) return;
        const { activeCleared } = machine.vcpu(event.vcpu);
        if (activeCleared === unknown) context.undecided(event, because.initial);
        else if (activeCleared === no && event.activeCleared === 1) violate(event, 'stale-cache', event);
        else context.hold(event);
      },
      set_active(event) {
        // Which Linux irq is the timer's only its handler would tell, which never runs; no other state is set in a flush.
        if (event.vcpu >= 0 && event.timer !== Timer.ptimer) written[event.vcpu] = event.level;
      },
      entry: flushed,
      sync: flushed,
      lost() {
        open.each((_, vcpu) => open.clear(vcpu));
      },
    },
  };
}
