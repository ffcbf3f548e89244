import { Certainty, Context, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { no, unknown, type VcpuState, yes } from '../machine/state.js';
import { because } from './context.js';
import { defineRule } from './rule.js';
import { everyModel, loadPutModels, vcpuName } from './support.js';

/** HVC and SMC: PSCI CPU_SUSPEND waits like WFI, but leaves no kvm_wfx_arm64 (specification §4.4). */
const psciClasses: readonly number[] = [0x12, 0x13, 0x16, 0x17];

export default defineRule({
  id: 'bg-armed-only-when-blocked',
  statement:
    'The background timer is armed only for a vcpu that waits: between schedule and unschedule up to 5.0, inside the put of a waiting vcpu since 5.1, and never while the vcpu is loaded.',
  why: 'The background timer stands in for the hardware while the vcpu sleeps; beside a loaded timer it wakes and kicks for nothing, or its arming is a BUG.',
  models: everyModel('error'),
  needs: ['bg_arm', ['wfx', 'schedule', 'sched_switch'], 'entry', 'put'],
  source:
    'kvm_timer_schedule and BUG_ON(timer_is_armed); kvm_timer_blocking since accb99bcd0ca; specification §4.4, §4.8 points 1 and 8',
  messages: {
    'not-waiting': {
      headline: 'the background timer of {vcpu} is armed on CPU {cpu} although the vcpu does not wait',
      given: '{vcpu} was neither in WFI nor in another wait',
      must: 'only a waiting vcpu has its background timer armed',
      but: 'it was armed',
      therefore: 'the timer will wake a vcpu that does not sleep',
    },
    loaded: {
      headline: 'the background timer of {vcpu} is armed on CPU {cpu} while the vcpu is loaded',
      given: '{vcpu} was loaded and its hardware timer restored',
      must: 'the background timer is armed only once the vcpu is put',
      but: 'it was armed before the put',
      therefore: 'two timers count down the same deadline',
    },
    twice: {
      headline: 'the background timer of {vcpu} is armed although it is armed already',
      given: 'the background timer of {vcpu} had been armed and neither fired nor been cancelled',
      must: 'it is armed only when it is not',
      but: 'it was armed again',
      therefore: 'BUG_ON(timer_is_armed) brings the host down',
    },
  },
  examples: {
    legal: [
      {
        title: 'armed in schedule',
        model: 'rfc-load-put',
        trace: 'event,vcpu,cpu\nload,0,0\nschedule,0,0\nbg_arm,0,0\nput,0,0\n',
      },
      {
        title: 'started again while armed, as 4.15 and later do',
        model: 'load-put-4.16',
        trace:
          'event,vcpu,cpu\nload,0,0\nentry,0,0\nexit,0,0\nschedule,0,0\nbg_arm,0,0\nput,0,0\nload,0,0\nschedule,0,0\nbg_arm,0,0\nput,0,0\nbg_expire,0,0\nload,0,0\nunschedule,0,0\nentry,0,0\n',
      },
      {
        title: 'armed in the put of a vcpu in WFI',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,level,next,state\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nexit,0,0\nwfx,0,0\nschedule,0,0\nsched_switch,0,0,,,,,1,S\nput,0,0\nsave,0,0,vtimer,1,0x1000\nbg_arm,0,0\n',
      },
    ],
    violating: [
      {
        title: 'armed without schedule',
        model: 'rfc-load-put',
        trace: 'event,vcpu,cpu\nload,0,0\nschedule,0,0\nunschedule,0,0\nbg_arm,0,0\n',
        message: 'not-waiting',
        line: 5,
      },
      {
        title: 'armed after unschedule',
        model: 'load-put-5.0',
        trace:
          'event,vcpu,cpu\nload,0,0\nentry,0,0\nexit,0,0\nschedule,0,0\nbg_arm,0,0\nput,0,0\nload,0,0\nunschedule,0,0\nbg_cancel,0,0\nbg_arm,0,0\n',
        message: 'not-waiting',
        line: 11,
      },
      {
        title: 'preempted, not waiting',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,next,state\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nexit,0,0\nwfx,0,0\nhalt_end,0,0\nentry,0,0\nexit,0,0\nsched_switch,0,0,,,,1,R\nput,0,0\nsave,0,0,vtimer,1,0x1000\nbg_arm,0,0\n',
        message: 'not-waiting',
        line: 13,
      },
    ],
  },
  create(context) {
    const { machine, model } = context;
    /** The blocking hooks are probed: what they do not show did not happen. */
    let hooks = false;
    /** Since 4.15 the timer is started whether it is armed or not. */
    const restarts = loadPutModels.some((id) => id === model.id);

    function violate(event: TimerEvent, vcpu: VcpuState, message: string): void {
      context.violate(event, {
        message,
        data: { vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu },
        witness: [
          vcpu.last[message === 'loaded' ? Kind.load : Kind.exit] as TimerEvent,
          vcpu.last[message === 'twice' ? Kind.bg_arm : Kind.put] as TimerEvent,
        ],
      });
    }

    /** Whether the vcpu waits, from the hooks, from WFI, or from how its thread was switched out. */
    function waits(vcpu: VcpuState): number {
      if (vcpu.blocked === yes) return yes;
      if (psciClasses.includes(vcpu.exitClass)) return yes;
      const switched = vcpu.last[Kind.sched_switch];
      const exit = vcpu.last[Kind.exit];
      // A powered-off or paused vcpu sleeps in the run loop with its wait queue active.
      if (switched.serial > exit.serial && switched.sleeping === 1) return yes;
      if (vcpu.blocked === unknown || exit.serial === 0) return unknown;
      return context.records(Kind.wfx) || context.records(Kind.schedule) ? no : unknown;
    }

    /** The callback has found the deadline in the future and starts the timer again: unschedule waits for that. */
    function rearms(event: TimerEvent, vcpu: VcpuState): boolean {
      return event.context === Context.hardirq && vcpu.last[Kind.bg_expire].serial > vcpu.last[Kind.bg_arm].serial;
    }

    return {
      before: {
        schedule(event) {
          hooks ||= event.certainty === Certainty.recorded;
        },
        bg_arm(event) {
          if (event.vcpu < 0) return context.undecided(event, because.unattributed);
          const vcpu = machine.vcpu(event.vcpu);
          if (!model.recordsSaveRestore) {
            const waiting = hooks ? vcpu.blocked : waits(vcpu);
            if (waiting === unknown) return context.undecided(event, because.initial);
            if (waiting === no && !rearms(event, vcpu)) return violate(event, vcpu, 'not-waiting');
            return vcpu.bgArmed === yes && !restarts ? violate(event, vcpu, 'twice') : context.hold(event);
          }
          const putting = vcpu.last[Kind.put].serial > vcpu.last[Kind.load].serial;
          const loaded =
            vcpu.cpu >= 0 && vcpu.vtimer.loaded === yes && context.records(Kind.save) && !vcpu.cpuApproximate;
          if (loaded && !putting) return violate(event, vcpu, 'loaded');
          const waiting = waits(vcpu);
          if (waiting === yes) context.hold(event);
          else if (waiting === unknown) context.undecided(event, because.initial);
          else violate(event, vcpu, 'not-waiting');
        },
      },
    };
  },
});
