import { Certainty, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { nowhere, somewhere, type VcpuState } from '../machine/state.js';
import { because, endsOfLoad } from './context.js';
import { defineRule } from './rule.js';
import { everyModel, vcpuName } from './support.js';

export default defineRule({
  id: 'load-put-alternate',
  statement: 'Loads and puts of a vcpu alternate, and a put runs on the CPU of its load.',
  why: 'Each load must find what the put before it left; one of them missing leaves registers, offset and pointers behind.',
  models: everyModel('warning'),
  needs: ['load', 'put'],
  source: 'kvm_arch_vcpu_load and kvm_arch_vcpu_put under preempt notifiers and vcpu_load/vcpu_put; specification §4.1',
  messages: {
    'load-while-loaded': {
      headline: '{vcpu} is loaded on CPU {cpu} although it has not been put since its last load',
      given: '{vcpu} was loaded on CPU {before}',
      must: 'a put comes before the next load',
      but: 'it was loaded again on CPU {cpu} without one',
      therefore: 'a put was left out, or the load ran twice',
    },
    'put-while-out': {
      headline: '{vcpu} is put on CPU {cpu} although it is not loaded',
      given: '{vcpu} had been put before',
      must: 'a load comes before the next put',
      but: 'it was put again on CPU {cpu}',
      therefore: 'the put ran twice, or a load was left out',
    },
    'put-elsewhere': {
      headline: '{vcpu} is put on CPU {cpu} although it was loaded on CPU {before}',
      given: '{vcpu} was loaded on CPU {before}',
      must: 'its put runs on CPU {before}',
      but: 'it ran on CPU {cpu}',
      therefore: 'the put saved the registers of another CPU',
    },
  },
  examples: {
    legal: [
      {
        title: 'load, put, load, put',
        model: 'timer-map',
        trace: 'event,vcpu,cpu\nload,0,0\nput,0,0\nload,0,0\nput,0,0\n',
      },
    ],
    violating: [
      {
        title: 'two puts in a row',
        model: 'timer-map',
        trace: 'event,vcpu,cpu\nload,0,0\nput,0,0\nput,0,0\n',
        message: 'put-while-out',
        line: 4,
      },
      {
        title: 'two loads in a row',
        model: 'timer-map',
        trace: 'event,vcpu,cpu\nload,0,0\nload,0,0\n',
        message: 'load-while-loaded',
        line: 3,
      },
      {
        title: 'the put runs on another CPU than the load',
        model: 'timer-map',
        trace: 'event,vcpu,cpu\nload,0,0\nput,0,1\n',
        message: 'put-elsewhere',
        line: 3,
      },
    ],
  },
  create(context) {
    const { machine } = context;

    function violate(event: TimerEvent, message: string, vcpu: VcpuState): void {
      if (vcpu.cpuApproximate || event.certainty >= Certainty.approximate)
        return context.undecided(event, because.approximate);
      context.violate(event, {
        message,
        data: { vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu, before: vcpu.cpu },
        witness: [vcpu.last[Kind.load], vcpu.last[Kind.put]],
        explainedBy: endsOfLoad,
        distrustOwnership: true,
      });
    }

    return {
      before: {
        load(event) {
          if (event.vcpu < 0) return context.undecided(event, because.unattributed);
          const vcpu = machine.vcpu(event.vcpu);
          if (vcpu.cpu === somewhere) return context.undecided(event, because.initial);
          if (vcpu.cpu === nowhere) return context.hold(event);
          violate(event, 'load-while-loaded', vcpu);
        },
        put(event) {
          if (event.vcpu < 0) return context.undecided(event, because.unattributed);
          const vcpu = machine.vcpu(event.vcpu);
          if (vcpu.cpu === nowhere || vcpu.putting) return violate(event, 'put-while-out', vcpu);
          if (vcpu.cpu === somewhere) return context.undecided(event, because.initial);
          if (vcpu.cpu === event.cpu) return context.hold(event);
          violate(event, 'put-elsewhere', vcpu);
        },
      },
    };
  },
});
