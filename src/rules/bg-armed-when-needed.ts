import { Context, Ctl, canFire, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { no, type TimerContext, type VcpuState, yes } from '../machine/state.js';
import { because } from './context.js';
import { when } from './occasion.js';
import { defineRule } from './rule.js';
import {
  ctlText,
  cvalText,
  durationText,
  everyModel,
  isSameValue,
  mayNest,
  Slots,
  timerText,
  vcpuName,
} from './support.js';

const columns = 'time,event,vcpu,cpu,timer,ctl,cval,next,state,pid\n';
const sleeps =
  ',load,0,0,,,,,,\n,restore,0,0,vtimer,1,0x9000,,,\n,entry,0,0,,,,,,\n,exit,0,0,,,,,,\n,wfx,0,0,,,,,,\n,sched_switch,0,0,,,,0,S,\n,put,0,0,,,,,,\n,save,0,0,vtimer,1,0x9000,,,\n';
const wakes = '0.4,load,0,0,,,,,,\n,bg_cancel,0,0,,,,,,\n,restore,0,0,vtimer,1,0x9000,,,\n,entry,0,0,,,,,,\n';
/** Up to 5.0: the hook before the sleep saves, and arms; then the thread is switched out, and comes back. */
const hooked =
  ',load,0,0,,,,,,\n,restore,0,0,vtimer,1,0x9000,,,\n,entry,0,0,,,,,,\n,exit,0,0,,,,,,\n,wfx,0,0,,,,,,\n,schedule,0,0,,,,,,\n,save,0,0,vtimer,1,0x9000,,,\n';
const flushed =
  ',flush,0,0,,1,0x9000,,,\n,entry,0,0,,,,,,\n,exit,0,0,,,,,,\n,sync,0,0,,1,0x9000,,,\n,wfx,0,0,,,,,,\n,schedule,0,0,,1,0x9000,,,\n';
const slept = ',sched_switch,0,0,,,,0,S,\n,put,0,0,,,,,,\n';
const leaves = '0.4,wakeup,0,1,,,,,,\n,load,0,0,,,,,,\n,unschedule,0,0,,,,,,\n';
/** An emulated timer has its soft timer armed until the put cancels it. */
const softly =
  ',load,0,0,,,,,,\n,restore,0,0,vtimer,0,0,,,\n,emulate,0,0,ptimer,,,,,\n,soft_arm,0,0,ptimer,,,,,\n,entry,0,0,,,,,,\n,exit,0,0,,,,,,\n,wfx,0,0,,,,,,\n,sched_switch,0,0,,,,0,S,\n,put,0,0,,,,,,\n,save,0,0,vtimer,0,0,,,\n,soft_cancel,0,0,ptimer,,,,,\n';
/** A sleep with an armed timer shows that such arming is recorded. */
const armed = `${columns}${sleeps},bg_arm,0,0,,,,,,\n${wakes.replace('0.4', '0.2')},exit,0,0,,,,,,\n,put,0,0,,,,,,\n,save,0,0,vtimer,1,0x9000,,,\n`;

export default defineRule({
  id: 'bg-armed-when-needed',
  statement:
    'A vcpu that goes to sleep with a timer that can fire has its background timer armed before it leaves the CPU.',
  why: 'Nothing else wakes the vcpu when its timer expires: it sleeps until something else happens, or for ever.',
  models: everyModel('error'),
  needs: [['bg_arm', 'soft_cancel'], ['save', 'schedule'], 'sched_switch', ['wfx', 'schedule']],
  source:
    'kvm_timer_blocking, called by kvm_timer_vcpu_put for a vcpu that waits; kvm_timer_schedule up to 5.0; specification §4.4',
  messages: {
    'not-armed': {
      headline: '{vcpu} goes to sleep on CPU {cpu} with no background timer although its {timer} can fire',
      given:
        '{vcpu} waits, its thread was switched out asleep, and its {timer} had CTL {ctl} and CVAL {cval} in memory',
      must: 'the put, up to 5.0 the hook before the sleep, arms the background timer for that deadline',
      but: 'the put ended without, and the vcpu slept on for {slept}',
      therefore: 'the vcpu was woken by something else than its timer, or not at all',
    },
    'not-armed-emulated': {
      headline:
        '{vcpu} goes to sleep on CPU {cpu} with no background timer although the soft timer of its emulated {timer} was armed',
      given:
        '{vcpu} waits, its thread was switched out asleep, and its put has cancelled the soft timer of the {timer}: it can fire, and has not expired',
      must: 'the put arms the background timer, which stands in for the soft timer',
      but: 'the put ended without, and the vcpu slept on for {slept}',
      therefore: 'the vcpu was woken by something else than its timer, or not at all',
    },
    'armed-expired': {
      headline: '{vcpu} arms its background timer on CPU {cpu} although its {timer} has expired',
      given: '{vcpu} was about to sleep, and its {timer} was saved with CTL {ctl}: expired, and able to fire',
      must: 'the hook before the sleep, up to 5.0, arms nothing, since the vcpu is not going to sleep',
      but: 'the background timer was armed',
      therefore: 'the saved CTL and CVAL are not of the same moment, or the deadline was compared with another counter',
    },
  },
  examples: {
    legal: [
      {
        title: 'armed in the put',
        model: 'timer-map',
        trace: `${columns}${sleeps},bg_arm,0,0,,,,,,\n${wakes}`,
      },
      {
        title: 'up to 5.0 the hook before the sleep arms it, once for every time that the vcpu sleeps in this wait',
        model: 'load-put-4.16',
        trace: `${columns}${hooked},bg_arm,0,0,,,,,,\n${slept},load,0,0,,,,,,\n,restore,0,0,vtimer,1,0x9000,,,\n${slept}${leaves}`,
      },
      {
        title: 'armed in the put, for an emulated timer',
        model: 'timer-map',
        trace: `${columns}${softly},bg_arm,0,0,,,,,,\n${wakes.replace('1,0x9000', '0,0')}`,
      },
    ],
    violating: [
      {
        title: 'armed for a timer that was saved expired',
        model: 'rfc-load-put',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,value\nload,0,0\nrestore,0,0,vtimer,0,0x8000\nentry,0,0\nexit,0,0\nschedule,0,0,,,,0x1000\nsave,0,0,vtimer,5,0x9000\nbg_arm,0,0\nput,0,0\ntimer_put,0,0,,,,0x1000\n',
        message: 'armed-expired',
        line: 8,
      },
      {
        title: 'the hook of 4.14 arms nothing',
        model: 'world-switch',
        trace: `${columns},load,0,0,,,,,,\n${flushed},bg_arm,0,0,,,,,,\n,unschedule,0,0,,1,0x9000,,,\n${flushed}${slept}${leaves}`,
        message: 'not-armed',
        line: 16,
      },
      {
        title: 'asleep with nothing armed, until another vcpu wakes it',
        model: 'timer-map',
        trace: `${armed}0.3${sleeps}${wakes}`,
        message: 'not-armed',
        line: 25,
      },
      {
        title: 'asleep with nothing armed for an emulated timer',
        model: 'timer-map',
        trace: `${columns}${softly}${wakes.replace('1,0x9000', '0,0')}`,
        message: 'not-armed-emulated',
        line: 12,
      },
      {
        title: 'asleep for ever',
        model: 'offset',
        trace: `${armed}0.3${sleeps}0.9,userspace_exit,,1,,,,,,77\n`,
        message: 'not-armed',
        line: 25,
      },
    ],
  },
  create(context) {
    const { machine, maxLatency, model } = context;
    /** Saves of sleeping vcpus that should have had their timer armed, by vcpu. */
    const missing = new Slots();
    /** Soft timers of emulated contexts that the put of a sleeping vcpu has cancelled, by vcpu. */
    const cancelled = new Slots();
    /** Armings for a timer that was saved expired, by vcpu. */
    const early = new Slots();
    /** Time at which such a vcpu was woken or loaded again, by vcpu. */
    const woken: (number | undefined)[] = [];

    /** The thread slept in a wait of the vcpu when it was switched out: its own sched_switch caused the put. */
    function sleeps(vcpu: VcpuState): boolean {
      const switched = vcpu.last[Kind.sched_switch];
      return vcpu.blocked === yes && switched.sleeping === 1 && switched.serial > vcpu.last[Kind.load].serial;
    }

    /**
     * Up to 5.0 kvm_timer_schedule arms before the put, for as long as the vcpu waits; one that has expired by then it leaves
     * alone, but a vcpu does not sleep with one.
     */
    const isHooked = model.recordsSaveRestore === false;

    /** The last time that the background timer may have been armed for this sleep. */
    const since = ({ last }: VcpuState) => (isHooked ? last[Kind.exit] : last[Kind.put]).serial;

    /** The save of this put that shows a timer which can fire. */
    function needed(vcpu: VcpuState): TimerEvent | undefined {
      const begin = since(vcpu);
      if (isHooked) {
        const { save, ctl, loaded, saveValid } = vcpu.contexts[Timer.vtimer] as TimerContext;
        // One that was saved expired is no-sleep-with-expired-timer's.
        const ahead = canFire(ctl) && (ctl & Ctl.istatus) === 0;
        if (save.serial > begin && saveValid && loaded === no && ahead) return save;
        // No hardware ever holds the other one.
        const written = vcpu.last[Kind.trapped_access];
        return written.serial > 0 && canFire((vcpu.contexts[Timer.ptimer] as TimerContext).ctl) ? written : undefined;
      }
      // That its arming was recorded shows that this one's would be, though no background timer may ever have been armed.
      const soft = cancelled.get(vcpu.index);
      const emulated = soft !== undefined && soft.serial > begin ? soft : undefined;
      if (emulated !== undefined && !context.records(Kind.bg_arm)) return emulated;
      for (const { save, ctl, loaded, saveValid } of vcpu.contexts)
        if (save.serial > begin && saveValid && loaded === no && canFire(ctl)) return save;
      return emulated;
    }

    /**
     * From 5.1 on a trapped write evaluates an emulated timer anew (timer_emulate), which cancels the soft timer of one that
     * cannot fire: one that is armed still when the put cancels it can. hrtimer_cancel is recorded of an armed one alone.
     */
    function softCancelled(event: TimerEvent): void {
      if (isHooked || event.vcpu < 0 || event.context === Context.hardirq) return;
      const vcpu = machine.vcpu(event.vcpu);
      // A hypervisor writes the timers of its guest in memory (FEAT_NV2), and nobody evaluates them before the put.
      if (vcpu.putting && sleeps(vcpu) && !mayNest(context, vcpu)) cancelled.set(event.vcpu, event);
    }

    /** Up to 5.0 the hook leaves a timer alone that has expired: the vcpu does not sleep. */
    function expired(event: TimerEvent): void {
      if (event.vcpu < 0 || event.context === Context.hardirq) return;
      const { last, contexts, blocked } = machine.vcpu(event.vcpu);
      const { save, ctl, loaded, saveValid } = contexts[Timer.vtimer] as TimerContext;
      const hook = last[Kind.schedule].serial;
      if (blocked !== yes || loaded !== no || !saveValid || save.serial < hook || hook < last[Kind.load].serial) return;
      if (!canFire(ctl) || (ctl & Ctl.istatus) === 0) return;
      if (last[Kind.schedule].hasValue) early.set(event.vcpu, event);
    }

    /** The counter may have been set between the save and the comparison: the offset tells. */
    function offsetShown(event: TimerEvent): void {
      const arm = event.vcpu < 0 || !event.hasValue ? undefined : early.take(event.vcpu);
      if (arm === undefined) return;
      const { last, contexts } = machine.vcpu(event.vcpu);
      const { save, ctl } = contexts[Timer.vtimer] as TimerContext;
      if (!isSameValue(event, last[Kind.schedule]))
        return context.undecided(arm, 'the counter of the guest may have been set since');
      context.violate(event, {
        message: 'armed-expired',
        data: {
          vcpu: vcpuName(machine, event.vcpu),
          cpu: arm.cpu,
          timer: timerText(Timer.vtimer),
          ctl: ctlText(ctl),
        },
        witness: [save, last[Kind.schedule], event],
        at: arm,
      });
    }

    function wake(event: TimerEvent): void {
      if (event.vcpu >= 0 && missing.get(event.vcpu) !== undefined) woken[event.vcpu] ??= event.time;
    }

    /** The wait is over. */
    function conclude(event: TimerEvent, vcpu: number): void {
      if (vcpu < 0) return;
      const save = missing.take(vcpu);
      if (save === undefined) return;
      if (save.kind === Kind.soft_cancel) return notArmedEmulated(event, vcpu, save);
      if (!context.records(Kind.bg_arm)) return context.undecided(save, 'no arming of a background timer is recorded');
      context.violate(event, {
        message: 'not-armed',
        data: {
          vcpu: vcpuName(machine, vcpu),
          cpu: save.cpu,
          timer: timerText(save.kind === Kind.trapped_access ? Timer.ptimer : Timer.vtimer),
          ctl: ctlText(save.ctl >= 0 ? save.ctl : (machine.vcpu(vcpu).contexts[Timer.ptimer]?.ctl ?? -1)),
          cval: cvalText(save),
          slept: durationText((woken[vcpu] ?? event.time) - save.time),
        },
        witness: [machine.vcpu(vcpu).last[Kind.sched_switch]],
        at: save,
      });
    }

    function notArmedEmulated(event: TimerEvent, vcpu: number, cancel: TimerEvent): void {
      context.violate(event, {
        message: 'not-armed-emulated',
        data: {
          vcpu: vcpuName(machine, vcpu),
          cpu: cancel.cpu,
          timer: timerText(cancel.timer >= 0 ? cancel.timer : Timer.ptimer),
          slept: durationText((woken[vcpu] ?? event.time) - cancel.time),
        },
        witness: [machine.vcpu(vcpu).last[Kind.sched_switch]],
        at: cancel,
      });
    }

    const over = (event: TimerEvent) => conclude(event, event.vcpu);

    function drop(vcpu: number, reason: string): void {
      const save = missing.take(vcpu);
      if (save !== undefined) context.undecided(save, reason);
    }

    return {
      before: {
        put_end(event) {
          if (event.vcpu < 0) return;
          const vcpu = machine.vcpu(event.vcpu);
          if (!sleeps(vcpu)) return;
          const save = needed(vcpu);
          if (save === undefined) return;
          // Asleep for another reason (a lock) it is no wait yet: that one follows, with its arming.
          drop(event.vcpu, 'the vcpu slept again before its wait ended');
          if (vcpu.last[Kind.bg_arm].serial > since(vcpu)) return context.hold(save);
          woken[event.vcpu] = undefined;
          missing.set(event.vcpu, save);
        },
        bg_arm(event) {
          if (isHooked) expired(event);
          // An interrupt in the middle of the put has ended it too early.
          const save = event.vcpu >= 0 ? missing.take(event.vcpu) : undefined;
          if (save !== undefined) context.hold(save);
        },
        soft_cancel: softCancelled,
        wakeup: when(missing.occasion, wake),
        load: when(missing.occasion, (event) => {
          // Back without having been woken it was preempted on its way to sleep: some kernels print the one as the other.
          if (isHooked && event.vcpu >= 0 && woken[event.vcpu] === undefined && context.records(Kind.wakeup))
            drop(event.vcpu, 'the vcpu was switched out and did not sleep');
          wake(event);
        }),
        halt_end: when(missing.occasion, over),
        timer_put: when(early.occasion, offsetShown),
        unschedule(event) {
          offsetShown(event);
          over(event);
        },
        entry: when(missing.occasion, over),
        lost() {
          for (const vcpu of machine.vcpus) drop(vcpu.index, because.initial);
          early.each((_, vcpu) => early.clear(vcpu));
          cancelled.each((_, vcpu) => cancelled.clear(vcpu));
        },
      },
      end(event) {
        for (const vcpu of machine.vcpus) {
          const save = missing.get(vcpu.index);
          if (save === undefined) continue;
          const until = Math.min(woken[vcpu.index] ?? event.time, event.time);
          if (until - save.time > maxLatency) conclude(event, vcpu.index);
          else drop(vcpu.index, because.ends);
        }
      },
    };
  },
});
