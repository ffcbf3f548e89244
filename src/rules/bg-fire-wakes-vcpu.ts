import type { TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { because } from './context.js';
import { defineRule } from './rule.js';
import { everyModel, Slots, vcpuName } from './support.js';
import { Whereabouts } from './whereabouts.js';

export default defineRule({
  id: 'bg-fire-wakes-vcpu',
  statement:
    'When the background timer of a sleeping vcpu fires and is not armed again, its thread is woken: by the callback, up to 4.20 by a work item.',
  why: 'Nothing else knows that the timer of the sleeping guest has expired: it sleeps on.',
  models: everyModel('error'),
  needs: ['bg_expire', 'bg_arm', 'sched_switch'],
  source: 'kvm_bg_timer_expire, kvm_timer_inject_irq_work; specification §4.4, §4.8 points 2 and 3',
  messages: {
    'not-woken': {
      headline: 'the background timer of {vcpu} fires on CPU {cpu} and the vcpu sleeps on',
      given: 'the thread of {vcpu} slept, and its background timer fired and was not armed again',
      must: 'kvm_vcpu_wake_up makes the thread runnable',
      but: 'it still slept {delay} ms later',
      therefore: 'the guest sleeps past the deadline of its timer until something else wakes it',
    },
  },
  examples: {
    legal: [
      {
        title: 'the callback wakes the thread',
        model: 'timer-map',
        trace:
          'time,event,vcpu,cpu,timer,next,state\n0,load,0,0\n,restore,0,0\n,entry,0,0\n,exit,0,0\n,wfx,0,0\n,sched_switch,0,0,,0,S\n,put,0,0\n,save,0,0\n,bg_arm,0,0\n0.01,bg_expire,0,0\n,wakeup,0,0\n0.3,sched_switch,,0,,1000,S\n,load,0,0\n',
      },
      {
        title: 'a callback that comes too early arms the timer again; then it wakes the thread',
        model: 'offset',
        trace:
          'time,event,vcpu,cpu,timer,next,state\n0,load,0,0\n,restore,0,0\n,entry,0,0\n,exit,0,0\n,wfx,0,0\n,sched_switch,0,0,,0,S\n,put,0,0\n,save,0,0\n,bg_arm,0,0\n0.01,bg_expire,0,0\n,bg_arm,0,0\n0.3,bg_expire,0,0\n,wakeup,0,0\n',
      },
      {
        title: 'the work item wakes the thread',
        model: 'load-put-4.16',
        trace:
          'time,event,vcpu,cpu,next,state\n0,load,0,0\n,entry,0,0\n,exit,0,0\n,schedule,0,0\n,bg_arm,0,0\n,sched_switch,0,0,0,S\n,put,0,0\n0.01,bg_expire,0,0\n0.015,wakeup,0,1\n',
      },
    ],
    violating: [
      {
        title: 'nobody is woken',
        model: 'timer-map',
        trace:
          'time,event,vcpu,cpu,timer,next,state\n0,load,0,0\n,restore,0,0\n,entry,0,0\n,exit,0,0\n,wfx,0,0\n,sched_switch,0,0,,0,S\n,put,0,0\n,save,0,0\n,bg_arm,0,0\n0.01,bg_expire,0,0\n1.5,sched_switch,,0,,77,S\n3,sched_switch,,0,,0,S\n',
        message: 'not-woken',
        line: 11,
      },
      {
        title: 'the work item is lost, and the trace ends',
        model: 'load-put-4.16',
        trace:
          'time,event,vcpu,cpu,next,state\n0,load,0,0\n,entry,0,0\n,exit,0,0\n,schedule,0,0\n,bg_arm,0,0\n,sched_switch,0,0,0,S\n,put,0,0\n0.01,bg_expire,0,0\n2,load,1,1\n',
        message: 'not-woken',
        line: 9,
      },
    ],
  },
  create(context) {
    const { machine, maxLatency } = context;
    const threads = new Whereabouts(context);
    /** By vcpu: its timer fired while it slept, and nobody has woken it so far. */
    const fired = new Slots();
    /** By vcpu: when it was first seen to be overdue. */
    const overdue: number[] = [];

    let now: TimerEvent;

    function settle(vcpu: number): void {
      const fire = fired.take(vcpu);
      // What comes late is late: only what does not come is missing.
      if (fire !== undefined) context.hold(fire);
    }

    function violate(fire: TimerEvent): void {
      const { last } = machine.vcpu(fire.vcpu);
      fired.clear(fire.vcpu);
      context.violate(now, {
        message: 'not-woken',
        data: {
          vcpu: vcpuName(machine, fire.vcpu),
          cpu: fire.cpu,
          delay: Math.floor((now.time - fire.time) / 1e6),
        },
        witness: [last[Kind.sched_switch], last[Kind.bg_arm]],
        at: fire,
      });
    }

    /** Seen twice to be overdue, so that a host that stood still is not taken for one that went on. */
    function judgeOne(fire: TimerEvent, vcpu: number): void {
      if (now.time - fire.time <= maxLatency || !threads.isCertain(fire.time, now.time)) return;
      if (Number.isNaN(overdue[vcpu])) overdue[vcpu] = now.time;
      else if (now.time - (overdue[vcpu] as number) > maxLatency / 10) violate(fire);
    }

    /** Whose wakeup has not come in time? */
    function judge(event: TimerEvent): void {
      if (fired.isEmpty) return;
      now = event;
      fired.each(judgeOne);
    }

    const seen = (event: TimerEvent) => {
      threads.seen(event);
      if (event.vcpu >= 0) settle(event.vcpu);
    };
    return {
      before: {
        bg_expire(event) {
          judge(event);
          const { vcpu } = event;
          if (vcpu < 0) return context.undecided(event, because.unattributed);
          if (!threads.sleeps(vcpu)) return;
          if (machine.vcpu(vcpu).unseen) return context.undecided(event, because.blind);
          if (fired.get(vcpu) !== undefined) return;
          fired.set(vcpu, event);
          overdue[vcpu] = Number.NaN;
        },
        bg_arm(event) {
          if (event.vcpu >= 0) settle(event.vcpu);
        },
        wakeup(event) {
          threads.woken(event);
          if (event.vcpu >= 0) settle(event.vcpu);
        },
        sched_switch(event) {
          const next = threads.switched(event);
          if (next >= 0) settle(next);
          judge(event);
        },
        load: seen,
        entry: seen,
        lost(event) {
          threads.lost();
          fired.each((_, vcpu) => {
            context.undecided(fired.take(vcpu) ?? event, because.initial);
          });
        },
      },
      end(last) {
        now = last;
        fired.each((fire) => {
          const late = last.time - fire.time > maxLatency;
          if (late && threads.isCertain(fire.time, last.time)) violate(fire);
          else context.undecided(fire, because.ends);
        });
      },
    };
  },
});
