import { Ctl, canFire, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { contextCount, no, type TimerContext, yes } from '../machine/state.js';
import { because } from './context.js';
import { defineRule } from './rule.js';
import {
  ctlText,
  cvalText,
  everyLoadPutModel,
  everyTracedModel,
  Slots,
  timerText,
  undecideContexts,
  vcpuName,
} from './support.js';

const cannotFire = 'the timer is disabled: level-true-only-if-can-fire judges it';

export default defineRule({
  id: 'level-true-only-if-expired',
  statement: 'The interrupt handler raises the level only for a timer whose deadline has passed.',
  why: 'A guest that re-armed its timer in the last moment would take an interrupt that it no longer expects.',
  models: { 'rfc-load-put': 'warning', ...everyLoadPutModel('error'), ...everyTracedModel('error') },
  needs: ['vtimer_irq', 'update_irq', ['save', 'timer_load'], 'entry'],
  source:
    'kvm_timer_should_fire; RFC weak point W7 (the handler asks only whether the timer can fire); specification §4.5',
  messages: {
    'not-expired': {
      headline: 'the {timer} of {vcpu} raises its interrupt although its deadline {cval} has not passed',
      given: 'the handler raised the level, and the guest did not run between it and the next save',
      must: 'the save finds ISTATUS set: the condition was met and only the guest could have changed it',
      but: 'it found the timer enabled with ISTATUS clear',
      therefore: 'the level was raised for a deadline in the future: the guest had moved it before the handler looked',
    },
    'read-unexpired': {
      headline:
        'the {timer} of {vcpu} raises its interrupt although CTL {ctl} says that its deadline {cval} has not passed',
      given: 'the interrupt handler read CTL {ctl} from the hardware, enabled with ISTATUS clear',
      must: 'the level stays low until ISTATUS is set',
      but: 'kvm_timer_update_irq was called for level 1',
      therefore:
        'the handler asks only whether the timer can fire: the guest takes an interrupt for a deadline in the future',
    },
  },
  examples: {
    legal: [
      {
        title: 'expired when the handler looked',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,,,,27,1\nvtimer_irq_end,,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,5,0x1000\n',
      },
    ],
    violating: [
      {
        title: 'the guest moved its deadline between acknowledge and handler (W7)',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,,,,27,1\nvtimer_irq_end,,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,1,0x900000\n',
        message: 'not-expired',
        line: 5,
      },
      {
        title: 'a late interrupt, and a handler that reads a timer that has not expired (W7)',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,vtimer,1,0x900000,27,1\nvtimer_irq_end,,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,1,0x900000\n',
        message: 'read-unexpired',
        line: 6,
      },
    ],
  },
  create(context) {
    const { machine } = context;
    const waiting = new Slots();
    function drop(vcpu: number, reason: string): void {
      undecideContexts(context, waiting, vcpu, reason);
    }

    /** The registers as the save after the level found them. */
    function saved(event: TimerEvent, timer: number): void {
      const level = waiting.take(event.vcpu * contextCount + timer);
      if (level === undefined) return;
      if ((event.ctl & Ctl.istatus) !== 0) return context.hold(level);
      if ((event.ctl & Ctl.enable) === 0) return context.undecided(level, cannotFire);
      context.violate(event, {
        message: 'not-expired',
        data: { timer: timerText(timer), vcpu: vcpuName(machine, event.vcpu), cval: cvalText(event) },
        witness: [event],
        at: level,
      });
    }

    /** Up to 5.0 only the memory copy shows what a save has found: in the next load, or in a put after schedule. */
    function shown(event: TimerEvent): void {
      if (waiting.isEmpty || event.vcpu < 0 || event.level !== 0 || event.ctl < 0) return;
      const { last, contexts } = machine.vcpu(event.vcpu);
      const level = waiting.get(event.vcpu * contextCount + Timer.vtimer);
      if (level === undefined) return;
      const written = Math.max(last[Kind.user_write].serial, last[Kind.reset].serial) > level.serial;
      if (written || (contexts[Timer.vtimer]?.writable !== no && !context.records(Kind.user_write)))
        return drop(event.vcpu, because.userspace);
      saved(event, Timer.vtimer);
    }

    function read(event: TimerEvent): void {
      if ((event.ctl & Ctl.istatus) !== 0) return context.hold(event);
      if (!canFire(event.ctl)) return context.undecided(event, cannotFire);
      context.violate(event, {
        message: 'read-unexpired',
        data: {
          timer: timerText(event.timer),
          vcpu: vcpuName(machine, event.vcpu),
          ctl: ctlText(event.ctl),
          cval: cvalText(event),
        },
        witness: [machine.cpu(event.cpu).last[Kind.vtimer_irq]],
        ofCpu: true,
      });
    }

    return {
      before: {
        update_irq(event) {
          if (event.level !== 1 || event.vcpu < 0 || event.timer < 0) return;
          // Only the handler reads the hardware; a load computes from memory and a counter that ISTATUS may lag.
          if (machine.cpu(event.cpu).inTimerIrq !== yes) return;
          // Where kvm_timer_update_irq is probed, the RFC's handler shows the CTL that it has just read.
          if (context.model.id === 'rfc-load-put' && event.ctl >= 0) return read(event);
          const state = machine.vcpu(event.vcpu).contexts[event.timer] as TimerContext;
          if (state.loaded === yes) waiting.set(event.vcpu * contextCount + event.timer, event);
        },
        save(event) {
          if (event.vcpu >= 0 && event.timer >= 0 && event.ctl >= 0) saved(event, event.timer);
        },
        timer_load: shown,
        timer_put: shown,
        entry(event) {
          if (event.vcpu >= 0) drop(event.vcpu, because.entered);
        },
        lost() {
          for (const vcpu of machine.vcpus) drop(vcpu.index, because.initial);
        },
      },
      end() {
        for (const vcpu of machine.vcpus) drop(vcpu.index, because.ends);
      },
    };
  },
});
