import { Ctl, canFire, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { no, type TimerContext, type VcpuState, yes } from '../machine/state.js';
import { Evidence } from '../timing/evidence.js';
import { Answer, type Listener } from '../timing/line.js';
import { because, type Handler, type Violation } from './context.js';
import { Occasion, when } from './occasion.js';
import { ArmedClaims } from './parts/armed-claims.js';
import { expiredAtFlush } from './parts/expired-at-flush.js';
import { interruptAtRestore } from './parts/interrupt-at-restore.js';
import { LoadReports } from './parts/load-reports.js';
import { defineRule } from './rule.js';
import {
  cvalText,
  durationText,
  everyModel,
  givenCounter,
  Slots,
  shownTimer,
  timerText,
  tracedModels,
  vcpuName,
} from './support.js';

/** Nanoseconds by which a clock may be read beside the truth. */
const tolerance = 50_000;

const mayBeLate = 'the timer has expired, and its interrupt may only be late';

const columns = 'time,event,vcpu,cpu,timer,ctl,cval,irq,level,next,state,expires,dp\n';
const put =
  ',put,0,0,,,,,,,,,\n,timer_map,0,0,,,,,,,,,0\n,save,0,0,vtimer,1,0x198968,,,,,,\n,save,0,0,ptimer,0,0,,,,,,\n';
const first =
  '0.001,load,0,0,,,,,,,,,\n,timer_map,0,0,,,,,,,,,0\n,restore,0,0,vtimer,1,0x198968,,,,,,\n,restore,0,0,ptimer,0,0,,,,,,\n';
const loads = (level: number) =>
  `0.012,load,0,0,,,,,,,,,\n,timer_map,0,0,,,,,,,,,0\n,update_irq,0,0,vtimer,,,27,${level},,,,\n,restore,0,0,vtimer,1,0x198968,,,,,,\n`;
const sleeps = `${first},entry,0,0,,,,,,,,,\n,exit,0,0,,,,,,,,,\n,wfx,0,0,,,,,,,,,\n,sched_switch,0,0,,,,,,0,S,,\n${put},bg_arm,0,0,,,,,,,,10ms,\n`;

/** 4.16 to 5.0: a load restores a timer two milliseconds after its deadline, and this comes before the entry. */
const reloads = (interrupt: string) =>
  `${givenCounter}time,event,vcpu,cpu,timer,irq,level,ctl,cval,value,loaded\n0.001,enable,0,0\n,load,0,0\n,set_active,,0,vtimer,,0\n,restore,0,0,vtimer,,,1,0x198968\n,entry,0,0\n,exit,0,0\n,put,0,0\n,save,0,0,vtimer\n0.012,load,0,0\n,timer_load,0,0,,,,1,0x198968,0x70,0\n,set_active,,0,vtimer,,0\n,restore,0,0,vtimer,,,1,0x198968\n${interrupt}0.0121,entry,0,0\n`;

/** Up to 4.14: a wait in which the hrtimer fires. */
const slept =
  'event,vcpu,cpu,irq,level,value\nload,0,0\nflush,0,0\nentry,0,0\nexit,0,0\nsync,0,0\nwfx,0,0\nschedule,0,0,,,0x1000\nbg_arm,0,0\nbg_expire,0,0\nunschedule,0,0\n';
/** 4.14: flush evaluates the timer in memory, first before the deadline. */
const flushes = (report: string) =>
  `${givenCounter}time,event,vcpu,cpu,timer,irq,level,ctl,cval\n0.001,load,0,0,,,,,\n,entry,0,0,,,,,\n,exit,0,0,,,,,\n0.005,flush,0,0,,,0,1,0x198968\n,entry,0,0,,,,,\n,exit,0,0,,,,,\n0.012,flush,0,0,,,0,1,0x198968\n${report},entry,0,0,,,,,\n`;

export default defineRule({
  id: 'expired-timer-asserted',
  statement: 'A timer that can fire is asserted once its deadline has passed, and a sleeping vcpu woken for it.',
  why: 'The guest waits for an interrupt that does not come.',
  models: everyModel('error'),
  needs: [['save', 'restore', 'timer_put', 'sync', 'flush']],
  source:
    'kvm_timer_should_fire in kvm_timer_vcpu_load, kvm_arch_timer_handler and kvm_bg_timer_expire; specification §4.6, §4.8 points 6 and 7',
  messages: {
    'low-at-load': {
      headline: 'the load of {vcpu} reports level 0 for its {timer} {by} after the deadline {cval}',
      given: 'the {timer} of {vcpu} can fire, with deadline {cval}',
      must: 'a load after that deadline reports level 1',
      but: 'this one, whose timer map came {by} after the deadline wherever the counter offset can be, reported level 0',
      therefore: 'the timer interrupt is not pending when the guest goes on',
    },
    'unreported-at-load': {
      headline: 'the load of {vcpu} does not report the level of its {timer}, whose deadline {cval} has passed',
      given: 'the {timer} of {vcpu} can fire, and its deadline {cval} had passed when the load began',
      must: 'the load reports level 1 before it restores the timer',
      but: 'the timer was restored, and its level has not been reported since the load began',
      therefore: 'the guest learns of it only by one more interrupt, or not at all where the interrupt is left active',
    },
    'left-low': {
      headline: 'the level of the {timer} of {vcpu} stays low {by} after its deadline {cval}',
      given: 'the {timer} of {vcpu} can fire, with deadline {cval}',
      must: 'kvm_timer_update_state raises the level in a flush or sync after that deadline',
      but: 'this one came {by} after the deadline, wherever the counter offset can be, and left it low',
      therefore: 'the timer interrupt is not pending when the guest goes on',
    },
    'istatus-clear': {
      headline: 'the {timer} of {vcpu} is saved with ISTATUS clear {by} after its deadline {cval}',
      given: 'the {timer} of {vcpu} was saved enabled, with deadline {cval}',
      must: 'the hardware has set ISTATUS',
      but: 'ISTATUS was clear {by} after the deadline, wherever the counter offset can be',
      therefore: 'the hardware compared with another counter than the kernel: the vcpu ran with a wrong CNTVOFF',
    },
    'never-raised': {
      headline:
        'the {timer} of {vcpu} has expired more than {by} ago while the vcpu was loaded, and its level was not raised',
      given: 'the {timer} of {vcpu} was restored enabled and not masked with deadline {cval}, and saved so, expired',
      must: 'its interrupt reaches the host, whose handler raises the level',
      but: 'no level 1 was reported for more than {by} after the deadline',
      therefore: 'the interrupt of the hardware timer does not reach the host: it is masked, or left active',
    },
    'fired-unreported': {
      headline: 'a timer of {vcpu} has expired, and it enters the guest on CPU {cpu} with no level raised',
      given: 'the hrtimer of {vcpu} fired, and its callback did not arm it again: one of its timers had expired',
      must: 'the next sync or flush reports level 1',
      but: '{vcpu} was flushed and entered without such a report',
      therefore: 'the guest gets the interrupt of its timer late, or not at all',
    },
    'not-interrupted': {
      headline:
        '{vcpu} enters the guest on CPU {cpu} without the interrupt of its {timer}, restored after its deadline {cval}',
      given:
        'the {timer} of {vcpu} was restored able to fire, after its deadline {cval}, and its interrupt was not active on CPU {cpu}',
      must: 'the hardware raises the interrupt at once, and the host takes it before it enters the guest',
      but: 'the guest was entered, and no handler of that interrupt had run',
      therefore: 'the interrupt of the hardware timer does not reach the host, and the guest does not get its own',
    },
    asleep: {
      headline: '{vcpu} sleeps for more than {by} after the deadline {cval} of its {timer}',
      given: '{vcpu} went to sleep with its {timer} able to fire at {cval} and its background timer armed',
      must: 'the background timer wakes it at that deadline',
      but: 'nothing woke it, and the background timer did not fire, until more than {by} after the deadline',
      therefore: 'the guest gets its interrupt late, or not at all',
    },
  },
  examples: {
    legal: [
      {
        title: 'up to 4.14: the flush after the wait reports what the hrtimer has fired for',
        model: 'world-switch',
        trace: `${slept}flush,0,0,,,0x1000\nupdate_irq,0,0,27,1\nentry,0,0\n`,
      },
      {
        title: 'the flush of 4.14 raises it once the deadline has passed',
        model: 'world-switch',
        trace: flushes(',update_irq,0,0,vtimer,27,1,,\n'),
      },
      {
        title: 'up to 5.0 the interrupt comes as soon as the load has restored the expired timer',
        model: 'load-put-4.16',
        trace: reloads(',vtimer_irq,,0\n,update_irq,0,0,vtimer,27,1\n,vtimer_irq_end,,0\n'),
      },
      {
        title: 'level 1 in the first load after the deadline',
        model: 'timer-map',
        host: 'vhe',
        trace: `${givenCounter}${columns}${first}${put}${loads(1)}`,
      },
      {
        title: 'woken in time',
        model: 'timer-map',
        host: 'vhe',
        trace: `${givenCounter}${columns}${sleeps}0.01,bg_expire,0,0,,,,,,,,10ms,\n${loads(1)}`,
      },
      {
        title: 'an emulator stands still: no tick ends the stay in the guest, and ISTATUS is not set either',
        model: 'timer-map',
        host: 'vhe',
        trace: `${givenCounter}${columns}${first}${put}${first.replace('0.001', '0.002')},entry,0,0,,,,,,,,,\n0.2,exit,0,0,,,,,,,,,\n${put}`,
      },
    ],
    violating: [
      {
        title: 'up to 4.14: the hrtimer fires in the wait, and the flush after it reports nothing',
        model: 'world-switch',
        trace: `${slept}flush,0,0,,,0x1000\nentry,0,0\n`,
        message: 'fired-unreported',
        line: 10,
      },
      {
        title: 'the flush of 4.14 leaves the level low two milliseconds after the deadline',
        model: 'world-switch',
        trace: flushes(''),
        message: 'left-low',
        line: 11,
      },
      {
        title: 'up to 5.0 no interrupt comes although the load has restored an expired timer',
        model: 'load-put-4.16',
        trace: reloads(''),
        message: 'not-interrupted',
        line: 16,
      },
      {
        title: 'level 0 two milliseconds after the deadline',
        model: 'timer-map',
        host: 'vhe',
        trace: `${givenCounter}${columns}${first}${put}${loads(0)}`,
        message: 'low-at-load',
        line: 15,
      },
      {
        title: 'a load two milliseconds after the deadline that reports nothing',
        model: 'timer-map',
        host: 'vhe',
        trace: `${givenCounter}${columns}${first}${put}${loads(1)},restore,0,0,ptimer,0,0,,,,,,\n${put}${first.replace('0.001', '0.013')}`,
        message: 'unreported-at-load',
        line: 24,
      },
      {
        title: 'ISTATUS clear a second after the deadline',
        model: 'timer-map',
        host: 'vhe',
        trace: `${givenCounter}${columns}${first}1.1${put}`,
        message: 'istatus-clear',
        line: 11,
      },
      {
        title: 'in the guest for a second without the interrupt',
        model: 'timer-map',
        host: 'vhe',
        trace: `${givenCounter}${columns}${first},update_irq,0,0,vtimer,,,27,0,,,,\n,entry,0,0,,,,,,,,,\n1.1,exit,0,0,,,,,,,,,\n${put.replace('vtimer,1', 'vtimer,5')}`,
        message: 'never-raised',
        line: 14,
      },
      {
        title: 'asleep with an armed timer that does not fire',
        model: 'timer-map',
        host: 'vhe',
        trace: `${givenCounter}${columns}${sleeps}${loads(1).replace('0.012', '0.512')}`,
        message: 'asleep',
        line: 15,
      },
    ],
  },
  create(context) {
    const { machine, timing, maxLatency } = context;
    const waiting = new Occasion();
    /** Saves of timers that can fire, with which vcpus went to sleep, by vcpu. */
    const asleep = new Slots(waiting);
    /** Those of them that slept for too long by all that is recorded. */
    const claims = new ArmedClaims(context);

    function violation(
      at: TimerEvent,
      message: string,
      shown: TimerEvent,
      by: number,
      witness: TimerEvent[],
    ): Violation {
      return {
        message,
        data: {
          vcpu: vcpuName(machine, at.vcpu),
          timer: timerText(shownTimer(shown)),
          cval: cvalText(shown),
          by: durationText(by),
        },
        witness,
        at,
      };
    }

    function violate(at: TimerEvent, message: string, shown: TimerEvent, by: number, witness: TimerEvent[]): void {
      context.violate(timing.current, violation(at, message, shown, by, witness));
    }

    /** The vcpu with this save has slept for too long. */
    function oversleep(save: TimerEvent): Violation {
      const { last } = machine.vcpu(save.vcpu);
      return violation(save, 'asleep', save, maxLatency, [last[Kind.sched_switch], last[Kind.bg_arm]]);
    }

    const judge =
      (isLoad: boolean): Listener =>
      (event, answer, by, shown, reason) => {
        if (answer === Answer.holds) return context.hold(event);
        if (answer === Answer.unknown || shown === undefined) return context.undecided(event, reason);
        if (by < tolerance) return context.undecided(event, 'the difference is within the tolerance');
        if (isLoad) violate(event, 'low-at-load', shown, by, [shown]);
        else violate(event, 'istatus-clear', shown, by, shown === event ? [] : [shown]);
      };
    timing.listen(Evidence.lowered, judge(true));
    timing.listen(Evidence.savedPending, judge(false));
    timing.listen(Evidence.foundPending, (event, answer, by, shown, reason) => {
      if (answer === Answer.holds) return context.hold(event);
      if (answer === Answer.unknown || shown === undefined) return context.undecided(event, reason);
      if (by < tolerance) return context.undecided(event, 'the difference is within the tolerance');
      violate(event, 'left-low', shown, by, []);
    });

    // Its hrtimer is armed before the put, and no restore is recorded.
    if (context.model.id === 'world-switch') return expiredAtFlush(context);

    // Since 5.1 the load itself reports the level.
    const interrupt = context.model.recordsSaveRestore ? undefined : interruptAtRestore(context, waiting);

    /** The deadline of a save had passed for longer than what is only late, at a time; -1 not known. */
    function overdue(save: TimerEvent, time: number): number {
      return timing.passed(save.vcpu, shownTimer(save), save.cvalHi, save.cvalLo, time - maxLatency);
    }

    /** The only timer of the vcpu that can fire, as this put has saved it. */
    function waitsFor(vcpu: VcpuState): TimerEvent | undefined {
      const put = vcpu.last[Kind.put].serial;
      for (const { save, ctl, loaded, saveValid } of vcpu.contexts)
        if (save.serial > put && saveValid && loaded === no && canFire(ctl)) return save;
      return undefined;
    }

    /**
     * Loaded, in the guest, and expired for long: the level must have been raised. A shorter bound is not certain: under
     * stock kernels on emulated hosts the interrupt comes 1.5 ms after the deadline in the median and up to 32 ms, also
     * with the guest entered in between; a host may stall with its interrupts off; and none comes to a guest that has not
     * ended the one before, for which the load has set it active.
     */
    function saved(event: TimerEvent): void {
      const vcpu = machine.vcpu(event.vcpu);
      const state = vcpu.contexts[event.timer] as TimerContext;
      if (state.loaded !== yes || !state.restoredCvalKnown || state.level !== no) return;
      const isSame = state.restoredCvalHi === event.cvalHi && state.restoredCvalLo === event.cvalLo;
      if (!isSame || !canFire(state.restoredCtl)) return;
      const long = event.time - state.restore.time > maxLatency ? overdue(event, event.time) : 0;
      if (long === 1) violate(event, 'never-raised', event, maxLatency, [state.restore, state.update]);
      else context.undecided(event, long === -1 ? because.initial : mayBeLate);
    }

    const reports = tracedModels.some((id) => id === context.model.id) ? new LoadReports(context) : undefined;

    /** The load that restores an expired timer has reported its level: a timer that has not is dist-active-at-load's. */
    function restored(event: TimerEvent): void {
      const begin = reports?.missing(event);
      if (begin === undefined || reports?.isExpired(begin, event) !== true) return;
      violate(event, 'unreported-at-load', event, 0, [begin]);
    }

    function wake(event: TimerEvent): void {
      if (event.vcpu < 0) return;
      const save = asleep.take(event.vcpu);
      if (save === undefined) return;
      const vcpu = machine.vcpu(event.vcpu);
      if (vcpu.unseen) return context.undecided(save, because.blind);
      const late = overdue(save, event.time);
      if (late === 0) return context.hold(save);
      if (late === -1) return context.undecided(save, 'the offset is not known well enough');
      if (event.time - save.time <= maxLatency) return context.hold(save);
      if (vcpu.last[Kind.bg_expire].serial > save.serial)
        return context.undecided(save, 'the background timer has fired: bg-fire-wakes-vcpu judges it');
      if (context.leavesOutThreads) claims.wait(event.vcpu, event, oversleep(save));
      else context.violate(event, oversleep(save));
    }

    const ended: Handler = (event) => {
      if (event.vcpu >= 0) claims.ended(event.vcpu, event);
    };

    /** It has run since: when it was woken is not known. */
    function wokenUnseen(event: TimerEvent): void {
      if (asleep.isEmpty || event.vcpu < 0) return;
      const former = asleep.take(event.vcpu);
      if (former !== undefined) context.undecided(former, 'the load that ended the sleep was not seen');
    }

    return {
      before: {
        timer_map(event) {
          reports?.mapped(event);
        },
        update_irq(event) {
          reports?.reported(event);
        },
        set_active: (event) => interrupt?.activated(event),
        restore(event) {
          interrupt?.restored(event);
          restored(event);
        },
        vtimer_irq: when(waiting, (event) => interrupt?.interrupted(event)),
        put: when(waiting, (event) => interrupt?.left(event)),
        save(event) {
          interrupt?.left(event);
          const expired = (event.ctl & Ctl.istatus) !== 0 && canFire(event.ctl);
          if (event.vcpu >= 0 && event.timer >= 0 && event.hasCval && expired) saved(event);
        },
        put_end(event) {
          if (event.vcpu < 0) return;
          wokenUnseen(event);
          const vcpu = machine.vcpu(event.vcpu);
          const switched = vcpu.last[Kind.sched_switch];
          if (vcpu.blocked !== yes || switched.sleeping !== 1 || switched.serial < vcpu.last[Kind.load].serial) return;
          // What is expired already is no-sleep-with-expired-timer's, what is not armed bg-armed-when-needed's.
          const save = waitsFor(vcpu);
          if (save === undefined || (save.ctl & Ctl.istatus) !== 0) return;
          if (vcpu.last[Kind.bg_arm].serial > vcpu.last[Kind.put].serial) asleep.set(event.vcpu, save);
        },
        wakeup: when(waiting, wake),
        load: when(waiting, wake),
        // Where no restore shows the load, the end of the wait does.
        halt_end: when(waiting, wake),
        entry: when(waiting, (event) => {
          wake(event);
          interrupt?.entered(event);
        }),
        exit: when(waiting, wokenUnseen),
        bg_cancel: when(claims.occasion, ended),
        bg_expire: when(claims.occasion, ended),
        bg_arm: when(claims.occasion, (event) => {
          if (event.vcpu >= 0) claims.started(event.vcpu);
        }),
        lost() {
          interrupt?.lost();
          claims.forget(because.initial);
          for (const vcpu of machine.vcpus) {
            const save = asleep.take(vcpu.index);
            if (save !== undefined) context.undecided(save, because.initial);
          }
        },
      },
      end(event) {
        claims.forget(because.ends);
        for (const vcpu of machine.vcpus) {
          const save = asleep.take(vcpu.index);
          if (save === undefined) continue;
          const hasFired = vcpu.last[Kind.bg_expire].serial > save.serial;
          if (vcpu.unseen) {
            context.undecided(save, because.blind);
            continue;
          }
          if (context.leavesOutThreads) {
            context.undecided(save, because.hidden);
            continue;
          }
          const isLong = event.time - save.time > maxLatency && !hasFired && overdue(save, event.time) === 1;
          if (isLong) context.violate(event, oversleep(save));
          else context.undecided(save, because.ends);
        }
      },
    };
  },
});
