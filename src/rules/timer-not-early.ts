import { Evidence } from '../timing/evidence.js';
import { Answer, type Listener } from '../timing/line.js';
import { defineRule } from './rule.js';
import { cvalText, durationText, everyModel, givenCounter, shownTimer, timerText, vcpuName } from './support.js';

/** Nanoseconds by which a clock may be read beside the truth. */
const tolerance = 50_000;

const columns = 'time,event,vcpu,cpu,timer,ctl,cval,next,state,expires,dp\n';
const sleeps =
  '0.001,load,0,0,,,,,,,\n,timer_map,0,0,,,,,,,0\n,restore,0,0,vtimer,1,0x198968,,,,\n,restore,0,0,ptimer,0,0,,,,\n,entry,0,0,,,,,,,\n,exit,0,0,,,,,,,\n,wfx,0,0,,,,,,,\n,sched_switch,0,0,,,,0,S,,\n,put,0,0,,,,,,,\n,timer_map,0,0,,,,,,,0\n,save,0,0,vtimer,1,0x198968,,,,\n,save,0,0,ptimer,0,0,,,,\n';

/** 4.9: the registers are in memory from the exit on, and the hook before the sleep arms the background timer. */
const flushed = `${givenCounter}time,event,vcpu,cpu,timer,ctl,cval,next,state,expires\n0.001,load,0,0,,,,,,\n,entry,0,0,,,,,,\n,exit,0,0,,,,,,\n,sync,0,0,,1,0x198968,,,\n,wfx,0,0,,,,,,\n,schedule,0,0,,1,0x198968,,,\n,bg_arm,0,0,,,,,,10ms\n,sched_switch,0,0,,,,0,S,\n,put,0,0,,,,,,\n`;

export default defineRule({
  id: 'timer-not-early',
  statement: 'Nothing happens for a timer before its deadline: no wakeup by its background timer, no ISTATUS.',
  why: 'A guest that is woken or interrupted early finds its timer not expired, and has to wait again.',
  models: everyModel('error'),
  needs: [['save', 'restore', 'timer_put', 'sync', 'flush']],
  source: 'kvm_bg_timer_expire, which arms the timer again when it is too early; specification §4.6, §6',
  messages: {
    'woken-early': {
      headline: 'the background timer of {vcpu} fires {by} before the deadline {cval} of its {timer}',
      given: 'the {timer} of {vcpu} was saved with deadline {cval}, and no other of its timers can fire',
      must: 'a callback that runs before the deadline arms the background timer again',
      but: 'it ran {by} before it, wherever the counter offset can be, and did not',
      therefore: 'the vcpu is woken for a timer that has not expired, unless the guest waits with a timeout (WFIT)',
    },
    'istatus-early': {
      headline: 'the {timer} of {vcpu} is saved as expired {by} before its deadline {cval}',
      given: 'the {timer} of {vcpu} was saved with deadline {cval} and ISTATUS set',
      must: 'the counter has reached the deadline',
      but: 'wherever the counter offset can be, it is {by} short of it',
      therefore: 'the hardware compared with another counter than the kernel: the vcpu ran with a wrong CNTVOFF',
    },
  },
  examples: {
    legal: [
      {
        title: '4.9 fires after the deadline',
        model: 'world-switch',
        trace: `${flushed}0.01002,bg_expire,0,0,,,,,,10.01ms\n,wakeup,0,0,,,,,,\n0.0101,load,0,0,,,,,,\n`,
      },
      {
        title: 'the background timer fires after the deadline',
        model: 'timer-map',
        host: 'vhe',
        trace: `${givenCounter}${columns}${sleeps},bg_arm,0,0,,,,,,10ms,\n0.01002,bg_expire,0,0,,,,,,10.01ms,\n0.0101,load,0,0,,,,,,,\n`,
      },
      {
        title: 'too early, and armed again',
        model: 'timer-map',
        host: 'vhe',
        trace: `${givenCounter}${columns}${sleeps},bg_arm,0,0,,,,,,10ms,\n0.0095,bg_expire,0,0,,,,,,9.5ms,\n,bg_arm,0,0,,,,,,10ms,\n0.01002,bg_expire,0,0,,,,,,10.01ms,\n0.0101,load,0,0,,,,,,,\n`,
      },
    ],
    violating: [
      {
        title: 'the work item of 4.9 wakes the vcpu before its deadline (63e41226afc3)',
        model: 'world-switch',
        trace: `${flushed}0.009,bg_expire,0,0,,,,,,9ms\n,expiry_work,0,0,,,,,,\n,wakeup,0,0,,,,,,\n0.0091,load,0,0,,,,,,\n`,
        message: 'woken-early',
        line: 14,
      },
      {
        title: 'fired early, and woken all the same',
        model: 'timer-map',
        host: 'vhe',
        trace: `${givenCounter}${columns}${sleeps},bg_arm,0,0,,,,,,10ms,\n0.004,bg_expire,0,0,,,,,,4ms,\n0.0041,load,0,0,,,,,,,\n`,
        message: 'woken-early',
        line: 18,
      },
      {
        title: 'expired 9 ms early, as with a stale CNTVOFF',
        model: 'offset',
        host: 'vhe',
        trace: `${givenCounter}${columns}0.001,load,0,0,,,,,,,\n,timer_map,0,0,,,,,,,0\n,restore,0,0,vtimer,1,0x198968,,,,\n,entry,0,0,,,,,,,\n,exit,0,0,,,,,,,\n,put,0,0,,,,,,,\n,save,0,0,vtimer,5,0x198968,,,,\n`,
        message: 'istatus-early',
        line: 11,
      },
    ],
  },
  create(context) {
    const { machine, timing } = context;
    const judge =
      (isWoken: boolean): Listener =>
      (event, answer, by, save, reason) => {
        if (answer === Answer.holds) return context.hold(event);
        if (answer === Answer.unknown || save === undefined) return context.undecided(event, reason);
        if (-by < tolerance) return context.undecided(event, 'the difference is within the tolerance');
        context.violate(timing.current, {
          message: isWoken ? 'woken-early' : 'istatus-early',
          data: {
            vcpu: vcpuName(machine, event.vcpu),
            timer: timerText(shownTimer(save)),
            cval: cvalText(save),
            by: durationText(by),
          },
          witness: save === event ? [] : [save],
          at: event,
        });
      };
    timing.listen(Evidence.fired, judge(true));
    timing.listen(Evidence.savedExpired, judge(false));
    return {};
  },
});
