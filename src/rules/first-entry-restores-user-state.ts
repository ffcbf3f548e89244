import { Certainty } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { unknown, yes } from '../machine/state.js';
import { because, type RuleContext } from './context.js';
import { Marks, when } from './occasion.js';
import { defineRule } from './rule.js';
import { everyModelSinceRfc, loadPutModels, vcpuName } from './support.js';

const loadsAgain = 'the kernel may be 4.15, whose kvm_timer_enable loads the timer once more';

/** Whether the restores of a model that implies them are recorded. */
function shows(context: RuleContext): boolean {
  return loadPutModels.some((id) => id === context.model.id) && context.records(Kind.restore);
}

export default defineRule({
  id: 'first-entry-restores-user-state',
  statement: "Between the enabling of a vcpu's timer and its first entry there is a restore of its virtual timer.",
  why: 'Values that userspace set before the first run, as at a migration target, reach the hardware only by a restore.',
  models: everyModelSinceRfc('error'),
  needs: ['enable', 'entry'],
  source: 'kvm_timer_enable in the first KVM_RUN; RFC weak point W5, fixed by 0eb7c33cadf6; specification §4.2',
  messages: {
    'not-restored': {
      headline: '{vcpu} enters the guest for the first time although its timer was not restored since it was enabled',
      given: 'the timer of {vcpu} was enabled, while its load had already run and restored nothing',
      must: 'a restore comes between the enabling and the first entry',
      but: '{vcpu} was entered without one',
      therefore:
        'the guest starts with CTL 0 and the CVAL of another vcpu, and the first save overwrites what userspace had set',
    },
  },
  examples: {
    legal: [
      {
        title: 'enabled before the load',
        model: 'timer-map',
        trace: 'event,vcpu,cpu,timer,ctl,cval\nenable,0,0\nload,0,0\nrestore,0,0,vtimer,1,0x5000\nentry,0,0\n',
      },
      {
        title: 'enabled while loaded: 4.15 loads once more, as the restore shows',
        model: 'load-put-4.15',
        trace: 'event,vcpu,cpu,timer,ctl,cval\nload,0,0\nenable,0,0\nrestore,0,0,vtimer,1,0x5000\nentry,0,0\n',
      },
    ],
    violating: [
      {
        title: 'enabled while loaded (W5)',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,timer,register,value\nuser_write,0,0,vtimer,cval,0x5000\nload,0,0\nenable,0,0\nentry,0,0\n',
        message: 'not-restored',
        line: 5,
      },
      {
        title: 'enabled after the load by a kernel that enables before it (bug 10)',
        model: 'load-put-4.16',
        trace: 'event,vcpu,cpu\nload,0,0\nenable,0,0\nentry,0,0\n',
        message: 'not-restored',
        line: 4,
      },
    ],
  },
  create(context) {
    const { machine } = context;
    /** By vcpu: whether its first entry after an enable is still to come. */
    const expected = new Marks();
    return {
      before: {
        enable(event) {
          if (event.vcpu < 0) return context.undecided(event, because.unattributed);
          // A vcpu that has run before is enabled already: kvm_timer_enable returns at once.
          if (machine.vcpu(event.vcpu).enabled === yes) expected.delete(event.vcpu);
          else expected.add(event.vcpu);
        },
        entry: when(expected.occasion, (event) => {
          if (event.vcpu < 0 || !expected.delete(event.vcpu)) return;
          const vcpu = machine.vcpu(event.vcpu);
          const load = vcpu.last[Kind.load];
          if (!context.model.recordsSaveRestore && (load.serial === 0 || load.certainty >= Certainty.approximate))
            return context.undecided(event, because.approximate);
          // Up to 5.0 a load implies its restore; where restores are probed it has to show.
          const missing = shows(context) && vcpu.vtimer.restore.serial < vcpu.last[Kind.enable].serial;
          if (vcpu.restoredSinceEnable === yes && !missing) return context.hold(event);
          if (context.candidates.includes('load-put-4.15') && !context.records(Kind.restore))
            return context.undecided(event, loadsAgain);
          const shown = context.records(Kind.restore) || !context.model.recordsSaveRestore;
          if ((vcpu.restoredSinceEnable === unknown && !missing) || !shown)
            return context.undecided(event, because.initial);
          context.violate(event, {
            message: 'not-restored',
            data: { vcpu: vcpuName(machine, event.vcpu) },
            witness: [vcpu.last[Kind.user_write], vcpu.last[Kind.load], vcpu.last[Kind.enable]],
          });
        }),
      },
    };
  },
});
