import { Context } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { no, unknown, yes } from '../machine/state.js';
import { because, type Handler } from './context.js';
import { when } from './occasion.js';
import { ArmedClaims } from './parts/armed-claims.js';
import { defineRule } from './rule.js';
import { everyModel, vcpuName } from './support.js';

export default defineRule({
  id: 'bg-not-armed-in-guest',
  statement:
    'A vcpu is entered only with its background timer cancelled or fired; from 4.11 to 4.14 the same hrtimer may stand in for the physical timer then.',
  why: 'An armed one kicks the guest out for a deadline that the hardware timer already covers; before 4.15 it is a BUG.',
  models: everyModel('error'),
  needs: ['bg_arm', 'bg_cancel', 'bg_expire', 'entry'],
  source: 'BUG_ON(timer_is_armed) in kvm_timer_sync_hwstate; kvm_timer_unblocking; specification §4.4',
  messages: {
    armed: {
      headline: '{vcpu} enters the guest on CPU {cpu} with its background timer armed',
      given: 'the background timer of {vcpu} was armed',
      must: 'it is cancelled, or has fired, before the vcpu is entered',
      but: 'the vcpu was entered with neither recorded',
      therefore: 'the timer was not cancelled at the wakeup: it fires into a running guest',
    },
  },
  examples: {
    legal: [
      {
        title: 'armed by the flush for the physical timer; the wait before has left nothing',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu\nload,0,0\nschedule,0,0\nbg_arm,0,0\nunschedule,0,0\nbg_cancel,0,0\nflush,0,0\nentry,0,0\nexit,0,0\nsync,0,0\nflush,0,0\nbg_arm,0,0\nentry,0,0\n',
      },
      {
        title: 'cancelled at the load',
        model: 'timer-map',
        trace: 'event,vcpu,cpu\nwfx,0,0\nput,0,0\nbg_arm,0,0\nload,0,0\nbg_cancel,0,0\nentry,0,0\n',
      },
      {
        title: 'fired: there is nothing to cancel',
        model: 'timer-map',
        trace: 'event,vcpu,cpu\nwfx,0,0\nput,0,0\nbg_arm,0,0\nbg_expire,0,0\nload,0,0\nentry,0,0\n',
      },
    ],
    violating: [
      {
        title: 'the wait has ended without a cancel',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu\nload,0,0\nschedule,0,0\nbg_arm,0,0\nunschedule,0,0\nbg_cancel,0,0\nschedule,0,0\nbg_arm,0,0\nunschedule,0,0\nflush,0,0\nentry,0,0\n',
        message: 'armed',
        line: 11,
      },
      {
        title: 'entered without unschedule',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu\nload,0,0\nschedule,0,0\nbg_arm,0,0\nunschedule,0,0\nbg_cancel,0,0\nschedule,0,0\nbg_arm,0,0\nput,0,0\nload,0,0\nentry,0,0\n',
        message: 'armed',
        line: 11,
      },
    ],
  },
  create(context) {
    const { machine, model } = context;
    /** By vcpu: the arming that was reported; every entry until it fires would say the same. */
    const reported: number[] = [];
    const claims = new ArmedClaims(context);
    /** By vcpu: whether the timer was armed outside any wait, which up to 4.14 is the flush, for the physical timer. */
    const emulating: boolean[] = [];

    const ended: Handler = (event) => {
      if (event.vcpu >= 0) claims.ended(event.vcpu, event);
    };

    return {
      before: {
        bg_arm(event) {
          if (event.vcpu < 0) return;
          claims.started(event.vcpu);
          if (model.id !== 'world-switch') return;
          // What the callback arms again is what was armed before.
          if (event.context === Context.hardirq || event.context === Context.softirq) return;
          emulating[event.vcpu] = machine.vcpu(event.vcpu).blocked !== yes;
        },
        entry(event) {
          if (event.vcpu < 0) return context.undecided(event, because.unattributed);
          const vcpu = machine.vcpu(event.vcpu);
          if (vcpu.bgArmed === no) return context.hold(event);
          // A vcpu that never waited has nothing to cancel; nothing is claimed of it.
          if (vcpu.bgArmed === unknown) return;
          // bg-armed-only-when-blocked judges whether it was a flush.
          if (emulating[event.vcpu] === true) return;
          const arm = vcpu.last[Kind.bg_arm];
          if (reported[event.vcpu] === arm.serial) return;
          reported[event.vcpu] = arm.serial;
          claims.claim(event.vcpu, event, arm.expires, {
            message: 'armed',
            data: { vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu },
            witness: [arm, vcpu.last[Kind.load]],
            explainedBy: ['bg_expire', 'bg_cancel'],
          });
        },
        bg_cancel: when(claims.occasion, ended),
        bg_expire: when(claims.occasion, ended),
        lost: when(claims.occasion, () => claims.forget(because.initial)),
      },
      end: () => claims.forget(because.ends),
    };
  },
});
