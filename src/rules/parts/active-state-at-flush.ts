import { Timer, type TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { no, type TimerContext, unknown } from '../../machine/state.js';
import { because, type RuleContext, type RuleHandlers } from '../context.js';
import type { Example, Message, ViolatingExample } from '../rule.js';
import { Slots, timerText, vcpuName } from '../support.js';

export const flushMessages: Readonly<Record<string, Message>> = {
  'flushed-inactive': {
    headline: 'the flush of {vcpu} leaves its {timer} interrupt inactive on CPU {cpu} although the level is high',
    given: 'the {timer} of {vcpu} was pending when its flush ran',
    must: 'the flush sets the physical interrupt active, whatever it wrote before',
    but: 'its active state was cleared, or not written at all',
    therefore: 'the guest is interrupted out of its run at once, again and again, for an expiry that it knows',
  },
  'stale-cache': {
    headline:
      'the flush of {vcpu} on CPU {cpu} takes its active state for cleared, although nobody has cleared it there',
    given: '{vcpu} was put, or its level changed, since active_cleared_last was set',
    must: 'both forget it, so that the flush writes the active state again',
    but: 'the flush found active_cleared_last set',
    therefore: 'an active state that somebody else has left on this CPU holds back the interrupt of the timer',
  },
};

export const flushLegal: readonly Example[] = [
  {
    title: 'the flush sets it active for a high level, and clears it once for a low one',
    model: 'world-switch',
    trace:
      'event,vcpu,cpu,irq,level,active_cleared_last\nload,0,0\nflush,0,0,,1,0\nset_active,0,0,27,1\nentry,0,0\nexit,0,0\nsync,0,0,,1,0\nupdate_irq,0,0,27,0\nflush,0,0,,0,0\nset_active,0,0,27,0\nentry,0,0\nexit,0,0\nsync,0,0,,0,1\nflush,0,0,,0,1\nentry,0,0\n',
  },
];

export const flushViolating: readonly ViolatingExample[] = [
  {
    title: 'the flush does not write it for a high level',
    model: 'world-switch',
    trace:
      'event,vcpu,cpu,irq,level\nload,0,0\nflush,0,0,,1\nset_active,0,0,27,1\nentry,0,0\nexit,0,0\nsync,0,0,,1\nflush,0,0,,1\nentry,0,0\n',
    message: 'flushed-inactive',
    line: 8,
  },
  {
    title: 'the put does not invalidate what the flush has cached',
    model: 'world-switch',
    trace:
      'event,vcpu,cpu,irq,level,active_cleared_last\nload,0,0\nflush,0,0,,0,0\nentry,0,0\nexit,0,0\nsync,0,0,,0,1\nput,0,0\nload,0,1\nflush,0,1,,0,1\n',
    message: 'stale-cache',
    line: 9,
  },
];

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
