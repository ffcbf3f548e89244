import { Certainty, type TimerEvent } from '../events/event.js';
import { Kind, kindNames } from '../events/kinds.js';
import { no, unknown } from '../machine/state.js';
import { because, clockSkew, type Handler } from './context.js';
import { defineRule } from './rule.js';
import { everyModel, vcpuName } from './support.js';

export default defineRule({
  id: 'no-put-in-guest',
  statement:
    'Between entry and exit a vcpu is not put, loaded, scheduled out, blocked, saved, restored, written or reset.',
  why: 'Preemption and interrupts are off across the world switch: the guest would lose its timer while it runs.',
  models: everyModel('error'),
  needs: ['entry', 'exit', ['put', 'save', 'sched_switch']],
  source: 'preempt_disable in kvm_arch_vcpu_ioctl_run across the world switch; specification §0.5 point 2, §4.1',
  messages: {
    inside: {
      headline: 'a {kind} of {vcpu} happens between its entry and its exit on CPU {cpu}',
      given: '{vcpu} had entered the guest and not exited',
      must: 'nothing of the vcpu happens but interrupts until the exit',
      but: 'a {kind} of it was recorded',
      therefore: 'the guest runs on without the state that the kernel took away',
    },
  },
  examples: {
    legal: [
      {
        title: 'put after the exit',
        model: 'timer-map',
        trace: 'event,vcpu,cpu\nload,0,0\nentry,0,0\nexit,0,0\nput,0,0\n',
      },
    ],
    violating: [
      {
        title: 'put between entry and exit',
        model: 'timer-map',
        trace: 'event,vcpu,cpu\nload,0,0\nentry,0,0\nput,0,0\nexit,0,0\n',
        message: 'inside',
        line: 4,
      },
    ],
  },
  create(context) {
    const { machine } = context;
    /** Serial of the entry for which a violation was reported: one stay in the guest is one violation. */
    const reported: number[] = [];
    function judge(event: TimerEvent): void {
      // A thread that runs no vcpu switches as it likes.
      if (event.vcpu < 0) return;
      if (event.attribution >= Certainty.approximate) return context.undecided(event, because.unattributed);
      const vcpu = machine.vcpu(event.vcpu);
      if (vcpu.inGuest === no) return context.hold(event);
      if (vcpu.inGuest === unknown) return context.undecided(event, because.initial);
      if (event.certainty >= Certainty.approximate) return context.undecided(event, because.approximate);
      const entry = vcpu.last[Kind.entry];
      if (entry.cpu !== event.cpu && event.time - entry.time < clockSkew)
        return context.undecided(event, because.order);
      if (reported[event.vcpu] === entry.serial) return;
      reported[event.vcpu] = entry.serial;
      context.violate(event, {
        message: 'inside',
        data: { kind: kindNames[event.kind] as string, vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu },
        witness: [entry],
        distrustOwnership: true,
      });
    }
    const kinds = [
      'put',
      'load',
      'schedule',
      'unschedule',
      'enable',
      'reset',
      'user_write',
      'sched_switch',
      'save',
      'restore',
    ] as const;
    return {
      before: Object.fromEntries(kinds.map((kind) => [kind, judge])) as Record<(typeof kinds)[number], Handler>,
    };
  },
});
