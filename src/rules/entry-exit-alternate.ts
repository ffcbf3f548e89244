import type { TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { no, unknown, yes } from '../machine/state.js';
import { because } from './context.js';
import { defineRule } from './rule.js';
import { everyModel, vcpuName } from './support.js';

export default defineRule({
  id: 'entry-exit-alternate',
  statement: 'Entries and exits of a vcpu alternate, and an exit is recorded on the CPU of its entry.',
  why: 'Preemption is off from entry to exit: anything else means a lost record or a broken run loop.',
  models: everyModel('warning'),
  needs: ['entry', 'exit'],
  source: 'kvm_arch_vcpu_ioctl_run, trace_kvm_entry to trace_kvm_exit under preempt_disable; specification §0.5, §4.1',
  messages: {
    'entry-in-guest': {
      headline: '{vcpu} enters the guest twice without an exit',
      given: '{vcpu} had entered the guest',
      must: 'it exits before it enters again',
      but: 'a second entry was recorded on CPU {cpu}',
      therefore: 'an exit was left out or the run loop is broken',
    },
    'exit-outside': {
      headline: '{vcpu} exits the guest without having entered it',
      given: '{vcpu} had exited before',
      must: 'it enters before it exits again',
      but: 'another exit was recorded on CPU {cpu}',
      therefore: 'an entry was left out or the run loop is broken',
    },
    'exit-elsewhere': {
      headline: '{vcpu} enters the guest on CPU {before} and exits on CPU {cpu}',
      given: '{vcpu} entered on CPU {before}',
      must: 'it exits on the same CPU: preemption is off in between',
      but: 'the exit was recorded on CPU {cpu}',
      therefore: 'the vcpu migrated inside the world switch',
    },
  },
  examples: {
    legal: [
      {
        title: 'the interrupt that ends the guest is handled before the exit is recorded',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,irq,level\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,27,1\nvtimer_irq_end,,0\nexit,0,0\nentry,0,0\nexit,0,0\n',
      },
    ],
    violating: [
      {
        title: 'two entries',
        model: 'timer-map',
        trace: 'event,vcpu,cpu\nentry,0,0\nentry,0,0\n',
        message: 'entry-in-guest',
        line: 3,
      },
      {
        title: 'entered on CPU 0, exited on CPU 1',
        model: 'timer-map',
        trace: 'event,vcpu,cpu\nentry,0,0\nexit,0,1\n',
        message: 'exit-elsewhere',
        line: 3,
      },
    ],
  },
  create(context) {
    const { machine } = context;
    function violate(event: TimerEvent, message: string): void {
      const vcpu = machine.vcpu(event.vcpu);
      const entry = vcpu.last[Kind.entry];
      context.violate(event, {
        message,
        data: { vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu, before: entry.cpu },
        witness: [entry, vcpu.last[Kind.exit]],
      });
    }
    return {
      before: {
        entry(event) {
          if (event.vcpu < 0) return context.undecided(event, because.unattributed);
          const { inGuest } = machine.vcpu(event.vcpu);
          if (inGuest === no) context.hold(event);
          else if (inGuest === unknown) context.undecided(event, because.initial);
          else violate(event, 'entry-in-guest');
        },
        exit(event) {
          if (event.vcpu < 0) return context.undecided(event, because.unattributed);
          const vcpu = machine.vcpu(event.vcpu);
          if (vcpu.inGuest === unknown) context.undecided(event, because.initial);
          else if (vcpu.inGuest === no) violate(event, 'exit-outside');
          else if (vcpu.inGuest === yes && vcpu.last[Kind.entry].cpu === event.cpu) context.hold(event);
          else violate(event, 'exit-elsewhere');
        },
      },
    };
  },
});
