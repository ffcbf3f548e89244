import type { TimerEvent } from '../events/event.js';
import { type Known, no, type TimerContext, unknown, yes } from '../machine/state.js';
import { because, endsOfLoad } from './context.js';
import { defineRule } from './rule.js';
import { everyModelSinceRfc, timerText, vcpuName } from './support.js';

export default defineRule({
  id: 'save-requires-restore',
  statement: 'A timer context is saved only when loaded and restored only when not: saves and restores alternate.',
  why: "A second save stores the stopped hardware over the guest's values; a second restore undoes what the guest wrote.",
  models: everyModelSinceRfc('error'),
  needs: ['save', 'restore'],
  source: 'the `loaded` guard of timer_save_state and timer_restore_state; specification §4.2',
  messages: {
    'save-while-saved': {
      headline: 'the {timer} of {vcpu} is saved twice without a restore',
      given: 'the {timer} of {vcpu} had been saved, which stops the hardware timer',
      must: 'a restore comes before the next save',
      but: 'it was saved again on CPU {cpu}',
      therefore: 'a restore was left out, or the stopped hardware was stored over the values of the guest',
    },
    'restore-while-loaded': {
      headline: 'the {timer} of {vcpu} is restored twice without a save',
      given: 'the {timer} of {vcpu} had been restored',
      must: 'a save comes before the next restore',
      but: 'it was restored again on CPU {cpu}',
      therefore: 'a save was left out, and what the guest wrote to its timer is lost',
    },
  },
  examples: {
    legal: [
      {
        title: 'save, restore, save',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nput,0,0\nsave,0,0,vtimer,1,0x1000\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nput,0,0\nsave,0,0,vtimer,1,0x1000\n',
      },
    ],
    violating: [
      {
        title: 'two saves',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nput,0,0\nsave,0,0,vtimer,1,0x1000\nsave,0,0,vtimer,0,0x1000\n',
        message: 'save-while-saved',
        line: 6,
      },
      {
        title: 'two restores in one load',
        model: 'timer-map',
        trace: 'event,vcpu,cpu,timer,ctl,cval\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nrestore,0,0,vtimer,1,0x1000\n',
        message: 'restore-while-loaded',
        line: 4,
      },
    ],
  },
  create(context) {
    const { machine } = context;
    function judge(event: TimerEvent, wanted: Known, message: string): void {
      if (event.vcpu < 0 || event.timer < 0) return context.undecided(event, because.unattributed);
      const state = machine.vcpu(event.vcpu).contexts[event.timer] as TimerContext;
      if (state.loaded === unknown) return context.undecided(event, because.initial);
      // A load or put of a model without such records has implied this one; its record only confirms it.
      if (state.loaded === wanted || state.implied) return context.hold(event);
      context.violate(event, {
        message,
        data: { timer: timerText(event.timer), vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu },
        witness: [wanted === yes ? state.save : state.restore],
        explainedBy: wanted === no ? endsOfLoad : [],
        distrustOwnership: true,
      });
    }
    return {
      before: {
        save: (event) => judge(event, yes, 'save-while-saved'),
        restore: (event) => judge(event, no, 'restore-while-loaded'),
      },
    };
  },
});
