import { Kind } from '../events/kinds.js';
import { somewhere, yes } from '../machine/state.js';
import type { ModelId } from '../models/model.js';
import { because } from './context.js';
import { when } from './occasion.js';
import { defineRule } from './rule.js';
import { everyModel, valueText, vcpuName } from './support.js';

/** From 6.4 on timer_set_traps, at the end of the load, writes CNTHCTL_EL2 on VHE as well. */
const setAtLoad: readonly ModelId[] = ['offset', 'stateless-level'];

/** EL1PCTEN and EL1PTEN where E2H is 1; their places where it is 0. */
const bitsE2h = 0xc00;
const bits = 0x3;

export default defineRule({
  id: 'vhe-traps-not-toggled',
  statement:
    'On a VHE host CNTHCTL_EL2 is set when a CPU comes up and not by loads, puts, entries and exits; from 6.4 on a load may set it at its end.',
  why: 'Bits 0 and 1 of the register mean something else on VHE: toggling them changes what host programs may read, and does not keep the guest from the timer.',
  models: everyModel('warning'),
  needs: [['load', 'entry'], 'set_traps'],
  source: 'kvm_timer_init_vhe; bugs 488f94d7212b and ec6449a9c229, RFC weak point W14; specification §4.3',
  messages: {
    toggled: {
      headline: 'CNTHCTL_EL2 is written on CPU {cpu} while {vcpu} is loaded there',
      given: '{vcpu} is loaded on CPU {cpu} of a VHE host',
      must: 'the traps are those that were set when the CPU came up',
      but: 'the register was written: {value}',
      therefore: 'the guest or the host has other accesses from here on than it should',
    },
    'wrong-layout': {
      headline: 'CNTHCTL_EL2 of CPU {cpu} is written in the layout of non-VHE while {vcpu} is loaded there',
      given: '{vcpu} is loaded on CPU {cpu} of a VHE host, where the controls of EL1 are bits 10 and 11',
      must: 'bits 0 and 1, which control host programs, stay as they are',
      but: '{value} was written, which leaves bits 10 and 11 out',
      therefore: 'host programs may lose the counter, and the guest is not kept from the physical timer',
    },
    'not-at-load': {
      headline: 'CNTHCTL_EL2 is written on CPU {cpu} outside the load of {vcpu}',
      given: '{vcpu} was loaded on CPU {cpu} of a VHE host, and ran',
      must: 'timer_set_traps writes the register at the end of a load only',
      but: 'the register was written: {value}',
      therefore: 'the guest runs with other traps than those that its load has chosen',
    },
  },
  examples: {
    legal: [
      {
        title: 'set when the CPU comes up, and never again',
        model: 'timer-map',
        host: 'vhe',
        trace: 'event,vcpu,cpu,value\nset_traps,,0,0xc00\nload,0,0\nentry,0,0\nexit,0,0\nput,0,0\n',
      },
      {
        title: 'from 6.4 on a load sets the traps of its VM',
        model: 'offset',
        host: 'vhe',
        trace: 'event,vcpu,cpu,value\nload,0,0\nrestore,0,0\nset_traps,0,0,0x400\nentry,0,0\n',
      },
    ],
    violating: [
      {
        title: 'every load toggles bits of non-VHE (ec6449a9c229)',
        model: 'load-put-4.15',
        host: 'vhe',
        trace: 'event,vcpu,cpu,value\nload,0,0\nset_traps,0,0,1\nentry,0,0\nexit,0,0\nput,0,0\nset_traps,0,0,3\n',
        message: 'wrong-layout',
        line: 3,
      },
      {
        title: 'the world switch writes it',
        model: 'world-switch',
        host: 'vhe',
        trace: 'event,vcpu,cpu,value\nload,0,0\nentry,0,0\nset_traps,0,0,0xc00\nexit,0,0\n',
        message: 'toggled',
        line: 4,
      },
      {
        title: 'the traps change between two entries',
        model: 'stateless-level',
        host: 'vhe',
        trace:
          'event,vcpu,cpu,value\nload,0,0\nset_traps,0,0,0xc00\nentry,0,0\nexit,0,0\nset_traps,0,0,0x400\nentry,0,0\n',
        message: 'not-at-load',
        line: 6,
      },
    ],
  },
  create(context) {
    const { machine, model } = context;
    const atLoad = setAtLoad.includes(model.id);
    /** A load that writes nothing keeps the rule, where writes are recorded. */
    const quiet = when(context.recorded(Kind.set_traps), (event) => {
      if (context.host === 'vhe' && event.vcpu >= 0) context.hold(event);
    });

    return {
      before: {
        load: quiet,
        set_traps(event) {
          if (context.host !== 'vhe') return;
          const cpu = machine.cpu(event.cpu);
          const owner = event.vcpu >= 0 ? event.vcpu : cpu.running;
          if (owner === somewhere) return context.undecided(event, because.initial);
          // A CPU that comes up, or comes back from a power state, runs no vcpu.
          if (owner < 0) return context.hold(event);
          const vcpu = machine.vcpu(owner);
          const data = { vcpu: vcpuName(machine, owner), cpu: event.cpu, value: valueText(event) };
          const load = vcpu.last[Kind.load];
          if (!atLoad) {
            const wrongLayout = event.hasValue && (event.valueLo & bitsE2h) === 0 && (event.valueLo & bits) !== 0;
            const message = wrongLayout ? 'wrong-layout' : 'toggled';
            return context.violate(event, { message, data, witness: [load], ofCpu: true });
          }
          const ran = vcpu.last[Kind.entry].serial > load.serial || vcpu.last[Kind.exit].serial > load.serial;
          if (load.serial === 0 || vcpu.cpu !== event.cpu) return context.undecided(event, because.initial);
          // A timer-only load, as after a reset or a change of the map, restores first.
          const restore = vcpu.vtimer.restore.serial;
          const restored = restore > vcpu.last[Kind.entry].serial && restore > vcpu.last[Kind.exit].serial;
          if (vcpu.inGuest !== yes && !vcpu.putting && (!ran || restored)) return context.hold(event);
          context.violate(event, { message: 'not-at-load', data, witness: [load], ofCpu: true });
        },
      },
    };
  },
});
