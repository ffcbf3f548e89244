import { Evidence } from '../timing/evidence.js';
import { Answer } from '../timing/line.js';
import { defineRule } from './rule.js';
import { cvalText, durationText, everyModel, givenCounter, shownTimer, timerText, vcpuName } from './support.js';

/** Nanoseconds by which the two may differ for reasons that are no fault (rounding, a shared accumulator up to 6.3). */
const tolerance = 50_000;

const columns = 'time,event,vcpu,cpu,timer,ctl,cval,next,state,expires,dp\n';
/** A vcpu with a deadline 10 ms after time 0 goes to sleep. */
const sleeps =
  '0.001,load,0,0,,,,,,,\n,timer_map,0,0,,,,,,,0\n,restore,0,0,vtimer,1,0x198968,,,,\n,restore,0,0,ptimer,0,0,,,,\n,entry,0,0,,,,,,,\n,exit,0,0,,,,,,,\n,wfx,0,0,,,,,,,\n,sched_switch,0,0,,,,0,S,,\n,put,0,0,,,,,,,\n,timer_map,0,0,,,,,,,0\n,save,0,0,vtimer,1,0x198968,,,,\n,save,0,0,ptimer,0,0,,,,\n';
/** Up to 5.0 the hook before the sleep arms it, and a probe of the put shows the registers. */
const hooked = (expires: string) =>
  `${givenCounter}time,event,vcpu,cpu,timer,ctl,cval,next,state,expires,loaded\n0.001,load,0,0,,,,,,,\n,restore,0,0,vtimer,,,,,,\n,entry,0,0,,,,,,,\n,exit,0,0,,,,,,,\n,wfx,0,0,,,,,,,\n,schedule,0,0,,,,,,,\n,save,0,0,vtimer,,,,,,\n,bg_arm,0,0,,,,,,${expires},\n,sched_switch,0,0,,,,0,S,,\n,put,0,0,,,,,,,\n,timer_put,0,0,,1,0x198968,,,,0\n`;
const example = (expires: string) => `${givenCounter}${columns}${sleeps},bg_arm,0,0,,,,,,${expires},\n`;

export default defineRule({
  id: 'bg-deadline-matches-cval',
  statement: 'The background timer expires when the earliest timer of the vcpu that can fire does.',
  why: 'A sleeping guest is woken by nothing else: too late, and its timer interrupt is late by as much; too early, and it is woken for nothing.',
  models: everyModel('warning'),
  needs: ['bg_arm', ['save', 'restore', 'timer_put', 'sync', 'flush']],
  source: 'kvm_timer_compute_delta and kvm_timer_earliest_exp; specification §4.4, §4.8 point 5, §6',
  messages: {
    late: {
      headline: 'the background timer of {vcpu} is armed {by} after the deadline {cval} of its {timer}',
      given: 'the {timer} of {vcpu} was saved with deadline {cval} and can fire',
      must: 'the background timer expires at that deadline, or earlier',
      but: 'wherever the counter offset can be, the armed expiry lies {by} after it',
      therefore: 'the vcpu sleeps on when its timer has expired',
    },
    early: {
      headline: 'the background timer of {vcpu} is armed {by} before the deadline {cval} of its {timer}',
      given: 'the {timer} of {vcpu} was saved with deadline {cval}, and no other of its timers can fire before it',
      must: 'the background timer expires at that deadline',
      but: 'wherever the counter offset can be, the armed expiry lies {by} before it',
      therefore: 'the vcpu is woken before its timer expires, unless the guest waits with a timeout of its own (WFIT)',
    },
  },
  examples: {
    legal: [
      {
        title: '4.15 arms it for the deadline',
        model: 'load-put-4.15',
        host: 'vhe',
        trace: hooked('10ms'),
      },
      { title: 'armed for the saved deadline', model: 'timer-map', host: 'vhe', trace: example('10.002ms') },
      {
        title: 'a stall between timer map and arming delays both',
        model: 'timer-map',
        host: 'vhe',
        trace: `${givenCounter}${columns}${sleeps}0.003,bg_arm,0,0,,,,,,11.9ms,\n`,
      },
    ],
    violating: [
      {
        title: '4.15 arms it five milliseconds late',
        model: 'load-put-4.15',
        host: 'vhe',
        trace: hooked('15ms'),
        message: 'late',
        line: 12,
      },
      {
        title: 'armed 10 ms too late',
        model: 'timer-map',
        host: 'vhe',
        trace: example('20ms'),
        message: 'late',
        line: 17,
      },
      {
        title: 'armed 5 ms too early',
        model: 'offset',
        host: 'vhe',
        trace: example('5ms'),
        message: 'early',
        line: 17,
      },
    ],
  },
  create(context) {
    const { machine, timing } = context;
    timing.listen(Evidence.armed, (event, answer, by, save, reason) => {
      if (answer === Answer.holds) return context.hold(event);
      if (answer === Answer.unknown || save === undefined) return context.undecided(event, reason);
      if (Math.abs(by) < tolerance) return context.undecided(event, 'the difference is within the tolerance');
      context.violate(timing.current, {
        message: by > 0 ? 'late' : 'early',
        data: {
          vcpu: vcpuName(machine, event.vcpu),
          timer: timerText(shownTimer(save)),
          cval: cvalText(save),
          by: durationText(by),
        },
        witness: [save],
        at: event,
      });
    });
    return {};
  },
});
