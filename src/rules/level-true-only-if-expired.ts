import { Ctl, canFire, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { contextCount, no, type TimerContext, yes } from '../machine/state.js';
import { Evidence } from '../timing/evidence.js';
import { Answer } from '../timing/line.js';
import { because } from './context.js';
import { when } from './occasion.js';
import { defineRule } from './rule.js';
import {
  ctlText,
  cvalText,
  durationText,
  everyLoadPutModel,
  everyTracedModel,
  givenCounter,
  Slots,
  timerText,
  undecideContexts,
  vcpuName,
} from './support.js';

const cannotFire = 'the timer is disabled: level-true-only-if-can-fire judges it';

/** Nanoseconds by which a clock may be read beside the truth. */
const tolerance = 50_000;

/** Time by which ISTATUS may lag behind the counter under emulation (specification §4.8, point 7), nanoseconds. */
const istatusLag = 20_000_000;
const lagging = 'ISTATUS may lag behind the counter under emulation';

/** 4.14: the flush at this time raises the level for a deadline that comes at 10 ms. */
const flushed = (time: string) =>
  `${givenCounter}time,event,vcpu,cpu,timer,irq,level,ctl,cval\n0.001,load,0,0,,,,,\n,entry,0,0,,,,,\n,exit,0,0,,,,,\n${time},flush,0,0,,,0,1,0x198968\n,update_irq,0,0,vtimer,27,1,,\n,entry,0,0,,,,,\n`;

export default defineRule({
  id: 'level-true-only-if-expired',
  statement: 'The level is raised only for a timer whose deadline has passed.',
  why: 'A guest that re-armed its timer in the last moment would take an interrupt that it no longer expects.',
  models: {
    'world-switch': 'error',
    'rfc-load-put': 'warning',
    ...everyLoadPutModel('error'),
    ...everyTracedModel('error'),
  },
  needs: [['vtimer_irq', 'sync', 'flush'], 'update_irq', ['save', 'timer_load', 'sync', 'flush'], 'entry'],
  source:
    'kvm_timer_should_fire; RFC weak point W7 (the handler asks only whether the timer can fire); specification §4.5',
  messages: {
    'before-deadline': {
      headline: 'level 1 is reported for the {timer} of {vcpu} {by} before its deadline {cval}',
      given: 'the {timer} of {vcpu} had the deadline {cval} when its level was computed',
      must: 'the level rises only once the counter has reached it',
      but: 'it rose {by} before, wherever the counter offset can be',
      therefore: 'the guest is interrupted by a timer that has not expired',
    },
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
    'still-to-come': {
      headline: 'the {timer} of {vcpu} raises its interrupt although its deadline {cval} comes later',
      given: 'the flush or sync raised the level for the deadline {cval}',
      must: 'the exits from then on find ISTATUS set for this deadline',
      but: 'the sync found the timer enabled with ISTATUS clear, {later} later',
      therefore: 'the level was raised too early: the guest takes an interrupt that it does not expect',
    },
  },
  examples: {
    legal: [
      {
        title: 'the exit has found the deadline passed',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu,ctl,cval,irq,level\nload,0,0\nflush,0,0,1,0x1000,,0\nentry,0,0\nexit,0,0\nsync,0,0,5,0x1000,,0\nupdate_irq,0,0,,,27,1\n',
      },
      {
        title: 'the flush raises it as soon as the deadline has passed',
        model: 'world-switch',
        trace: flushed('0.012'),
      },
      {
        title: 'expired when the handler looked',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,irq,level\nload,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,,,,27,1\nvtimer_irq_end,,0\nexit,0,0\nput,0,0\nsave,0,0,vtimer,5,0x1000\n',
      },
    ],
    violating: [
      {
        title: 'raised by a sync, and a later exit finds the deadline still to come',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu,ctl,cval,irq,level,time,value\nload,0,0,,,,,0,\nflush,0,0,1,0x1000,,0,1us,0x77\nentry,0,0,,,,,2us,\nexit,0,0,,,,,3us,\nsync,0,0,1,0x1000,,0,4us,0x77\nupdate_irq,0,0,,,27,1,5us,\nflush,0,0,1,0x1000,,1,6us,0x77\nentry,0,0,,,,,7us,\nexit,0,0,,,,,30ms,\nsync,0,0,1,0x1000,,1,30.001ms,0x77\n',
        message: 'still-to-come',
        line: 7,
      },
      {
        title: 'raised by a flush five milliseconds before the deadline',
        model: 'world-switch',
        trace: flushed('0.005'),
        message: 'before-deadline',
        line: 9,
      },
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
      {
        title: 'raised in a load five milliseconds before the deadline',
        model: 'timer-map',
        host: 'vhe',
        trace: `${givenCounter}time,event,vcpu,cpu,timer,ctl,cval,irq,level,dp\n0.001,load,0,0,,,,,,\n,entry,0,0,,,,,,\n,exit,0,0,,,,,,\n,vtimer_irq,,0,,,,,,\n,vtimer_irq_end,,0,,,,,,\n,timer_map,0,0,,,,,,0\n,put,0,0,,,,,,\n,save,0,0,vtimer,1,0x198968,,,\n0.005,load,0,0,,,,,,\n,timer_map,0,0,,,,,,0\n,update_irq,0,0,vtimer,,,27,1,\n,restore,0,0,vtimer,1,0x198968,,,\n`,
        message: 'before-deadline',
        line: 15,
      },
    ],
  },
  create(context) {
    const { machine, model, timing } = context;
    const waiting = new Slots();
    function beforeDeadline(event: TimerEvent, by: number, shown: TimerEvent): void {
      if (-by < tolerance) return context.undecided(event, 'the difference is within the tolerance');
      context.violate(timing.current, {
        message: 'before-deadline',
        data: {
          timer: timerText(event.timer),
          vcpu: vcpuName(machine, event.vcpu),
          cval: cvalText(shown),
          by: durationText(by),
        },
        witness: [shown],
        at: event,
      });
    }

    timing.listen(Evidence.raised, (event, answer, by, shown, reason) => {
      if (answer === Answer.holds) return context.hold(event);
      if (answer === Answer.unknown || shown === undefined) return context.undecided(event, reason);
      beforeDeadline(event, by, shown);
    });

    /** Up to 4.14: the report that the counter has shown to be right. What it leaves open ISTATUS may tell. */
    let proved = 0;
    timing.listen(Evidence.foundExpired, (event, answer, by, shown) => {
      // A level that was high before is not raised: level-lowered-at-sync judges that it stays.
      if (event.kind !== Kind.update_irq || answer === Answer.unknown || shown === undefined) return;
      if (answer === Answer.holds) {
        proved = event.serial;
        return context.hold(event);
      }
      // The hardware agrees with the report: it is the counter that is in doubt.
      if ((shown.ctl & Ctl.istatus) !== 0) return;
      const key = event.vcpu * contextCount + Timer.vtimer;
      if (waiting.get(key)?.serial === event.serial) waiting.clear(key);
      beforeDeadline(event, by, shown);
    });
    /** Up to 4.14, by the same key: the record that has shown the deadline. */
    const deadlines = new Slots();

    /** Up to 4.14: what the last exit has saved, or what a later one saves for the same deadline, tells. */
    function reported(event: TimerEvent): void {
      if (event.timer !== Timer.vtimer || event.serial === proved) return;
      const { saveValid, ctl, save } = machine.vcpu(event.vcpu).contexts[Timer.vtimer] as TimerContext;
      if (!saveValid || !canFire(ctl)) return;
      if ((ctl & Ctl.istatus) !== 0) return context.hold(event);
      const key = event.vcpu * contextCount + Timer.vtimer;
      waiting.set(key, event);
      deadlines.set(key, save);
    }

    function synced(event: TimerEvent): void {
      if (model.id !== 'world-switch' || event.vcpu < 0 || !event.hasCval) return;
      const key = event.vcpu * contextCount + Timer.vtimer;
      const waited = waiting.get(key);
      // After an entry that was aborted the memory is still that of the exit before.
      if (waited === undefined || machine.vcpu(event.vcpu).last[Kind.entry].serial < waited.serial) return;
      const level = waiting.take(key);
      const deadline = deadlines.take(key);
      if (level === undefined || deadline === undefined) return;
      const sameOffset = event.valueHi === deadline.valueHi && event.valueLo === deadline.valueLo;
      const sameDeadline = event.cvalHi === deadline.cvalHi && event.cvalLo === deadline.cvalLo;
      if (!sameOffset || !sameDeadline || (event.ctl & Ctl.enable) === 0)
        return context.undecided(level, because.entered);
      if ((event.ctl & Ctl.istatus) !== 0) return context.hold(level);
      // Without the offset nobody knows whether userspace has moved the guest's counter meanwhile.
      if (!event.hasValue) return context.undecided(level, because.userspace);
      if (event.time - level.time <= istatusLag) return context.undecided(level, lagging);
      context.violate(event, {
        message: 'still-to-come',
        data: {
          timer: timerText(Timer.vtimer),
          vcpu: vcpuName(machine, event.vcpu),
          cval: cvalText(event),
          later: `${((event.time - level.time) / 1e6).toFixed(3)} ms`,
        },
        witness: [deadline, event],
        at: level,
      });
    }

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
      if (waiting.isEmpty || event.vcpu < 0 || event.loaded !== 0 || event.ctl < 0) return;
      const { last, contexts } = machine.vcpu(event.vcpu);
      const level = waiting.get(event.vcpu * contextCount + Timer.vtimer);
      if (level === undefined) return;
      // It may have been in the guest on a CPU without records, and been saved there.
      if (machine.vcpu(event.vcpu).unseen) return drop(event.vcpu, because.blind);
      const written = Math.max(last[Kind.user_write].serial, last[Kind.reset].serial) > level.serial;
      if (written || (contexts[Timer.vtimer]?.writable !== no && !context.records(Kind.user_write)))
        return drop(event.vcpu, because.userspace);
      // Without its save the memory copy is an older one: loaded-owns-cntv-ctl judges that.
      const { save } = contexts[Timer.vtimer] as TimerContext;
      if (save.serial < level.serial && context.records(Kind.save)) return drop(event.vcpu, because.unsaved);
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
          if (model.id === 'world-switch') return reported(event);
          // Only the handler reads the hardware; a load computes from memory and a counter that ISTATUS may lag.
          if (machine.cpu(event.cpu).inTimerIrq !== yes) return;
          // Where kvm_timer_update_irq is probed, the RFC's handler shows the CTL that it has just read.
          if (context.model.id === 'rfc-load-put' && event.ctl >= 0) return read(event);
          const state = machine.vcpu(event.vcpu).contexts[event.timer] as TimerContext;
          if (state.loaded === yes) waiting.set(event.vcpu * contextCount + event.timer, event);
        },
        save: when(waiting.occasion, (event) => {
          if (event.vcpu >= 0 && event.timer >= 0 && event.ctl >= 0) saved(event, event.timer);
        }),
        timer_load: when(waiting.occasion, shown),
        timer_put: when(waiting.occasion, shown),
        sync: when(waiting.occasion, synced),
        entry: when(waiting.occasion, (event) => {
          if (event.vcpu >= 0 && model.id !== 'world-switch') drop(event.vcpu, because.entered);
        }),
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
