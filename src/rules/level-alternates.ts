import { Context, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { type TimerContext, unknown } from '../machine/state.js';
import { because } from './context.js';
import { when } from './occasion.js';
import { levelInPlace } from './parts/level-in-place.js';
import { LevelInPut } from './parts/level-in-put.js';
import { defineRule } from './rule.js';
import { cachesLine, everyLoadPutModel, loadPutModels, Slots, timerText, vcpuName } from './support.js';

export default defineRule({
  id: 'level-alternates',
  statement:
    'Where the kernel reports a level only on change, two reports in a row differ: always up to 4.14 and in the RFC, of the virtual timer in 4.15, of the physical one outside its callback in 4.15 to 5.0, from timer_emulate in 5.1 to 6.13. Up to 5.0 the level of the virtual timer is reported only where the kernel evaluates it, and later not by a put.',
  why: 'A report without a change means that the cached level and the reported one have parted.',
  models: {
    'world-switch': 'warning',
    'rfc-load-put': 'warning',
    ...everyLoadPutModel('warning'),
    'timer-map': 'warning',
    offset: 'warning',
    'stateless-level': 'warning',
  },
  needs: ['update_irq'],
  source: 'kvm_timer_update_state (RFC), timer_emulate: `if (should_fire != ctx->irq.level)`; specification §4.5',
  messages: {
    repeated: {
      headline: 'the {timer} of {vcpu} reports level {level} twice in a row',
      given: 'the level was reported as {level}',
      must: 'the next report of this kind is a change',
      but: 'level {level} was reported again',
      therefore: 'the cached level was not kept, or a report was left out',
    },
    'out-of-place': {
      headline: 'the {timer} of {vcpu} reports level {level} in its run where nothing evaluates it',
      given: '{vcpu} was loaded, or in its wait, and neither flushed nor synced since, nor were its registers written',
      must: 'the level is evaluated by flush and sync up to 4.14, by the sync of an exit and the interrupt from then on',
      but: 'level {level} was reported',
      therefore: 'the level is evaluated somewhere else, and left as it was where it should have been',
    },
    'in-put': {
      headline: 'the put of {vcpu} reports level {level} of its {timer}',
      given: 'the {timer} was saved and stopped',
      must: 'the next report is that of a load, of a reset, or of its interrupt',
      but: 'the thread of {vcpu} reported level {level} with no look at the timer map in between',
      therefore: 'the line follows something else than the timer while {vcpu} is away',
    },
  },
  examples: {
    legal: [
      {
        title: 'raised by a flush, lowered by a sync, raised by the next sync',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu,irq,level\nload,0,0\nflush,0,0\nupdate_irq,0,0,27,1\nentry,0,0\nexit,0,0\nsync,0,0\nupdate_irq,0,0,27,0\nflush,0,0\nentry,0,0\nexit,0,0\nsync,0,0\nupdate_irq,0,0,27,1\n',
      },
      {
        title: 'up, down, up',
        model: 'rfc-load-put',
        trace: 'event,vcpu,cpu,irq,level\nload,0,0\nupdate_irq,0,0,27,1\nupdate_irq,0,0,27,0\nupdate_irq,0,0,27,1\n',
      },
      {
        title: 'an emulated timer reports changes, a load whatever it finds',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,irq,level,timer\nload,0,0\nupdate_irq,0,0,27,0\nemulate,0,0,,1,ptimer\nupdate_irq,0,0,30,1\nput,0,0\nload,0,0\nupdate_irq,0,0,27,0\nemulate,0,0,,0,ptimer\nupdate_irq,0,0,30,0\n',
      },
      {
        title: '4.16 raises the virtual timer again at every interrupt, and the physical one on change',
        model: 'load-put-4.16',
        trace:
          'event,vcpu,cpu,irq,level\nload,0,0\nupdate_irq,0,0,30,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,27,1\nvtimer_irq_end,,0\nexit,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,27,1\nvtimer_irq_end,,0\nexit,0,0\nput,0,0\nload,0,0\nupdate_irq,0,0,30,1\n',
      },
    ],
    violating: [
      {
        title: 'the put lowers the level',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,irq,level,timer,ctl,cval,context\ntimer_map,0,0,,,,,,task\nload,0,0\nupdate_irq,0,0,27,0,,,,task\nrestore,0,0,,,vtimer,1,0x1000\nentry,0,0\nexit,0,0\ntimer_map,0,0,,,,,,task\nput,0,0\nsave,0,0,,,vtimer,5,0x1000\nupdate_irq,0,0,27,0,,,,task\n',
        message: 'in-put',
        line: 11,
      },
      {
        title: 'a load evaluates the level',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu,irq,level\nload,0,0\nflush,0,0\nentry,0,0\nexit,0,0\nsync,0,0\nput,0,0\nload,0,0\nupdate_irq,0,0,27,1\nflush,0,0\nentry,0,0\n',
        message: 'out-of-place',
        line: 9,
      },
      {
        title: '4.15 raises a level that is high',
        model: 'load-put-4.15',
        trace:
          'event,vcpu,cpu,irq,level\nload,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,27,1\nvtimer_irq_end,,0\nexit,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,27,1\nvtimer_irq_end,,0\nexit,0,0\n',
        message: 'repeated',
        line: 10,
      },
      {
        title: 'raised twice',
        model: 'rfc-load-put',
        trace: 'event,vcpu,cpu,irq,level\nload,0,0\nupdate_irq,0,0,27,1\nupdate_irq,0,0,27,1\n',
        message: 'repeated',
        line: 4,
      },
      {
        title: 'an emulated timer reports no change',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,irq,level,timer\nload,0,0\nemulate,0,0,,1,ptimer\nupdate_irq,0,0,30,1\nemulate,0,0,,1,ptimer\nupdate_irq,0,0,30,1\n',
        message: 'repeated',
        line: 6,
      },
    ],
  },
  create(context) {
    const { machine, model } = context;
    const isLoadPut = loadPutModels.some((id) => id === model.id);
    const inPlace = model.recordsSaveRestore ? undefined : levelInPlace(context);
    const inPut = model.recordsSaveRestore ? new LevelInPut(context) : undefined;

    /** Whether the kernel reports this level only on change; `emulated`: timer_emulate was the vcpu's last event. */
    function isOnChange(event: TimerEvent, emulated: boolean): boolean {
      if (model.id === 'stateless-level') return false;
      if (model.recordsSaveRestore) return emulated;
      if (!isLoadPut) return true;
      // The soft timer's callback raises the physical timer's level whatever it was.
      return event.timer === Timer.vtimer ? cachesLine(context) : event.context !== Context.hardirq;
    }

    /** By vcpu: the timer_emulate that was its last event. */
    const emulating = new Slots();
    const forget = when(emulating.occasion, (event) => {
      if (event.vcpu >= 0) emulating.clear(event.vcpu);
    });
    return {
      before: {
        emulate(event) {
          if (event.vcpu >= 0) emulating.set(event.vcpu, event);
        },
        timer_map(event) {
          inPut?.mapped(event);
          if (event.vcpu >= 0) emulating.clear(event.vcpu);
        },
        entry: forget,
        exit: forget,
        vtimer_irq: forget,
        soft_expire: forget,
        restore: forget,
        lost() {
          inPut?.lost();
        },
        update_irq(event) {
          if (event.vcpu < 0 || event.timer < 0) return context.undecided(event, because.unattributed);
          inPlace?.(event);
          inPut?.reported(event);
          const onChange = isOnChange(event, emulating.take(event.vcpu)?.timer === event.timer);
          if (!onChange) return;
          // The callback of the soft timer changes the level as well.
          if (model.recordsSaveRestore && !context.records(Kind.soft_expire))
            return context.undecided(event, 'the trace records no expiry of soft timers');
          // The handler raises what a sync has lowered: a trace without interrupts may lack its reports.
          if (event.timer === Timer.vtimer && cachesLine(context) && !context.records(Kind.vtimer_irq))
            return context.undecided(event, 'the trace records no interrupts of the virtual timer');
          // Where neither loads nor switches are recorded, a handler's report may be another vcpu's.
          if (machine.vcpu(event.vcpu).cpuApproximate && !context.records(Kind.sched_switch))
            return context.undecided(event, because.approximate);
          const state = machine.vcpu(event.vcpu).contexts[event.timer] as TimerContext;
          // Two recordings in one file: the clock steps back, and nothing says what happened in between.
          if (state.level === unknown || event.time < state.update.time)
            return context.undecided(event, because.initial);
          if (state.level !== event.level) return context.hold(event);
          context.violate(event, {
            message: 'repeated',
            data: { timer: timerText(event.timer), vcpu: vcpuName(machine, event.vcpu), level: event.level },
            witness: [state.update, machine.vcpu(event.vcpu).last[Kind.emulate]],
          });
        },
      },
    };
  },
});
