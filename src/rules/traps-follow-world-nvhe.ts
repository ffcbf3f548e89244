import { Certainty, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import type { ModelId } from '../models/model.js';
import { because } from './context.js';
import { when } from './occasion.js';
import { defineRule } from './rule.js';
import { everyModel, Slots, valueText, vcpuName } from './support.js';

/** EL1PCTEN and EL1PCEN of CNTHCTL_EL2, where E2H is 0 and, ten bits higher, where it is 1 (hVHE, from 6.5 on). */
const counter = 1;
const timer = 2;
const shiftE2h = 10;

/** From 6.4 on a VM with a physical offset is not allowed the physical counter either; hVHE exists. */
const withOffsets: readonly ModelId[] = ['offset', 'stateless-level'];

const host = 'the kind of host is not known';

export default defineRule({
  id: 'traps-follow-world-nvhe',
  statement:
    'On a non-VHE host CNTHCTL_EL2 traps the physical timer while the guest runs, and traps nothing while the host does.',
  why: 'A guest that reaches the physical timer programs that of the host; a host that traps loses its own timer.',
  models: everyModel('error'),
  needs: ['entry', 'exit', 'set_traps'],
  source: '__timer_enable_traps and __timer_disable_traps in hyp/timer-sr.c; specification §1.1, §4.3',
  messages: {
    'guest-untrapped': {
      headline: 'the guest of {vcpu} has run on CPU {cpu} with access to the physical timer of the host',
      given: 'CNTHCTL_EL2 of CPU {cpu} was {found} when {vcpu} was entered',
      must: 'EL1PCEN is cleared before the guest runs',
      but: '{vcpu} left the guest and nobody had cleared it',
      therefore: 'the guest could program the physical timer of the host',
    },
    'set-in-load': {
      headline: 'CNTHCTL_EL2 of CPU {cpu} is set for a guest in the load of {vcpu}',
      given: '{vcpu} was being loaded on CPU {cpu}, whose host has no VHE',
      must: 'CNTHCTL_EL2 is set for the guest by the world switch, after the entry',
      but: '{found} was written to it, and the load went on',
      therefore: 'the host traps to EL2 when it uses its own timer',
    },
    'host-trapped': {
      headline: '{vcpu} has left the guest on CPU {cpu}, and CNTHCTL_EL2 still traps as for a guest',
      given: 'CNTHCTL_EL2 of CPU {cpu} was set for the guest of {vcpu}: {found}',
      must: 'EL1PCTEN and EL1PCEN are set again when the guest is left',
      but: '{vcpu} left the guest and nobody had set them',
      therefore: 'the host traps to EL2 when it uses its own timer',
    },
  },
  examples: {
    legal: [
      {
        title: 'set for the guest on the way in, for the host on the way out',
        model: 'timer-map',
        host: 'nvhe',
        trace: 'event,vcpu,cpu,value\nload,0,0\nset_traps,0,0,1\nentry,0,0\nset_traps,0,0,3\nexit,0,0\n',
      },
      {
        title: 'the hypervisor writes between the records of entry and exit',
        model: 'timer-map',
        host: 'nvhe',
        trace:
          'event,vcpu,cpu,level\nload,0,0\nentry,0,0\nset_traps,0,0,1\nset_traps,0,0,0\nexit,0,0\nentry,0,0\nset_traps,0,0,1\nset_traps,0,0,0\nexit,0,0\n',
      },
      {
        title: 'hVHE has the two bits ten higher, and a physical offset forbids the counter as well',
        model: 'offset',
        host: 'nvhe',
        trace: 'event,vcpu,cpu,value\nload,0,0\nentry,0,0\nset_traps,0,0,0\nset_traps,0,0,0xc00\nexit,0,0\n',
      },
    ],
    violating: [
      {
        title: 'nobody sets them back for the host',
        model: 'timer-map',
        host: 'nvhe',
        trace: 'event,vcpu,cpu,level\nload,0,0\nset_traps,0,0,1\nentry,0,0\nexit,0,0\n',
        message: 'host-trapped',
        line: 5,
      },
      {
        title: 'a load sets them for the guest, long before its entry',
        model: 'offset',
        host: 'nvhe',
        trace:
          'event,vcpu,cpu,value\nload,0,0\nset_traps,0,0,1\nrestore,0,0\nentry,0,0\nset_traps,0,0,1\nset_traps,0,0,3\nexit,0,0\n',
        message: 'set-in-load',
        line: 4,
      },
      {
        title: 'the second entry does not set them for the guest',
        model: 'rfc-load-put',
        host: 'nvhe',
        trace:
          'event,vcpu,cpu,value\nload,0,0\nset_traps,0,0,1\nentry,0,0\nset_traps,0,0,3\nexit,0,0\nentry,0,0\nexit,0,0\n',
        message: 'guest-untrapped',
        line: 8,
      },
    ],
  },
  create(context) {
    const { machine, model } = context;
    const isOffset = withOffsets.includes(model.id);
    /** By CPU: the last write for the guest since the last exit there. */
    const forGuest = new Slots();

    /** Whose accesses a value allows: 1 the guest's, 0 the host's, -1 neither or not known. */
    function world(event: TimerEvent): number {
      if (!event.hasValue) return event.level;
      const bits = (event.valueLo | (isOffset ? event.valueLo >>> shiftE2h : 0)) & (counter | timer);
      if (bits === (counter | timer)) return 0;
      return bits === counter || (isOffset && bits === 0) ? 1 : -1;
    }

    return {
      before: {
        lost(event) {
          if (event.cpu >= 0) forGuest.clear(event.cpu);
        },
        set_traps(event) {
          if (world(event) === 1) forGuest.set(event.cpu, event);
        },
        // A load goes on after they were set for the guest: that is no world switch.
        restore: when(forGuest.occasion, (event) => {
          const guest = forGuest.get(event.cpu);
          if (guest === undefined || context.host !== 'nvhe' || event.vcpu < 0) return;
          const vcpu = machine.vcpu(event.vcpu);
          const load = vcpu.last[Kind.load];
          if (load.serial === 0 || guest.serial < load.serial || event.certainty !== Certainty.recorded) return;
          if (vcpu.last[Kind.entry].serial > load.serial || vcpu.last[Kind.exit].serial > load.serial) return;
          forGuest.clear(event.cpu);
          if (world(machine.cpu(event.cpu).last[Kind.set_traps]) !== 1) return;
          context.violate(event, {
            message: 'set-in-load',
            data: { vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu, found: valueText(guest) },
            witness: [load, guest],
            ofCpu: true,
          });
        }),
        exit: when(context.recorded(Kind.set_traps), (event) => {
          if (context.host === 'vhe') return;
          const guest = forGuest.take(event.cpu);
          const last = machine.cpu(event.cpu).last[Kind.set_traps];
          if (last.serial === 0) return context.undecided(event, because.initial);
          if (context.host === undefined) return context.undecided(event, host);
          if (event.vcpu < 0) return context.undecided(event, because.unattributed);
          const vcpu = machine.vcpu(event.vcpu);
          const entry = vcpu.last[Kind.entry];
          const data = { vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu, found: valueText(last) };
          if (world(last) === 1)
            return context.violate(event, { message: 'host-trapped', data, witness: [last, entry], ofCpu: true });
          if (world(last) < 0 || vcpu.inGuest !== 1) return context.undecided(event, because.initial);
          if (guest === undefined)
            return context.violate(event, { message: 'guest-untrapped', data, witness: [last, entry], ofCpu: true });
          context.hold(event);
        }),
      },
    };
  },
});
