import { Certainty, Context, canFire, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { no, unknown, type VcpuState, yes } from '../machine/state.js';
import { because, type Handler } from './context.js';
import { when } from './occasion.js';
import { ArmedClaims } from './parts/armed-claims.js';
import { defineRule } from './rule.js';
import { ctlText, cvalText, everyModel, givenCounter, loadPutModels, Slots, timerText, vcpuName } from './support.js';

/** HVC and SMC: PSCI CPU_SUSPEND waits like WFI, but leaves no kvm_wfx_arm64 (specification §4.4). */
const psciClasses: readonly number[] = [0x12, 0x13, 0x16, 0x17];

export default defineRule({
  id: 'bg-armed-only-when-blocked',
  statement:
    'The background timer is armed only for a vcpu that waits: between schedule and unschedule up to 5.0, inside the put of a waiting vcpu since 5.1, and then never while the vcpu is loaded. From 4.11 to 4.14 the flush before an entry arms the same hrtimer for the physical timer.',
  why: 'The background timer stands in for the hardware while the vcpu sleeps; beside a loaded timer it wakes and kicks for nothing, or its arming is a BUG.',
  models: everyModel('error'),
  needs: ['bg_arm', ['wfx', 'schedule', 'sched_switch'], 'entry'],
  source:
    'kvm_timer_schedule and BUG_ON(timer_is_armed); kvm_timer_blocking since accb99bcd0ca; kvm_vcpu_sleep; specification §4.4, §4.8 points 1 and 8',
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
    'cannot-fire': {
      headline: 'the background timer of {vcpu} is armed for its {timer}, which cannot fire: CTL {ctl}',
      given: 'the {timer} of {vcpu} was saved with CTL {ctl}, disabled or masked, and no other of its timers can fire',
      must: 'a vcpu without a timer that can fire has no background timer armed',
      but: 'it was armed to expire at the deadline {cval} of that timer, wherever the counter offset can be',
      therefore: 'the vcpu will be woken for an interrupt that it has switched off',
    },
    twice: {
      headline: 'the background timer of {vcpu} is armed although it is armed already',
      given: 'the background timer of {vcpu} had been armed and neither fired nor been cancelled',
      must: 'it is armed only when it is not',
      but: 'it was armed again',
      therefore: 'BUG_ON(timer_is_armed) brings the host down',
    },
    'left-armed': {
      headline:
        'the hrtimer of {vcpu} is armed on CPU {cpu} outside any wait, and neither an entry nor a cancel follows',
      given: '{vcpu} was neither in WFI nor in another wait when its hrtimer was armed',
      must: 'only the flush before an entry does that, for the physical timer, and the entry or the next sync follows at once',
      but: 'the vcpu left the CPU',
      therefore:
        'the timer was armed for a vcpu that does not sleep: it wakes it for nothing, or the next arming is a BUG',
    },
  },
  examples: {
    legal: [
      {
        title: 'armed by the flush for the physical timer, cancelled by the sync',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu\nload,0,0\nflush,0,0\nbg_arm,0,0\nentry,0,0\nexit,0,0\nsync,0,0\nbg_cancel,0,0\nput,0,0\n',
      },
      {
        title: 'the callback is early and arms the timer again',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu,hrtimer,context\nload,0,0\nschedule,0,0\nbg_arm,0,0,0x10\nput,0,0\nbg_expire,0,0,0x10\nbg_arm,0,0,0x10,hardirq\n',
      },
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
      {
        title: 'preempted while it is paused, after it slept',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,level,next,state\nload,0,0\nrestore,0,0,vtimer,1,0x1000\nentry,0,0\nexit,0,0\nwfx,0,0\nhalt_end,0,0\nentry,0,0\nexit,0,0\nsched_switch,0,0,,,,,1,S\nput,0,0\nsave,0,0,vtimer,1,0x1000\nbg_arm,0,0\nload,0,0\nbg_cancel,0,0\nrestore,0,0,vtimer,1,0x1000\nsched_switch,0,0,,,,,1,R\nput,0,0\nsave,0,0,vtimer,1,0x1000\nbg_arm,0,0\n',
      },
    ],
    violating: [
      {
        title: 'armed after the sync of a vcpu that is then preempted',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu,next,state\nload,0,0\nflush,0,0\nentry,0,0\nexit,0,0\nsync,0,0\nbg_arm,0,0\nsched_switch,0,0,1,R\nput,0,0\n',
        message: 'not-waiting',
        line: 7,
      },
      {
        title: 'armed outside any wait, where flushes are not recorded',
        model: 'world-switch',
        trace:
          'event,vcpu,cpu,next,state\nload,0,0\nentry,0,0\nexit,0,0\nwfx,0,0\nhalt_end,0,0\nbg_arm,0,0\nsched_switch,0,0,1,R\nput,0,0\n',
        message: 'left-armed',
        line: 7,
      },
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
        title: 'armed for a masked timer',
        model: 'timer-map',
        trace: `${givenCounter}time,event,vcpu,cpu,timer,ctl,cval,next,state,expires\n0.001,load,0,0,,,,,,\n,restore,0,0,vtimer,3,0x198968,,,\n,entry,0,0,,,,,,\n,exit,0,0,,,,,,\n,wfx,0,0,,,,,,\n,sched_switch,0,0,,,,1,S,\n,put,0,0,,,,,,\n,save,0,0,vtimer,1,0x198960,,,\n,bg_arm,0,0,,,,,,9999872\n0.002,load,0,0,,,,,,\n,bg_cancel,0,0,,,,,,\n,restore,0,0,vtimer,1,0x198960,,,\n,entry,0,0,,,,,,\n,exit,0,0,,,,,,\n,wfx,0,0,,,,,,\n,sched_switch,0,0,,,,1,S,\n,put,0,0,,,,,,\n,save,0,0,vtimer,3,0x198968,,,\n,bg_arm,0,0,,,,,,10ms\n`,
        message: 'cannot-fire',
        line: 23,
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
    const claims = new ArmedClaims(context);
    /** By vcpu: serial number of the last record that shows its thread not running: it slept, or it is woken. */
    const asleep: number[] = [];
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

    /** The save of this put whose timer it is armed for though that cannot fire, and nothing else can. */
    function forMasked(vcpu: VcpuState, expires: number): TimerEvent | undefined {
      const put = vcpu.last[Kind.put].serial;
      let masked: TimerEvent | undefined;
      for (const { save, ctl, saveValid } of vcpu.contexts) {
        if (save.serial <= put || !saveValid) continue;
        if (canFire(ctl)) return undefined;
        if (context.timing.expiresAt(vcpu.index, save.timer, save, expires) === 1) masked = save;
      }
      return masked;
    }

    function violateMasked(event: TimerEvent, save: TimerEvent): void {
      context.violate(event, {
        message: 'cannot-fire',
        data: {
          vcpu: vcpuName(machine, event.vcpu),
          timer: timerText(save.timer),
          ctl: ctlText(save.ctl),
          cval: cvalText(save),
        },
        witness: [save],
      });
    }

    /** 4.4 to 4.14: between schedule and unschedule, or in a flush. */
    function ofWorldSwitch(event: TimerEvent, vcpu: VcpuState): void {
      // The callback came early and returned HRTIMER_RESTART: it arms for the same wait.
      const inCallback = event.context === Context.hardirq || event.context === Context.softirq;
      if (inCallback && vcpu.last[Kind.bg_expire].serial > vcpu.last[Kind.bg_arm].serial) return context.hold(event);
      if (vcpu.blocked === no) return outsideWait(event, vcpu);
      if (vcpu.blocked === unknown) return context.undecided(event, because.initial);
      const ends = context.records(Kind.bg_cancel) && context.records(Kind.bg_expire);
      return vcpu.bgArmed === yes && ends ? twice(event, vcpu) : context.hold(event);
    }

    /**
     * Armed while it is armed, unless it has fired without a record. (What comes of it next does not tell, since up to 4.14
     * a BUG follows.)
     */
    function twice(event: TimerEvent, vcpu: VcpuState): void {
      const { expires } = vcpu.last[Kind.bg_arm];
      if (claims.mayHaveFired(event, expires)) context.undecided(event, because.hidden);
      else violate(event, vcpu, 'twice');
    }

    /** Arms outside any wait that may be those of a flush, by vcpu: the entry or a cancel comes next. */
    const emulating = new Slots();

    /** 4.11 to 4.14: the flush arms the same hrtimer for the physical timer, with preemption off until the sync. */
    function outsideWait(event: TimerEvent, vcpu: VcpuState): void {
      if (psciClasses.includes(vcpu.exitClass)) return context.hold(event);
      if (!context.records(Kind.schedule)) return context.undecided(event, because.initial);
      if (!context.records(Kind.flush) || !context.records(Kind.sync)) {
        emulating.set(event.vcpu, event);
        return;
      }
      const flush = vcpu.last[Kind.flush].serial;
      const over = Math.max(vcpu.last[Kind.sync].serial, vcpu.last[Kind.put].serial);
      if (flush > over) return context.hold(event);
      if (Math.max(flush, over) === 0) return context.undecided(event, because.initial);
      violate(event, vcpu, 'not-waiting');
    }

    const entered: Handler = (event) => {
      const arm = event.vcpu < 0 ? undefined : emulating.take(event.vcpu);
      if (arm !== undefined) context.hold(arm);
    };

    const left: Handler = (event) => {
      const arm = event.vcpu < 0 ? undefined : emulating.take(event.vcpu);
      if (arm === undefined) return;
      if (event.certainty >= Certainty.approximate) return context.undecided(arm, because.approximate);
      context.violate(event, {
        message: 'left-armed',
        data: { vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu },
        witness: [event],
        at: arm,
      });
    };

    /** Whether the vcpu waits, from the hooks, from WFI, or from how its thread was switched out. */
    function waits(vcpu: VcpuState): number {
      if (vcpu.blocked === yes) return yes;
      if (psciClasses.includes(vcpu.exitClass)) return yes;
      const switched = vcpu.last[Kind.sched_switch];
      const exit = vcpu.last[Kind.exit];
      // A powered-off or paused vcpu sleeps in the run loop with its wait queue active (kvm_vcpu_sleep), and may be
      // preempted there once it is woken.
      if (switched.serial > exit.serial && switched.sleeping === 1) return yes;
      if (mayBePaused(vcpu)) return unknown;
      if (vcpu.blocked === unknown || exit.serial === 0) return unknown;
      return context.records(Kind.wfx) || context.records(Kind.schedule) ? no : unknown;
    }

    const mayBePaused = ({ index, last }: VcpuState) => (asleep[index] ?? 0) > last[Kind.exit].serial;
    /** Why nobody knows whether the vcpu waits. */
    const reason = (vcpu: VcpuState) => (mayBePaused(vcpu) ? because.paused : because.initial);

    const sleeps = (event: TimerEvent) => {
      if (event.vcpu >= 0) asleep[event.vcpu] = event.serial;
    };

    /** The callback has found the deadline in the future and starts the timer again: unschedule waits for that. */
    function rearms(event: TimerEvent, vcpu: VcpuState): boolean {
      return event.context === Context.hardirq && vcpu.last[Kind.bg_expire].serial > vcpu.last[Kind.bg_arm].serial;
    }

    return {
      before: {
        schedule(event) {
          hooks ||= event.certainty === Certainty.recorded;
          left(event);
        },
        bg_arm(event) {
          if (event.vcpu < 0) return context.undecided(event, because.unattributed);
          const vcpu = machine.vcpu(event.vcpu);
          if (!model.recordsSaveRestore) {
            if (model.id === 'world-switch') return ofWorldSwitch(event, vcpu);
            const waiting = hooks ? vcpu.blocked : waits(vcpu);
            if (waiting === unknown) return context.undecided(event, reason(vcpu));
            if (waiting === no && !rearms(event, vcpu)) return violate(event, vcpu, 'not-waiting');
            return vcpu.bgArmed === yes && !restarts ? twice(event, vcpu) : context.hold(event);
          }
          if (!context.records(Kind.put)) return context.undecided(event, because.approximate);
          const putting = vcpu.last[Kind.put].serial > vcpu.last[Kind.load].serial;
          const loaded =
            vcpu.cpu >= 0 && vcpu.vtimer.loaded === yes && context.records(Kind.save) && !vcpu.cpuApproximate;
          if (loaded && !putting) return violate(event, vcpu, 'loaded');
          const masked = event.context === Context.hardirq ? undefined : forMasked(vcpu, event.expires);
          if (masked !== undefined) return violateMasked(event, masked);
          const waiting = waits(vcpu);
          if (waiting === yes) context.hold(event);
          else if (waiting === unknown) context.undecided(event, reason(vcpu));
          else violate(event, vcpu, 'not-waiting');
        },
        entry: when(emulating.occasion, entered),
        bg_cancel: when(emulating.occasion, entered),
        sched_switch: when(emulating.occasion, left),
        put: when(emulating.occasion, left),
        lost() {
          emulating.each((arm, vcpu) => {
            context.undecided(arm, because.initial);
            emulating.clear(vcpu);
          });
        },
      },
      after: {
        wakeup: sleeps,
        sched_switch(event) {
          if (event.sleeping !== 0) sleeps(event);
        },
      },
      end() {
        emulating.each((arm) => context.undecided(arm, because.ends));
      },
    };
  },
});
