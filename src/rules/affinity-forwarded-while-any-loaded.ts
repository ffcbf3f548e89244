import { Certainty, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { nowhere, somewhere } from '../machine/state.js';
import { because } from './context.js';
import { defineRule } from './rule.js';
import { everyModelSinceRfc, vcpuName } from './support.js';

export default defineRule({
  id: 'affinity-forwarded-while-any-loaded',
  statement: "The forwarded flag of the timer's interrupt is set while any vcpu is loaded on any CPU.",
  why: 'The flag is one for all CPUs: cleared by one put, the next interrupt on every other CPU is deactivated by the host and comes back at once.',
  models: everyModelSinceRfc('error'),
  needs: [['set_affinity', 'put']],
  source: 'irq_set_vcpu_affinity in kvm_timer_vcpu_load and _put of the RFC; weak point W1; specification §4.5',
  messages: {
    cleared: {
      headline:
        "the put of {vcpu} on CPU {cpu} clears the timer interrupt's forwarded flag while {other} is loaded on CPU {otherCpu}",
      given: '{other} was loaded on CPU {otherCpu}',
      must: 'the flag stays set until nobody is loaded',
      but: 'CPU {cpu} cleared it for all CPUs',
      therefore:
        'the next timer interrupt on CPU {otherCpu} is deactivated by the host while its line is high: an interrupt storm',
    },
  },
  examples: {
    legal: [
      {
        title: 'nobody else is loaded at either put',
        model: 'rfc-load-put',
        trace: 'event,vcpu,cpu\nload,0,0\nput,0,0\nload,1,1\nput,1,1\n',
      },
    ],
    violating: [
      {
        title: 'CPU 1 puts its vcpu while CPU 0 has one loaded (W1)',
        model: 'rfc-load-put',
        trace: 'event,vcpu,cpu\nload,0,0\nload,1,1\nput,1,1\n',
        message: 'cleared',
        line: 4,
      },
    ],
  },
  create(context) {
    const { machine, model } = context;

    function cleared(event: TimerEvent): void {
      let known = true;
      let approximate = false;
      for (const cpu of machine.cpus) {
        if (cpu.index === event.cpu || cpu.running === nowhere) continue;
        if (cpu.running === somewhere || machine.vcpu(cpu.running).putting) {
          known = false;
          continue;
        }
        const other = machine.vcpu(cpu.running);
        if (other.cpuApproximate || event.certainty >= Certainty.approximate) {
          approximate = true;
          continue;
        }
        return context.violate(event, {
          message: 'cleared',
          data: {
            vcpu: event.vcpu < 0 ? 'a vcpu' : vcpuName(machine, event.vcpu),
            cpu: event.cpu,
            other: vcpuName(machine, cpu.running),
            otherCpu: cpu.index,
          },
          witness: [other.last[Kind.load]],
        });
      }
      if (approximate) context.undecided(event, because.approximate);
      else if (known) context.hold(event);
      else context.undecided(event, because.initial);
    }

    return {
      before: {
        set_affinity(event) {
          // Other interrupts are forwarded as well (GICv4, VFIO): only those of a guest timer are meant.
          if (event.level === 0 && event.timer !== Timer.unknown) cleared(event);
        },
        // Only the RFC clears the flag at every put; where it is probed its own record says so.
        ...(model.id === 'rfc-load-put' && {
          put(event: TimerEvent) {
            if (!context.records(Kind.set_affinity)) cleared(event);
          },
        }),
      },
    };
  },
});
