import { Context, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { contextCount, no, noEvent, replaceEvent, type TimerContext, unknown, yes } from '../machine/state.js';
import { because, type RuleContext, type RuleHandlers } from './context.js';
import { defineRule } from './rule.js';
import { everyModel, Slots, timerText, vcpuName } from './support.js';

/** What one vcpu's load has said of one timer. */
class LoadedTimer {
  /** Level that the load reported, -1 none. */
  level = -1;
  /** Whether the active state was written after it. */
  written = false;
  restored = false;
  report = noEvent;
}

export default defineRule({
  id: 'dist-active-at-load',
  statement:
    "A load (up to 4.14 a flush) that finds a timer's level high sets the physical interrupt active at the distributor before the timer is restored; a flush on a CPU that the vcpu comes to anew does not trust what it wrote elsewhere.",
  why: 'Otherwise the restored timer interrupts the host at once, for an expiry that the guest already knows.',
  models: everyModel('error'),
  needs: [['update_irq', 'set_active', 'flush'], ['restore', 'load', 'flush'], 'entry'],
  source: 'kvm_timer_vcpu_load_gic; bae561c0cff7; kvm_timer_vcpu_load of the RFC; specification §4.5, §4.8 point 12',
  messages: {
    inactive: {
      headline:
        'the load of {vcpu} clears the active state of its {timer} interrupt on CPU {cpu} although the level is high',
      given: 'the load found the {timer} of {vcpu} pending',
      must: 'the physical interrupt is set active',
      but: 'its active state was cleared',
      therefore: 'the interrupt fires as soon as the timer is restored: one useless exit at every load',
    },
    'not-written': {
      headline:
        'the load of {vcpu} restores its {timer} on CPU {cpu} without writing the active state, although the level is high',
      given: 'the load found the {timer} of {vcpu} pending',
      must: 'the physical interrupt is set active before the restore',
      but: 'the timer was restored without such a write',
      therefore: 'the interrupt fires as soon as the timer is restored',
    },
    'interrupt-before-entry': {
      headline: 'the {timer} interrupt of {vcpu} fires on CPU {cpu} in the load that found its level high',
      given: 'the load found the {timer} of {vcpu} pending and restored it',
      must: 'the physical interrupt is active by then and is not signalled',
      but: 'it was handled before the vcpu entered the guest',
      therefore: 'the load has not set the active state',
    },
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
  },
  examples: {
    legal: [
      {
        title: 'the flush sets it active for a high level, and clears it once for a low one',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu,irq,level,active_cleared_last\nload,0,0\nflush,0,0,,1,0\nset_active,0,0,27,1\nentry,0,0\nexit,0,0\nsync,0,0,,1,0\nupdate_irq,0,0,27,0\nflush,0,0,,0,0\nset_active,0,0,27,0\nentry,0,0\nexit,0,0\nsync,0,0,,0,1\nflush,0,0,,0,1\nentry,0,0\n',
      },
      {
        title: 'set active after the level was found high',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nupdate_irq,0,0,,,,27,1\nset_active,0,0,vtimer,,,27,1\nrestore,0,0,vtimer,5,0x1000\nentry,0,0\n',
      },
      {
        title: 'active although the level is low: the virtual interrupt is active',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nupdate_irq,0,0,,,,27,0\nset_active,0,0,vtimer,,,27,1\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\n',
      },
    ],
    violating: [
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
      {
        title: 'cleared although the level is high',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nupdate_irq,0,0,,,,27,1\nset_active,0,0,vtimer,,,27,0\nrestore,0,0,vtimer,5,0x1000\n',
        message: 'inactive',
        line: 4,
      },
      {
        title: 'without a probe: the interrupt itself shows it',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nupdate_irq,0,0,,,,27,1\nrestore,0,0,vtimer,5,0x1000\nvtimer_irq,,0\nvtimer_irq_end,,0\nentry,0,0\n',
        message: 'interrupt-before-entry',
        line: 5,
      },
    ],
  },
  create(context) {
    const { machine, model } = context;
    if (model.id === 'world-switch') return atFlush(context);
    const timers: LoadedTimer[] = [];
    /** By CPU: the context whose level was reported last in a load, for an active-state write of unknown irq. */
    const latest: number[] = [];
    /** By vcpu: whether its load has left anything to forget. */
    const begun: boolean[] = [];

    function state(vcpu: number, timer: number): LoadedTimer {
      const key = vcpu * contextCount + timer;
      begun[vcpu] = true;
      timers[key] ??= new LoadedTimer();
      return timers[key] as LoadedTimer;
    }

    /** The guest ran or the vcpu left: the next load starts afresh. */
    function afresh(event: TimerEvent): void {
      if (event.vcpu < 0 || begun[event.vcpu] !== true) return;
      begun[event.vcpu] = false;
      for (let timer = 0; timer < contextCount; timer++) {
        const loaded = timers[event.vcpu * contextCount + timer];
        if (loaded === undefined) continue;
        loaded.level = -1;
        loaded.written = false;
        loaded.restored = false;
      }
      latest[event.cpu] = -1;
    }

    function violate(event: TimerEvent, message: string, vcpu: number, timer: number, witness: TimerEvent[]): void {
      context.violate(event, {
        message,
        data: { timer: timerText(timer), vcpu: vcpuName(machine, vcpu), cpu: event.cpu },
        witness,
      });
      state(vcpu, timer).level = -1;
    }

    return {
      before: {
        entry(event) {
          if (event.vcpu < 0 || begun[event.vcpu] !== true) return;
          if (!context.records(Kind.set_active)) {
            for (let timer = 0; timer < contextCount; timer++) {
              const loaded = timers[event.vcpu * contextCount + timer];
              if (loaded?.level === 1 && loaded.restored && context.records(Kind.vtimer_irq))
                context.hold(loaded.report);
            }
          }
          afresh(event);
        },
        exit: afresh,
        put: afresh,
        put_end: afresh,
        update_irq(event) {
          if (event.vcpu < 0 || event.timer < 0 || event.context === Context.hardirq) return;
          if (machine.vcpu(event.vcpu).emulPtimer === event.timer) return;
          const loaded = state(event.vcpu, event.timer);
          if (loaded.restored) return;
          loaded.level = event.level;
          loaded.written = false;
          loaded.report = replaceEvent(loaded.report, event);
          latest[event.cpu] = event.timer;
        },
        set_active(event) {
          if (event.vcpu < 0 || event.context === Context.hardirq) return;
          const timer = event.timer >= 0 ? event.timer : (latest[event.cpu] ?? -1);
          if (timer < 0) return;
          const loaded = state(event.vcpu, timer);
          if (loaded.restored) return;
          loaded.written = true;
          // The RFC reports no level in its load: it uses the one it has cached.
          const cached = !model.recordsSaveRestore && machine.vcpu(event.vcpu).contexts[timer]?.level === yes;
          if (loaded.level < 0 && !cached) return;
          // With the level low the state is that of the virtual interrupt, which leaves no record: both are right.
          if (event.level === 1 || (loaded.level === 0 && !cached)) context.hold(event);
          else violate(event, 'inactive', event.vcpu, timer, loaded.level === 1 ? [loaded.report] : []);
        },
        restore(event) {
          if (event.vcpu < 0 || event.timer < 0) return;
          const loaded = state(event.vcpu, event.timer);
          loaded.restored = true;
          if (loaded.level !== 1 || loaded.written) return;
          // Hosts without a usable active state mask the interrupt instead.
          if (!context.records(Kind.set_active) || context.records(Kind.mask_irq)) return;
          violate(event, 'not-written', event.vcpu, event.timer, [loaded.report]);
        },
        vtimer_irq(event) {
          const vcpu = machine.cpu(event.cpu).running;
          if (vcpu < 0 || event.timer < 0 || context.records(Kind.set_active)) return;
          const loaded = timers[vcpu * contextCount + event.timer];
          if (loaded === undefined || loaded.level !== 1 || !loaded.restored) return;
          const { restore } = machine.vcpu(vcpu).contexts[event.timer] ?? {};
          violate(
            event,
            'interrupt-before-entry',
            vcpu,
            event.timer,
            restore === undefined ? [loaded.report] : [loaded.report, restore],
          );
        },
        lost() {
          for (const loaded of timers) if (loaded !== undefined) loaded.level = -1;
        },
      },
      end(event) {
        for (const loaded of timers) if (loaded?.level === 1) context.undecided(event, because.ends);
      },
    };
  },
});

/** 4.4 to 4.14: kvm_timer_flush_hwstate writes the active state, unless it has cleared it last and would do so again. */
function atFlush(context: RuleContext): RuleHandlers {
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
