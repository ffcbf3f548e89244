import { Certainty, Context, type TimerEvent } from '../events/event.js';
import { Kind, kindNames } from '../events/kinds.js';
import { nowhere, somewhere } from '../machine/state.js';
import { because, endsOfLoad, type Handler } from './context.js';
import { mapsOfLoad } from './parts/maps-of-load.js';
import { defineRule } from './rule.js';
import { everyModelSinceRfc, vcpuName } from './support.js';

export default defineRule({
  id: 'state-access-on-load-cpu',
  statement:
    'Code that reads or writes the hardware timer for a vcpu runs on the CPU on which the vcpu is loaded, or while it is not loaded.',
  why: "On another CPU the registers are another vcpu's: its deadline ends up in this vcpu's memory.",
  models: everyModelSinceRfc('error'),
  needs: [['save', 'restore', 'sync', 'reset', 'user_write', 'update_irq', 'expiry_work'], 'load', 'put'],
  source: 'RFC weak point W8 (should_fire reads the current CPU); fixed for reset by e761a927bc9a; specification §4.1',
  messages: {
    elsewhere: {
      headline: 'a {kind} of {vcpu} runs on CPU {cpu} while the vcpu is loaded on CPU {loaded}',
      given: '{vcpu} was loaded on CPU {loaded}',
      must: 'what touches its timer runs there, or waits until it is put',
      but: 'a {kind} of it ran on CPU {cpu}',
      therefore: 'the registers of CPU {cpu} were taken for those of {vcpu}',
    },
    'other-vcpu': {
      headline: 'the registers that were restored for vcpu {before} are saved for vcpu {after}',
      given: 'on CPU {cpu} a load of the thread restored the timer of vcpu {before}',
      must: 'until its put the CPU holds the timer of that vcpu, and of no other',
      but: 'the timer map of vcpu {after} was printed there before the registers were saved',
      therefore: "the deadline of one vcpu ends up in the other's memory",
    },
    'foreign-load': {
      headline: 'the timer of {vcpu} is loaded and put on CPU {cpu} as that of vcpu {other}',
      given: '{vcpu} was loaded on CPU {cpu}',
      must: 'its load and its put use its own timer',
      but: 'they printed the timer map of vcpu {other}',
      therefore: "the deadline of one vcpu ends up in the other's memory",
    },
  },
  examples: {
    legal: [
      {
        title: 'the target is put before its reset on another CPU',
        model: 'rfc-load-put',
        trace: 'event,vcpu,cpu\nload,1,1\nput,1,1\nload,0,0\nreset,1,0\n',
      },
      {
        title: 'put, reset and load on the same CPU',
        model: 'timer-map',
        trace: 'event,vcpu,cpu\nload,1,1\nput,1,1\nreset,1,1\nload,1,1\n',
      },
    ],
    violating: [
      {
        title: 'the work item of an expired background timer runs while the vcpu is loaded elsewhere already',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,time\nload,0,0\nschedule,0,0\nbg_arm,0,0\nput,0,0\nbg_expire,0,1,1ms\nload,0,0,2ms\nexpiry_work,0,1,3ms\n',
        message: 'elsewhere',
        line: 8,
      },
      {
        title: 'vcpu 0 resets vcpu 1, which is still loaded on CPU 1',
        model: 'rfc-load-put',
        trace: 'event,vcpu,cpu\nload,1,1\nload,0,0\nreset,1,0\n',
        message: 'elsewhere',
        line: 4,
      },
    ],
  },
  create(context) {
    const { machine } = context;
    const maps = mapsOfLoad(context);
    function judge(event: TimerEvent): void {
      if (event.vcpu < 0 || event.attribution >= Certainty.approximate)
        return context.undecided(event, because.unattributed);
      const vcpu = machine.vcpu(event.vcpu);
      const { cpu } = vcpu;
      if (cpu === somewhere) return context.undecided(event, because.initial);
      if (cpu === nowhere || cpu === event.cpu) return context.hold(event);
      if (vcpu.cpuApproximate || vcpu.putting) return context.undecided(event, because.approximate);
      context.violate(event, {
        message: 'elsewhere',
        data: {
          kind: kindNames[event.kind] as string,
          vcpu: vcpuName(machine, event.vcpu),
          cpu: event.cpu,
          loaded: cpu,
        },
        witness: [vcpu.last[Kind.load]],
        explainedBy: endsOfLoad,
        // What runs elsewhere by its nature says nothing about who is loaded where.
        distrustOwnership: event.kind !== Kind.expiry_work,
      });
    }
    const kinds = ['save', 'restore', 'sync', 'reset', 'user_write'] as const;
    return {
      before: {
        ...(Object.fromEntries(kinds.map((kind) => [kind, judge])) as Record<(typeof kinds)[number], Handler>),
        timer_map: maps.timer_map,
        restore(event) {
          judge(event);
          maps.restore(event);
        },
        save(event) {
          judge(event);
          maps.save(event);
        },
        lost: maps.lost,
        expiry_work(event) {
          // kvm_timer_should_fire in the work item, gone since 63e41226afc3, refreshes what is loaded, wherever it runs.
          if (context.model.id === 'rfc-load-put') judge(event);
        },
        update_irq(event) {
          // An interrupt handler or a soft timer's callback takes the level from the running vcpu or from memory.
          if (event.context !== Context.hardirq && event.context !== Context.softirq) judge(event);
        },
      },
    };
  },
});
