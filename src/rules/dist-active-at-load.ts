import { Context, isGicv5Ppi, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { contextCount, noEvent, replaceEvent, yes } from '../machine/state.js';
import { because } from './context.js';
import { defineRule } from './rule.js';
import { everyModel, timerText, vcpuName } from './support.js';

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
    "A load that finds a timer's level high sets the physical interrupt active at the distributor before it restores the timer.",
  why: 'Otherwise the restored timer interrupts the host at once, for an expiry that the guest already knows.',
  models: everyModel('error'),
  needs: [['update_irq', 'set_active'], ['restore', 'load'], 'entry'],
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
    'inactive-direct': {
      headline:
        'the load of {vcpu} clears the active state of its {timer} interrupt on CPU {cpu}, and its guest has a GICv5',
      given: 'the guest of {vcpu} takes the {timer} interrupt directly',
      must: 'the load sets the physical interrupt active, whatever the level',
      but: 'its active state was cleared',
      therefore: 'the host takes the interrupts that are meant for the guest',
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
  },
  examples: {
    legal: [
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
        title: 'a GICv5 guest: cleared, though the interrupt is that of the guest from the load to the put',
        model: 'stateless-level',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nupdate_irq,0,0,,,,536870939,0\nset_active,0,0,vtimer,,,27,0\nrestore,0,0,vtimer,1,0x1000\n',
        message: 'inactive-direct',
        line: 4,
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
          if (machine.vcpu(event.vcpu).isEmulated(event.timer)) return;
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
          // A GICv5 guest owns the interrupt while it is loaded, whatever the level.
          if (event.level === 0 && isGicv5Ppi(loaded.report.irq))
            return violate(event, 'inactive-direct', event.vcpu, timer, [loaded.report]);
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
