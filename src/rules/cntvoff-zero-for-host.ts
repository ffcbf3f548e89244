import type { TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import type { ModelId } from '../models/model.js';
import { because } from './context.js';
import { when } from './occasion.js';
import { defineRule } from './rule.js';
import { everyModel, isZeroValue, valueText, vcpuName } from './support.js';

/** From 4.16 to 5.0 a put writes the offset on non-VHE only: `if (!has_vhe())`. */
const notOnVhe: readonly ModelId[] = ['load-put-4.16', 'load-put-5.0'];

const host = 'the kernels of 4.16 to 5.0 write it on non-VHE only, and the kind of host is not known';

export default defineRule({
  id: 'cntvoff-zero-for-host',
  statement:
    'When a vcpu has been put, CNTVOFF_EL2 of the CPU is 0 again; up to 4.14, when it has left the guest. (4.16 to 5.0: on non-VHE.)',
  why: 'A host that runs at EL1 reads the virtual counter with that offset: its clocks would jump by the age of the VM.',
  models: everyModel('error'),
  needs: ['set_cntvoff', ['put', 'exit']],
  source:
    'set_cntvoff(0) in kvm_timer_vcpu_put, from 6.4 on in timer_save_state; `if (!has_vhe())` of 4.16; specification §4.3',
  messages: {
    left: {
      headline: '{vcpu} leaves CPU {cpu} with counter offset {found} still in CNTVOFF_EL2',
      given: '{found} was written to CNTVOFF_EL2 of CPU {cpu} for {vcpu}',
      must: 'the put writes 0',
      but: '{vcpu} was put and nothing was written',
      therefore: 'who reads the virtual counter on CPU {cpu} outside the guest reads it with the offset of a VM',
    },
    'left-by-exit': {
      headline: '{vcpu} leaves the guest on CPU {cpu} with counter offset {found} still in CNTVOFF_EL2',
      given: '{found} was written to CNTVOFF_EL2 of CPU {cpu} for {vcpu}',
      must: 'the world switch writes 0 on its way out',
      but: '{vcpu} left the guest and nothing was written',
      therefore: 'the clocks of the host, which read the virtual counter, jump by the age of the VM',
    },
  },
  examples: {
    legal: [
      {
        title: 'the put writes 0',
        model: 'timer-map',
        host: 'nvhe',
        trace:
          'event,vcpu,cpu,value\nload,0,0\nset_cntvoff,0,0,0x1000\nrestore,0,0\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0\nset_cntvoff,0,0,0\nload,1,0\n',
      },
      {
        title: 'from 6.4 on the save writes 0, within the put',
        model: 'offset',
        host: 'vhe',
        trace:
          'event,vcpu,cpu,value\nload,0,0\nset_cntvoff,0,0,0x1000\nrestore,0,0\nentry,0,0\nexit,0,0\nput,0,0\nset_cntvoff,0,0,0\nsave,0,0\nload,1,0\n',
      },
      {
        title: 'the world switch writes 0 before the host goes on',
        model: 'world-switch',
        host: 'nvhe',
        trace:
          'event,vcpu,cpu,value\nload,0,0\nentry,0,0\nset_cntvoff,0,0,0x1000\nset_cntvoff,0,0,0\nexit,0,0\nput,0,0\n',
      },
    ],
    violating: [
      {
        title: 'the put leaves the offset of the VM behind',
        model: 'timer-map',
        host: 'nvhe',
        trace:
          'event,vcpu,cpu,value\nload,0,0\nset_cntvoff,0,0,0x1000\nrestore,0,0\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0\nload,1,0\n',
        message: 'left',
        line: 7,
      },
      {
        title: 'the world switch leaves it behind',
        model: 'world-switch',
        host: 'nvhe',
        trace: 'event,vcpu,cpu,value\nload,0,0\nentry,0,0\nset_cntvoff,0,0,0x1000\nexit,0,0\nput,0,0\n',
        message: 'left-by-exit',
        line: 5,
      },
    ],
  },
  create(context) {
    const { machine, model } = context;
    const isWorldSwitch = model.id === 'world-switch';
    const onlyNvhe = notOnVhe.includes(model.id);

    function judge(event: TimerEvent, message: string): void {
      if (event.vcpu < 0) return;
      const found = machine.cpu(event.cpu).last[Kind.set_cntvoff];
      if (!found.hasValue) return context.undecided(event, because.initial);
      if (isZeroValue(found)) return context.hold(event);
      if (onlyNvhe && context.host === 'vhe') return;
      if (onlyNvhe && context.host === undefined) return context.undecided(event, host);
      const vcpu = machine.vcpu(event.vcpu);
      context.violate(event, {
        message,
        data: { vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu, found: valueText(found) },
        witness: [found],
        ofCpu: true,
        // A derived end of the put has no record of its own.
        ...(event.kind === Kind.put_end && { at: vcpu.last[Kind.put] }),
        // At EL2 a host reads its counters without the offset.
        ...(context.host === 'vhe' && { severity: 'info' as const }),
      });
    }

    const recorded = context.recorded(Kind.set_cntvoff);
    const leave = when(recorded, (event) => judge(event, 'left'));
    const exit = when(recorded, (event) => judge(event, 'left-by-exit'));
    return { before: isWorldSwitch ? { exit } : { put_end: leave } };
  },
});
