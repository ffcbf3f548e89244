import { Ctl, canFire, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { no, type VcpuState, yes } from '../machine/state.js';
import { because } from './context.js';
import { when } from './occasion.js';
import { defineRule } from './rule.js';
import { cvalText, durationText, everyTracedModel, Slots, timerText, vcpuName } from './support.js';

const columns = 'time,event,vcpu,cpu,timer,ctl,cval,next,state,expires\n';
const sleeps =
  'TIME,load,0,0,,,,,,\n,restore,0,0,vtimer,1,0x9000,,,\n,entry,0,0,,,,,,\n,exit,0,0,,,,,,\n,wfx,0,0,,,,,,\n,sched_switch,0,0,,,,0,S,\n,put,0,0,,,,,,\n,save,0,0,vtimer,5,0x9000,,,\n,bg_arm,0,0,,,,,,\n';

export default defineRule({
  id: 'no-sleep-with-expired-timer',
  statement:
    'A vcpu does not stay asleep when one of its timers has expired and can fire at the moment it goes to sleep.',
  why: 'The guest waits for an interrupt that is due already: it is as good as dead until something else wakes it.',
  models: everyTracedModel('error'),
  needs: ['save', 'sched_switch', ['wfx', 'schedule']],
  source:
    'kvm_timer_should_fire in kvm_timer_schedule; since 5.1 a background timer with no time left; specification §4.4, §6',
  messages: {
    'stays-asleep': {
      headline: '{vcpu} goes to sleep although its {timer} has expired, and is not woken for {slept}',
      given:
        'the {timer} of {vcpu} was saved enabled, not masked, and past its deadline {cval}, when its thread went to sleep',
      must: 'the vcpu is woken at once: its background timer is armed with no time left',
      but: 'nothing woke it for {slept}, and its background timer did not fire',
      therefore: 'the guest sleeps with an interrupt that is due',
    },
  },
  examples: {
    legal: [
      {
        title: 'woken at once',
        model: 'timer-map',
        trace: `${columns}${sleeps.replace('TIME', '0')},bg_expire,0,0,,,,,,\n0.0002,load,0,0,,,,,,\n,restore,0,0,vtimer,5,0x9000,,,\n`,
      },
    ],
    violating: [
      {
        title: 'asleep for half a second',
        model: 'timer-map',
        trace: `${columns}${sleeps.replace('TIME', '0')}0.5,load,0,0,,,,,,\n,restore,0,0,vtimer,5,0x9000,,,\n`,
        message: 'stays-asleep',
        line: 9,
      },
    ],
  },
  create(context) {
    const { machine, timing, maxLatency } = context;
    /** Saves of expired timers with which vcpus went to sleep, by vcpu. */
    const asleep = new Slots();

    /** The save of this put that shows a timer which can fire and has expired. */
    function expired(vcpu: VcpuState): TimerEvent | undefined {
      const put = vcpu.last[Kind.put].serial;
      for (const { save, ctl, loaded, saveValid } of vcpu.contexts) {
        if (save.serial <= put || !saveValid || loaded !== no || !canFire(ctl)) continue;
        if ((ctl & Ctl.istatus) !== 0) return save;
        if (timing.passed(vcpu.index, save.timer, save.cvalHi, save.cvalLo, save.time) === 1) return save;
      }
      return undefined;
    }

    function wake(event: TimerEvent, vcpu: number): void {
      if (vcpu < 0) return;
      const save = asleep.take(vcpu);
      if (save === undefined) return;
      const state = machine.vcpu(vcpu);
      const slept = event.time - save.time;
      if (slept <= maxLatency) return context.hold(save);
      if (state.unseen) return context.undecided(save, because.blind);
      // Without the arming, bg-armed-when-needed tells of it; after it has fired, it is the wakeup that is missing.
      const armed = state.last[Kind.bg_arm].serial > state.last[Kind.put].serial;
      if (context.records(Kind.bg_arm) && !armed)
        return context.undecided(save, 'nothing was armed: bg-armed-when-needed judges it');
      if (state.last[Kind.bg_expire].serial > save.serial)
        return context.undecided(save, 'the background timer has fired: bg-fire-wakes-vcpu judges it');
      context.violate(event, {
        message: 'stays-asleep',
        data: {
          vcpu: vcpuName(machine, vcpu),
          timer: timerText(save.timer),
          cval: cvalText(save),
          slept: durationText(slept),
        },
        witness: [state.last[Kind.sched_switch], state.last[Kind.bg_arm]],
        at: save,
      });
    }

    return {
      before: {
        put_end(event) {
          if (event.vcpu < 0) return;
          const vcpu = machine.vcpu(event.vcpu);
          const switched = vcpu.last[Kind.sched_switch];
          if (vcpu.blocked !== yes || switched.sleeping !== 1 || switched.serial < vcpu.last[Kind.load].serial) return;
          const save = expired(vcpu);
          if (save !== undefined) asleep.set(event.vcpu, save);
        },
        wakeup: when(asleep.occasion, (event) => wake(event, event.vcpu)),
        load: when(asleep.occasion, (event) => wake(event, event.vcpu)),
        lost() {
          for (const vcpu of machine.vcpus) {
            const save = asleep.take(vcpu.index);
            if (save !== undefined) context.undecided(save, because.initial);
          }
        },
      },
      end(event) {
        for (const vcpu of machine.vcpus) {
          const save = asleep.get(vcpu.index);
          if (save === undefined) continue;
          if (event.time - save.time > maxLatency) wake(event, vcpu.index);
          else {
            asleep.clear(vcpu.index);
            context.undecided(save, because.ends);
          }
        }
      },
    };
  },
});
