import { Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { noEvent, replaceEvent, yes } from '../machine/state.js';
import { because, type Ongoing } from './context.js';
import { Marks } from './occasion.js';
import { livelock, slowLoads } from './parts/asserted-examples.js';
import { defineRule } from './rule.js';
import { everyModel, timerText, vcpuName } from './support.js';
import { Place, Whereabouts } from './whereabouts.js';

/** A vcpu that has gone to sleep so often with its level asserted runs in a circle. */
const fewSleeps = 3;

/** A vcpu that was loaded so often since its level was asserted, and not entered, is not only on a slow host. */
const manyLoads = 20;

const userspace = 'the vcpu left for userspace before it was entered';

/** A level that was asserted and has not reached the guest so far. */
class Asserted {
  /** The report that asserted it. */
  first = noEvent;
  /** Contexts whose level is asserted, a bit each. */
  levels = 0;
  /** Time that counts, nanoseconds: on a CPU, or asleep in the vcpu's wait; not preempted, not in userspace. */
  spent = 0;
  /** Since when time counts, NaN while it does not. */
  since = Number.NaN;
  /** Until when it has been counted. */
  counted = Number.NEGATIVE_INFINITY;
  /** How often it went to sleep in its wait since then. */
  sleeps = 0;
  /** How often it was loaded since then, and what had been spent up to the last time. */
  loads = 0;
  spentBefore = 0;
  /** Whether it slept when the level was asserted. */
  raisedAsleep = false;
  /** When it was first seen to be overdue. */
  overdue = Number.NaN;
  /** The violation has been told. */
  told = false;
  /** The circle that it runs in. */
  livelock: Ongoing | undefined;
}

export default defineRule({
  id: 'asserted-level-reaches-guest',
  statement:
    'A vcpu whose timer level was asserted is entered within the bound, time preempted or in userspace left out; when it sleeps it is woken.',
  why: 'An interrupt that the guest never takes is lost to it; a vcpu that is loaded and put for ever without being entered burns the CPU as well.',
  models: everyModel('error'),
  needs: ['update_irq', 'entry', 'sched_switch'],
  source:
    'vgic_queue_irq_unlock kicks the vcpu; kvm_vcpu_check_block; 4c60e360d6df and its fixes; specification §4.5, §4.8 point 17',
  messages: {
    'not-woken': {
      headline: 'the {timer} level of {vcpu} is asserted while the vcpu sleeps, and the vcpu is not woken',
      given: 'the thread of {vcpu} slept in its wait, and level 1 of interrupt {irq} was reported',
      must: 'the vgic queues the interrupt and wakes the vcpu, which enters the guest',
      but: 'it still slept {delay} ms later',
      therefore: 'the timer interrupt waits for a guest that does not run',
    },
    'sleeps-pending': {
      headline: '{vcpu} sleeps with its {timer} level asserted',
      given: 'level 1 of interrupt {irq} was reported, and the guest has not been entered since',
      must: 'a vcpu with a pending interrupt does not sleep: the wait ends and the guest is entered',
      but: 'the thread went to sleep in its wait and still slept after {delay} ms',
      therefore: 'the timer interrupt is pending, and nothing will deliver it unless the guest has it disabled',
    },
    livelock: {
      headline:
        '{vcpu} is loaded and put {times} in {duration} with its {timer} level asserted, and does not enter the guest',
      given:
        'level 1 of interrupt {irq} was reported, and again in the loads after it; each time it is injected into a line that is high already',
      must: 'the pending interrupt makes the waiting vcpu runnable, and the guest is entered',
      but: 'the vcpu did not become runnable: it was put asleep with its level high, its background timer fired at once, and it was woken and loaded anew',
      therefore:
        'the interrupt is pending and never queued: so it goes when it was asserted before the guest enabled its distributor, since it is not queued then and the vgic drops every later injection as unchanged, or when the guest has it disabled; the guest waits for ever while its thread burns the CPU',
      ends: {
        entered: '{vcpu} enters the guest',
        lowered: 'the level is lowered',
        userspace: 'the thread of {vcpu} leaves for userspace',
        written: 'userspace writes the registers of {vcpu}',
      },
    },
    'not-entered': {
      headline: '{vcpu} is on CPU {cpu} with its {timer} level asserted and does not enter the guest',
      given: 'level 1 of interrupt {irq} was reported, and the thread of {vcpu} ran',
      must: 'the guest is entered',
      but: 'it was not for {delay} ms of the time that the thread was on a CPU',
      therefore: 'the guest does not get its timer interrupt',
    },
  },
  examples: {
    legal: [
      {
        title: 'the interrupt ends the guest, which is entered again',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,irq,level\nload,0,0\nrestore,0,0\nentry,0,0\nvtimer_irq,,0\nupdate_irq,0,0,27,1\nvgic_inject,0,0,27,1\nvtimer_irq_end,,0\nexit,0,0\nentry,0,0\n',
      },
      {
        title: 'preempted for long before it is entered: that time does not count',
        model: 'timer-map',
        trace:
          'time,event,vcpu,cpu,level,timer,next,state\n0,load,0,0\n,restore,0,0\n,entry,0,0\n,exit,0,0\n,update_irq,0,0,1,vtimer\n,vgic_inject,0,0,1,vtimer\n,sched_switch,0,0,,,77,R\n,put,0,0\n,save,0,0\n0.5,sched_switch,,0,,,1000,R\n,load,0,0\n,update_irq,0,0,1,vtimer\n,vgic_inject,0,0,1,vtimer\n,restore,0,0\n,entry,0,0\n',
      },
      {
        title: 'a slow host: preempted after each of two loads that took 60 ms',
        model: 'timer-map',
        trace:
          'time,event,vcpu,cpu,level,timer,next,state\n0,load,0,0\n,restore,0,0\n,entry,0,0\n,exit,0,0\n,update_irq,0,0,1,vtimer\n,vgic_inject,0,0,1,vtimer\n,sched_switch,0,0,,,77,R\n,put,0,0\n,save,0,0\n0.1,sched_switch,,0,,,1000,R\n,load,0,0\n,update_irq,0,0,1,vtimer\n,vgic_inject,0,0,1,vtimer\n0.16,restore,0,0\n,sched_switch,0,0,,,77,R\n,put,0,0\n,save,0,0\n0.3,sched_switch,,0,,,1000,R\n,load,0,0\n,update_irq,0,0,1,vtimer\n,vgic_inject,0,0,1,vtimer\n0.36,restore,0,0\n,sched_switch,0,0,,,77,R\n,put,0,0\n,save,0,0\n0.6,sched_switch,,0,,,1000,R\n,load,0,0\n,restore,0,0\n,entry,0,0\n',
      },
      { title: 'a slower one: preempted after each of 25 loads that took 9 ms', model: 'timer-map', trace: slowLoads },
      {
        title: 'a powered-off vcpu sleeps, whatever its timer says',
        model: 'timer-map',
        trace:
          'time,event,vcpu,cpu,level,timer,next,state,ec\n0,load,1,1\n,restore,1,1\n,update_irq,1,1,1,vtimer\n,vgic_inject,1,1,1,vtimer\n,entry,1,1\n,exit,1,1,,,,,HVC64\n,sched_switch,1,1,,,0,S\n,put,1,1\n,save,1,1\n2,sched_switch,,0,,,0,S\n',
      },
    ],
    violating: [
      {
        title: 'loaded and put for ever with the level asserted',
        model: 'timer-map',
        trace: livelock,
        message: 'livelock',
        line: 14,
      },
      {
        title: 'the level was reported but not injected, and the vcpu sleeps on',
        model: 'timer-map',
        trace:
          'time,event,vcpu,cpu,level,timer,next,state,ec\n0,load,0,0\n,restore,0,0\n,entry,0,0\n,exit,0,0,,,,,WFx\n,update_irq,0,0,0,vtimer\n,vgic_inject,0,0,0,vtimer\n,wfx,0,0\n,update_irq,0,0,1,vtimer\n,sched_switch,0,0,,,0,S\n,put,0,0\n,save,0,0\n3,load,1,1\n',
        message: 'sleeps-pending',
        line: 9,
      },
      {
        title: 'the emulated timer fires while the vcpu sleeps, and nobody wakes it',
        model: 'load-put-4.16',
        trace:
          'time,event,vcpu,cpu,level,timer,next,state\n0,load,0,0\n,entry,0,0\n,exit,0,0\n,schedule,0,0\n,sched_switch,0,0,,,0,S\n,put,0,0\n0.01,update_irq,0,1,1,ptimer\n0.01,vgic_inject,0,1,1,ptimer\n3,load,1,1\n',
        message: 'not-woken',
        line: 8,
      },
      {
        title: 'on its CPU and never entered',
        model: 'timer-map',
        trace:
          'time,event,vcpu,cpu,level,timer,next,state\n0,load,0,0\n,restore,0,0\n,entry,0,0\n,exit,0,0\n,update_irq,0,0,1,vtimer\n,vgic_inject,0,0,1,vtimer\n0.2,load,1,1\n0.4,sched_switch,,1,,,0,R\n',
        message: 'not-entered',
        line: 6,
      },
    ],
  },
  create(context) {
    const { machine, maxLatency } = context;
    const threads = new Whereabouts(context);
    const vcpus: Asserted[] = [];
    /** By vcpu: its levels go to the vgic, not to userspace. */
    const injected = new Marks();
    /** Number of vcpus with an asserted level, and a time before which none of them can be overdue. */
    let open = 0;
    let earliest = Number.POSITIVE_INFINITY;

    const of = (vcpu: number): Asserted => {
      vcpus[vcpu] ??= new Asserted();
      return vcpus[vcpu];
    };

    function begin(event: TimerEvent, bit: number): void {
      const own = of(event.vcpu);
      if (own.levels === 0) {
        open++;
        own.first = replaceEvent(own.first, event);
        own.spent = 0;
        own.since = Number.NaN;
        own.sleeps = 0;
        own.loads = 0;
        own.spentBefore = 0;
        own.overdue = Number.NaN;
        own.told = false;
        own.raisedAsleep = threads.of(event.vcpu) === Place.waiting;
        count(own, event.vcpu, event.time);
        earliest = Math.min(earliest, event.time + maxLatency);
      }
      own.levels |= bit;
    }

    /** Time counts from here on, or does not, by where the vcpu is. */
    function count(own: Asserted, vcpu: number, time: number): void {
      if (!Number.isNaN(own.since)) own.spent += time - own.since;
      own.counted = time;
      const place = threads.of(vcpu);
      own.since = place === Place.running || place === Place.waiting ? time : Number.NaN;
    }

    /** Nothing is asserted any more. */
    function close(own: Asserted): void {
      own.levels = 0;
      open--;
      if (open === 0) earliest = Number.POSITIVE_INFINITY;
    }

    function conclude(own: Asserted, how: string, event: TimerEvent | undefined): void {
      own.livelock?.end(how, event === undefined ? {} : { by: event });
      own.livelock = undefined;
    }

    /** It has reached the guest, or need not any more. */
    function settle(event: TimerEvent, how: string): void {
      const own = vcpus[event.vcpu];
      if (own === undefined || own.levels === 0) return;
      close(own);
      conclude(own, how, event);
      if (!own.told) context.hold(own.first);
    }

    function drop(vcpu: number, reason: string, how: string, event?: TimerEvent): void {
      const own = vcpus[vcpu];
      if (own === undefined || own.levels === 0) return;
      close(own);
      if (how !== 'trace-end') conclude(own, how, event);
      if (!own.told) context.undecided(own.first, reason);
    }

    /** Where the vcpu is has changed. */
    function moved(vcpu: number, event: TimerEvent): void {
      const own = vcpus[vcpu];
      if (own === undefined || own.levels === 0) return;
      count(own, vcpu, event.time);
      const place = threads.of(vcpu);
      if (place === Place.somewhere) drop(vcpu, because.initial, 'lost');
      // Powered off or paused it need not be entered.
      else if (place === Place.elsewhere) own.spent = 0;
    }

    function dataOf(own: Asserted, vcpu: number): Record<string, string | number> {
      const { timer, irq, cpu } = own.first;
      return { vcpu: vcpuName(machine, vcpu), timer: timerText(timer), irq, cpu };
    }

    /** It runs in a circle: told at a load, so that the witness always shows one round from load to load. */
    function beginLivelock(own: Asserted, vcpu: number, now: TimerEvent): void {
      const { last, contexts } = machine.vcpu(vcpu);
      const { first } = own;
      own.told = true;
      own.livelock = context.begin(now, {
        message: 'livelock',
        data: dataOf(own, vcpu),
        witness: [
          last[Kind.load],
          contexts[first.timer]?.update ?? noEvent,
          last[Kind.sched_switch],
          last[Kind.put],
          last[Kind.bg_arm],
          last[Kind.bg_expire],
          now,
        ],
        at: first,
        // Whether the guest could take the interrupt, or has it disabled, is in no record.
        severity: 'warning',
      });
      for (let i = 1; i < own.sleeps; i++) own.livelock.again(now);
    }

    function violate(own: Asserted, vcpu: number, now: TimerEvent, spent: number): void {
      const { last } = machine.vcpu(vcpu);
      const runs = threads.of(vcpu) === Place.running;
      const message = runs ? 'not-entered' : own.raisedAsleep ? 'not-woken' : 'sleeps-pending';
      own.told = true;
      context.violate(now, {
        message,
        data: { ...dataOf(own, vcpu), delay: Math.floor(spent / 1e6) },
        witness: [last[Kind.exit], last[Kind.sched_switch]],
        at: own.first,
        ...(!runs && { severity: 'warning' }),
      });
    }

    /** Its load has not got as far as the timer. */
    function isLoading(vcpu: number): boolean {
      return context.records(Kind.restore) && !machine.vcpu(vcpu).contexts.some(({ loaded }) => loaded === yes);
    }

    function judgeOne(own: Asserted, vcpu: number, now: TimerEvent, final: boolean): void {
      // At the end of the trace what has been counted since every CPU had recorded does not count.
      // Neither runs nor waits: it is judged again when it does.
      const place = threads.of(vcpu);
      if (!final && place !== Place.running && place !== Place.waiting) return;
      const spent = own.spent + (Number.isNaN(own.since) ? Math.min(0, now.time - own.counted) : now.time - own.since);
      if (spent <= maxLatency) return;
      // Seen twice, so that a host that stood still is not taken for one that went on. A thread on a CPU goes on at once
      // when the CPU does: as long again.
      if (Number.isNaN(own.overdue)) own.overdue = now.time;
      const again = place === Place.running && own.sleeps < fewSleeps ? maxLatency : maxLatency / 10;
      if (!final && now.time - own.overdue <= again) return;
      // A level wakes only where the vgic takes it: what userspace does with its interrupts is its own affair.
      const waits = own.sleeps >= fewSleeps || threads.of(vcpu) === Place.waiting;
      if (waits && !injected.has(vcpu)) return drop(vcpu, because.irqchip, 'lost');
      if (own.sleeps >= fewSleeps) {
        // Not at a load after a preemption: the round that is shown is a typical one.
        const round =
          now.kind === Kind.load && now.vcpu === vcpu && machine.vcpu(vcpu).last[Kind.sched_switch].sleeping === 1;
        if (round || final) beginLivelock(own, vcpu, now);
        return;
      }
      if (threads.of(vcpu) === Place.waiting) {
        if (machine.vcpu(vcpu).unseen) return drop(vcpu, because.blind, 'lost');
        if (!threads.isCertain(threads.since(vcpu), now.time)) return;
      } else if (
        machine.vcpu(vcpu).cpu < 0 ||
        isLoading(vcpu) ||
        (spent - own.spentBefore <= maxLatency && own.loads < manyLoads)
      ) {
        // A host that stands still in every load for a while, and has others run in between, is only slow; and a thread
        // that was switched in may find interrupts that have waited for it, long before its load.
        return;
      } else if (!context.records(Kind.put)) return drop(vcpu, 'returns to userspace are not recorded', 'lost');
      violate(own, vcpu, now, spent);
    }

    function judge(now: TimerEvent, final = false): void {
      if (now.time <= earliest && !final) return;
      earliest = now.time + maxLatency / 20;
      for (let vcpu = 0; vcpu < vcpus.length; vcpu++) {
        const own = vcpus[vcpu];
        if (own !== undefined && own.levels !== 0 && !own.told) judgeOne(own, vcpu, now, final);
      }
    }

    const userWrote = (event: TimerEvent) => {
      if (event.vcpu >= 0) drop(event.vcpu, because.userspace, 'written', event);
    };
    return {
      before: {
        update_irq(event) {
          const { vcpu } = event;
          if (vcpu < 0) {
            if (event.level === 1) context.undecided(event, because.unattributed);
            return;
          }
          const bit = 1 << (event.timer >= 0 ? event.timer : Timer.hptimer + 1);
          if (event.level === 1) return begin(event, bit);
          const own = vcpus[vcpu];
          if (own === undefined || own.levels === 0) return;
          if (own.levels === bit) settle(event, 'lowered');
          else own.levels &= ~bit;
        },
        load(event) {
          threads.seen(event);
          if (event.vcpu < 0) return;
          if (machine.vcpu(event.vcpu).unseen) return drop(event.vcpu, because.blind, 'lost');
          moved(event.vcpu, event);
          const own = vcpus[event.vcpu];
          if (own === undefined || own.levels === 0) return;
          own.loads++;
          own.spentBefore = own.spent;
          if (!own.told) judgeOne(own, event.vcpu, event, false);
        },
        entry(event) {
          threads.seen(event);
          if (event.vcpu >= 0) settle(event, 'entered');
          judge(event);
        },
        exit: (event) => threads.seen(event),
        // What a load takes is not the vcpu's: a slow host may spend its whole time slice there, again and again.
        restore(event) {
          const own = vcpus[event.vcpu];
          if (own !== undefined && own.levels !== 0 && !Number.isNaN(own.since)) own.since = event.time;
        },
        put(event) {
          threads.put(event);
          if (event.vcpu >= 0) moved(event.vcpu, event);
        },
        userspace_exit(event) {
          threads.userspace(event);
          if (event.vcpu >= 0) drop(event.vcpu, userspace, 'userspace', event);
        },
        sched_switch(event) {
          const next = threads.switched(event);
          if (next >= 0) moved(next, event);
          if (event.vcpu >= 0) {
            moved(event.vcpu, event);
            const own = vcpus[event.vcpu];
            if (own !== undefined && own.levels !== 0 && threads.of(event.vcpu) === Place.waiting) {
              own.sleeps++;
              own.livelock?.again(event);
            }
          }
          judge(event);
        },
        wakeup(event) {
          threads.woken(event);
          if (event.vcpu >= 0) moved(event.vcpu, event);
        },
        vgic_inject(event) {
          if (event.vcpu >= 0) injected.add(event.vcpu);
        },
        // A storm of interrupts starves the thread: what is wrong then is the storm.
        vtimer_irq(event) {
          const own = vcpus[machine.cpu(event.cpu).running];
          if (own === undefined || own.levels === 0 || Number.isNaN(own.since)) return;
          own.spent = 0;
          own.since = event.time;
        },
        reset: userWrote,
        user_write: userWrote,
        lost() {
          threads.lost();
          for (let vcpu = 0; vcpu < vcpus.length; vcpu++) drop(vcpu, because.initial, 'lost');
        },
      },
      end(last) {
        judge(last, true);
        for (let vcpu = 0; vcpu < vcpus.length; vcpu++) drop(vcpu, because.ends, 'trace-end');
      },
    };
  },
});
