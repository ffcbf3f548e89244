import { Certainty, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { nowhere, somewhere } from '../machine/state.js';
import { because } from './context.js';
import { defineRule } from './rule.js';
import { everyModel, vcpuName } from './support.js';

export default defineRule({
  id: 'one-vcpu-per-cpu',
  statement: 'At most one vcpu is loaded on a CPU.',
  why: 'The running-vcpu pointer and the timer registers exist once per CPU: a second vcpu takes the timer of the first.',
  models: everyModel('error'),
  needs: [['load', 'entry'], 'put'],
  source: 'kvm_arch_vcpu_load and kvm_arch_vcpu_put, the per-CPU running vcpu; specification §4.1',
  messages: {
    second: {
      headline: '{vcpu} is loaded on CPU {cpu} while {other} still is',
      given: '{other} was loaded on CPU {cpu} and no put of it followed',
      must: 'a CPU has no other vcpu loaded when one is loaded there',
      but: '{vcpu} was loaded on CPU {cpu}',
      therefore: 'both vcpus take the timer registers of CPU {cpu} for their own',
    },
  },
  examples: {
    legal: [
      {
        title: 'the first vcpu is put before the second is loaded',
        model: 'timer-map',
        trace: 'event,vcpu,cpu\nload,0,0\nput,0,0\nload,1,0\n',
      },
    ],
    violating: [
      {
        title: 'a second vcpu is loaded on CPU 0',
        model: 'timer-map',
        trace: 'event,vcpu,cpu\nload,0,0\nload,1,0\n',
        message: 'second',
        line: 3,
      },
    ],
  },
  create(context) {
    const { machine } = context;
    function judge(event: TimerEvent): void {
      if (event.vcpu < 0) return context.undecided(event, because.unattributed);
      const running = machine.cpu(event.cpu).running;
      if (running === somewhere) return context.undecided(event, because.initial);
      if (running === event.vcpu || (running === nowhere && event.kind === Kind.load)) return context.hold(event);
      // An entry with nobody loaded is what entry-only-when-loaded judges.
      if (running === nowhere) return;
      const other = machine.vcpu(running);
      if (other.cpuApproximate || event.certainty >= Certainty.approximate)
        return context.undecided(event, because.approximate);
      context.violate(event, {
        message: 'second',
        data: { vcpu: vcpuName(machine, event.vcpu), other: vcpuName(machine, running), cpu: event.cpu },
        witness: [other.last[Kind.load], other.last[Kind.entry]],
        distrustOwnership: true,
        ofCpu: true,
      });
    }
    return { before: { load: judge, entry: judge } };
  },
});
