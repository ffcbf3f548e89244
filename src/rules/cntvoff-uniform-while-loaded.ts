import { Kind } from '../events/kinds.js';
import type { VcpuState } from '../machine/state.js';
import { because } from './context.js';
import { defineRule } from './rule.js';
import { everyModel, isSameValue, isZeroValue, Slots, valueText, vcpuName } from './support.js';

const { 'world-switch': _, ...loadPut } = everyModel('info');

const unshown = 'it is not known that the vcpus are of one VM';

export default defineRule({
  id: 'cntvoff-uniform-while-loaded',
  statement: 'All vcpus of a VM that are loaded at the same time have the same virtual counter offset.',
  why: 'The guest sees one counter on all its CPUs; with two offsets it sees time jump whenever a thread migrates.',
  models: loadPut,
  needs: ['set_cntvoff'],
  source:
    'update_vtimer_cntvoff, which changes the offset of loaded vcpus as well: RFC weak point W13; specification §4.3',
  messages: {
    differs: {
      headline: '{vcpu} is loaded with counter offset {found} while {other} of the same VM runs with {expected}',
      given: '{other} was loaded on CPU {otherCpu} with offset {expected}',
      must: 'the vcpus of its VM that are loaded meanwhile have the same offset',
      but: '{vcpu} was loaded on CPU {cpu} with offset {found}',
      therefore: 'until {other} is loaded again the guest sees two counters; userspace has set one while it ran',
    },
  },
  examples: {
    legal: [
      {
        title: 'the counter is set while no vcpu is loaded',
        model: 'timer-map',
        host: 'vhe',
        trace:
          'event,vcpu,cpu,value\nload,0,0\nset_cntvoff,0,0,0x10\nload,1,1\nset_cntvoff,1,1,0x10\nput,0,0\nset_cntvoff,0,0,0\nput,1,1\nset_cntvoff,1,1,0\nload,0,0\nset_cntvoff,0,0,0x20\nload,1,1\nset_cntvoff,1,1,0x20\n',
      },
    ],
    violating: [
      {
        title: 'the counter is set while another vcpu of the VM is loaded (W13)',
        model: 'timer-map',
        host: 'vhe',
        trace:
          'event,vcpu,cpu,value,register\nload,0,0\nset_cntvoff,0,0,0x10\nuser_write,1,1,0x5,cnt\nload,1,1\nset_cntvoff,1,1,0x20\n',
        message: 'differs',
        line: 6,
      },
    ],
  },
  create(context) {
    const { machine } = context;
    /** By vcpu: the last offset that a load of it has written. */
    const written = new Slots();
    /** Pairs of vcpus that had the same offset at some time, which only vcpus of one VM have. */
    const sisters = new Set<number>();

    function areSisters(a: VcpuState, b: VcpuState): boolean | undefined {
      if (a.vm >= 0 && b.vm >= 0) return a.vm === b.vm;
      return sisters.has(pair(a.index, b.index)) ? true : undefined;
    }

    return {
      before: {
        set_cntvoff(event) {
          // A trapped access puts and loads the timer alone: the 0 in between is nobody's offset.
          if (event.vcpu < 0 || !event.hasValue || isZeroValue(event)) return;
          const vcpu = machine.vcpu(event.vcpu);
          if (vcpu.putting || vcpu.isNested) return;
          written.each((other, index) => {
            if (index !== event.vcpu && isSameValue(other, event)) sisters.add(pair(index, event.vcpu));
          });
          written.set(event.vcpu, event);
          for (const cpu of machine.cpus) {
            if (cpu.index === event.cpu || cpu.running < 0 || cpu.running === event.vcpu) continue;
            const other = machine.vcpu(cpu.running);
            const offset = cpu.last[Kind.set_cntvoff];
            if (other.putting || other.isNested || !offset.hasValue || isZeroValue(offset)) continue;
            // Until its load has written it, what a put has left there is nobody's.
            if (offset.vcpu !== other.index || offset.serial < other.last[Kind.load].serial) continue;
            const same = areSisters(vcpu, other);
            if (same === false) continue;
            if (isSameValue(offset, event)) context.hold(event);
            else if (same === undefined) context.undecided(event, unshown);
            else if (other.unseen || other.cpu !== cpu.index) context.undecided(event, because.blind);
            else
              context.violate(event, {
                message: 'differs',
                data: {
                  vcpu: vcpuName(machine, event.vcpu),
                  cpu: event.cpu,
                  found: valueText(event),
                  other: vcpuName(machine, other.index),
                  otherCpu: cpu.index,
                  expected: valueText(offset),
                },
                witness: [offset],
                explainedBy: ['put', 'timer_put', 'set_cntvoff'],
              });
          }
        },
      },
    };
  },
});

function pair(a: number, b: number): number {
  return Math.min(a, b) * 65536 + Math.max(a, b);
}
