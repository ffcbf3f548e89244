import { Certainty, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { nowhere, somewhere } from '../machine/state.js';
import { because, endsOfLoad } from './context.js';
import { defineRule } from './rule.js';
import { everyModel, vcpuName } from './support.js';

export default defineRule({
  id: 'one-cpu-per-vcpu',
  statement: 'A vcpu is loaded on at most one CPU.',
  why: "Two CPUs would count down the same guest timer, and the later save overwrites the earlier one's registers.",
  models: everyModel('error'),
  needs: [['load', 'entry'], 'put'],
  source:
    'preempt notifiers kvm_sched_in and kvm_sched_out, vcpu->cpu = -1 at put (RFC hunk of arm.c); specification §4.1',
  messages: {
    elsewhere: {
      headline: '{vcpu} is loaded on CPU {cpu} while it still is on CPU {before}',
      given: '{vcpu} was loaded on CPU {before} and no put followed',
      must: 'a vcpu is put on its CPU before another CPU loads it',
      but: 'it was loaded on CPU {cpu}',
      therefore: 'CPU {before} keeps its timer running while CPU {cpu} restores an older copy',
    },
  },
  examples: {
    legal: [
      {
        title: 'the vcpu is put on CPU 0 before CPU 1 loads it',
        model: 'timer-map',
        trace: 'event,vcpu,cpu\nload,0,0\nput,0,0\nload,0,1\n',
      },
    ],
    violating: [
      {
        title: 'CPU 1 loads the vcpu that CPU 0 has not put',
        model: 'timer-map',
        trace: 'event,vcpu,cpu\nload,0,0\nload,0,1\n',
        message: 'elsewhere',
        line: 3,
      },
    ],
  },
  create(context) {
    const { machine } = context;
    function judge(event: TimerEvent): void {
      if (event.vcpu < 0) return context.undecided(event, because.unattributed);
      const vcpu = machine.vcpu(event.vcpu);
      if (vcpu.cpu === somewhere) return context.undecided(event, because.initial);
      if (vcpu.cpu === event.cpu || (vcpu.cpu === nowhere && event.kind === Kind.load)) return context.hold(event);
      // An entry of a vcpu that is nowhere is what entry-only-when-loaded judges.
      if (vcpu.cpu === nowhere) return;
      if (vcpu.cpuApproximate || event.certainty >= Certainty.approximate)
        return context.undecided(event, because.approximate);
      context.violate(event, {
        message: 'elsewhere',
        data: { vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu, before: vcpu.cpu },
        witness: [vcpu.last[Kind.load]],
        explainedBy: endsOfLoad,
        distrustOwnership: true,
      });
    }
    return { before: { load: judge, entry: judge } };
  },
});
