import { type KindName, kindNames } from '../events/kinds.js';
import { because } from './context.js';
import { type HandlerWhen, Marks, when } from './occasion.js';
import { defineRule } from './rule.js';
import { everyModel, Slots, vcpuName } from './support.js';

/** What a load or put of an enabled vcpu does. */
const noisy: readonly KindName[] = ['save', 'restore', 'update_irq', 'set_active', 'set_affinity', 'set_cntvoff'];

export default defineRule({
  id: 'disabled-vcpu-silent',
  statement: 'Before its timer is enabled in the first KVM_RUN a vcpu saves, restores, reports and writes nothing.',
  why: 'Before that the vgic may not exist and the interrupt numbers are not assigned.',
  // The RFC checks nothing of the kind: that is its design (W10), and harmless on hosts that have what it touches.
  models: { ...everyModel('warning'), 'rfc-load-put': 'info' },
  needs: ['enable'],
  source:
    '`if (unlikely(!timer->enabled)) return` in kvm_timer_vcpu_load and _put, before 4.15 in kvm_timer_flush_hwstate; b3aff6ccbb1d; RFC weak point W10; specification §4.7',
  messages: {
    noise: {
      headline: 'a {kind} of {vcpu} happens before its timer is enabled',
      given: 'the timer of {vcpu} was enabled later, and the vcpu had not run before',
      must: 'nothing happens to its timer until then',
      but: 'a {kind} of it was recorded',
      therefore: 'load, put or flush ran for a vcpu without a vgic and without interrupt numbers',
    },
  },
  examples: {
    legal: [
      {
        title: 'load and put do nothing before the enable',
        model: 'timer-map',
        trace: 'event,vcpu,cpu,timer,ctl,cval\nload,0,0\nput,0,0\nenable,0,0\nload,0,0\nrestore,0,0,vtimer,0,0\n',
      },
    ],
    violating: [
      {
        title: 'the ioctls that set a vcpu up load it (W10)',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,irq,level\nload,0,0\nset_active,0,0,27,0\nset_cntvoff,0,0\nput,0,0\nset_cntvoff,0,0\nload,0,0\nenable,0,0\n',
        message: 'noise',
        line: 3,
      },
      {
        title: 'restored before the enable',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval\nload,0,0\nrestore,0,0,vtimer,0,0\nput,0,0\nsave,0,0,vtimer,0,0\nenable,0,0\n',
        message: 'noise',
        line: 3,
      },
      {
        title: 'the flush writes the active state of a vcpu without a vgic (b3aff6ccbb1d)',
        model: 'world-switch',
        trace: 'event,vcpu,cpu,level\nload,0,0\nflush,0,0\nset_active,0,0,0\nsync,0,0\nput,0,0\nenable,0,0\n',
        message: 'noise',
        line: 4,
      },
      {
        title: 'an ioctl loads a vcpu that has never run (W10)',
        model: 'rfc-load-put',
        trace: 'event,vcpu,cpu,level\nload,0,0\nset_affinity,0,0,1\nput,0,0\nenable,0,0\n',
        message: 'noise',
        line: 3,
      },
    ],
  },
  create(context) {
    const { machine } = context;
    /** The first noise of a vcpu whose enabling has not been seen. */
    const noise = new Slots();
    /** Vcpus that have neither run nor been judged: an enable of any other is a repetition. */
    const fresh = new Marks();
    machine.whenAdded((vcpu) => fresh.add(vcpu.index));
    const keep = when(fresh.occasion, (event) => {
      if (fresh.has(event.vcpu) && noise.get(event.vcpu) === undefined) noise.set(event.vcpu, event);
    });
    const settle = when(fresh.occasion, (event) => {
      fresh.delete(event.vcpu);
    });
    return {
      before: {
        ...(Object.fromEntries(noisy.map((kind) => [kind, keep])) as Partial<Record<KindName, HandlerWhen>>),
        entry: settle,
        exit: settle,
        lost() {
          for (const vcpu of machine.vcpus) fresh.delete(vcpu.index);
        },
        enable(event) {
          if (event.vcpu < 0) return context.undecided(event, because.unattributed);
          if (!fresh.delete(event.vcpu)) return;
          const first = noise.get(event.vcpu);
          if (first === undefined) return context.hold(event);
          context.violate(event, {
            message: 'noise',
            data: { kind: kindNames[first.kind] as string, vcpu: vcpuName(machine, event.vcpu) },
            witness: [event],
            at: first,
          });
        },
      },
    };
  },
});
