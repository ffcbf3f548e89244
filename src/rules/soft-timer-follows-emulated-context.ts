import { accessClasses, Certainty, canFire, Register, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { contextCount, type Known, no, unknown, yes } from '../machine/state.js';
import { because } from './context.js';
import { always, Occasion, when } from './occasion.js';
import { ArmedClaims } from './parts/armed-claims.js';
import { emulatedByMemory, memoryExamples, memoryMessages } from './parts/emulated-by-memory.js';
import { Evaluations, evaluationExamples, evaluationMessages } from './parts/emulation-evaluated.js';
import { keyOf, Outcomes, outcomeExamples, outcomeMessages } from './parts/emulation-outcome.js';
import { LostAtLoad, lostExamples, lostMessages } from './parts/lost-at-load.js';
import { physicalTimerAtFlush } from './parts/physical-timer-at-flush.js';
import { defineRule } from './rule.js';
import { loadPutModels, Slots, timerText, tracedModels, vcpuName } from './support.js';

/** Longest time that a TVAL can mean, nanoseconds: 2^31 counts at a megahertz, the slowest counter there is. */
const longestTval = 2 ** 31 * 1000;

export default defineRule({
  id: 'soft-timer-follows-emulated-context',
  statement:
    'An emulated timer that can fire and has not expired has its soft timer armed while the vcpu is loaded; a put cancels it; when it fires it is armed again or the level is raised. From 5.1 on every load and every trapped write evaluates it anew.',
  why: 'No hardware watches an emulated timer: without its soft timer the guest gets the interrupt late, with the next load, or never.',
  models: {
    'world-switch': 'error',
    'load-put-4.15': 'error',
    'load-put-4.16': 'error',
    'load-put-5.0': 'error',
    'timer-map': 'error',
    offset: 'error',
    'stateless-level': 'error',
  },
  needs: [['soft_arm', 'soft_expire', 'emulate', 'flush'], 'update_irq'],
  source:
    'timer_emulate, phys_timer_emulate, kvm_hrtimer_expire; 7afc4ddbf299, 245715cbe83c, 6bc210003dff, 4d74ecfa6458, b450dcce93bc; specification §4.4, §4.8 point 16',
  messages: {
    ...evaluationMessages,
    ...memoryMessages,
    ...lostMessages,
    ...outcomeMessages,
    'not-raised': {
      headline: 'the soft timer of the {timer} of {vcpu} fires on CPU {cpu} and raises no level',
      given: 'the soft timer of the emulated {timer} of {vcpu} fired',
      must: 'its callback reports level 1, or arms it again when it came too early',
      but: 'the CPU went on with neither',
      therefore: 'the guest loses the interrupt of its timer',
    },
    'left-armed': {
      headline: 'the soft timer of the {timer} of {vcpu} is still armed after the put on CPU {cpu}',
      given: 'the soft timer of the emulated {timer} of {vcpu} was armed',
      must: 'the put cancels it: from then on the background timer stands in',
      but: 'the put ended without that',
      therefore: 'it fires for a vcpu that is not loaded',
    },
    'never-due': {
      headline: 'the soft timer of the {timer} of {vcpu} is armed for a time that no TVAL can mean',
      given: 'the guest wrote TVAL of its emulated {timer}, a signed number of 32 bits from now on',
      must: 'the soft timer is armed for a time within half an hour, at whatever frequency the counter has',
      but: 'it was armed for a time beyond that',
      therefore: 'TVAL was taken for something else (as before 8fa761624871): the interrupt never comes',
    },
    direct: {
      headline: 'a soft timer is armed for the {timer} of {vcpu}, which has the hardware to itself',
      given: 'the timer map says that the {timer} of {vcpu} is a direct context',
      must: 'only an emulated context has a soft timer',
      but: 'one was armed for it (as before 6bc210003dff)',
      therefore: "it raises the level behind the hardware's back",
    },
  },
  examples: {
    legal: [
      ...evaluationExamples.legal,
      ...memoryExamples.legal,
      {
        title: 'armed at the load, cancelled at the put; then it fires and the level is raised',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,level\ntimer_map,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,0\nsoft_arm,0,0,ptimer\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0\nsoft_cancel,0,0,ptimer\ntimer_map,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,0\nsoft_arm,0,0,ptimer\nentry,0,0\nsoft_expire,0,0,ptimer\nupdate_irq,0,0,ptimer,1\nexit,0,0\nentry,0,0\n',
      },
      {
        title: 'it fires too early and is armed again',
        model: 'offset',
        trace:
          'event,vcpu,cpu,timer,level,dv,dp,ev,ep\ntimer_map,0,0,,,1,none,none,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,0\nsoft_arm,0,0,ptimer\nentry,0,0\nsoft_expire,0,0,ptimer\nsoft_arm,0,0,ptimer\nexit,0,0\nentry,0,0\n',
      },
      {
        title: 'the guest disables its timer with the level high, and later enables it',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,level,ec\ntimer_map,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,1\nupdate_irq,0,0,ptimer,1\nentry,0,0\nexit,0,0,,,SYS64\nemulate,0,0,ptimer,0\nupdate_irq,0,0,ptimer,0\nentry,0,0\nexit,0,0,,,SYS64\nemulate,0,0,ptimer,0\nsoft_arm,0,0,ptimer\nentry,0,0\n',
      },
      {
        title: '6.14 to 7.1 report the level where it changes',
        model: 'stateless-level',
        trace:
          'event,vcpu,cpu,timer,level,dv,dp,ev,ep\ntimer_map,0,0,,,1,none,none,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,1\nupdate_irq,0,0,ptimer,1\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,1\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,0\nupdate_irq,0,0,ptimer,0\nsoft_arm,0,0,ptimer\nentry,0,0\n',
      },
      {
        title: 'preempted in a trapped access, between its timer_emulate and the report: the load evaluates it first',
        model: 'offset',
        trace:
          'event,vcpu,cpu,timer,level,dv,dp,ev,ep,ec,register,write,next,state\ntimer_map,0,0,,,1,none,none,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,1\nupdate_irq,0,0,ptimer,1\nentry,0,0\nexit,0,0,,,,,,,SYS64\ntrapped_access,0,0,ptimer,,,,,,,cval,1\nemulate,0,0,ptimer,0\nsched_switch,0,0,,,,,,,,,,99,R\nput,0,0\nsave,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,0\nupdate_irq,0,0,ptimer,0\nsoft_arm,0,0,ptimer\nemulate,0,0,ptimer,0\nsoft_arm,0,0,ptimer\nentry,0,0\n',
      },
      {
        title: 'the callback of 4.19 raises the level',
        model: 'load-put-4.16',
        trace:
          'event,vcpu,cpu,timer,level\nload,0,0\nsoft_arm,0,0,ptimer\nentry,0,0\nsoft_expire,0,0,ptimer\nupdate_irq,0,0,ptimer,1\nexit,0,0\nput,0,0\nload,0,0\n',
      },
    ],
    violating: [
      ...evaluationExamples.violating,
      ...memoryExamples.violating,
      ...lostExamples,
      ...outcomeExamples,
      {
        title: 'the callback raises nothing',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,level\ntimer_map,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,0\nsoft_arm,0,0,ptimer\nentry,0,0\nsoft_expire,0,0,ptimer\nexit,0,0\nentry,0,0\n',
        message: 'not-raised',
        line: 8,
      },
      {
        title: 'the put cancels nothing',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,level\ntimer_map,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,0\nsoft_arm,0,0,ptimer\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0\nload,0,0\n',
        message: 'left-armed',
        line: 11,
      },
      {
        title: 'TVAL is taken for the negated difference (8fa761624871)',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,level,ec,register,write,value,expires\ntimer_map,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,0\nsoft_arm,0,0,ptimer,,,,,,1000\nentry,0,0\nsoft_expire,0,0,ptimer,,,,,,1000\nsoft_arm,0,0,ptimer,,,,,,2000\nexit,0,0,,,SYS64\nsoft_cancel,0,0,ptimer\ntrapped_access,0,0,ptimer,,,tval,1,1000\nemulate,0,0,ptimer,0\nsoft_arm,0,0,ptimer,,,,,,9000000000000000\nentry,0,0\n',
        message: 'never-due',
        line: 14,
      },
      {
        title: 'a soft timer for the direct virtual timer (6bc210003dff)',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,level\ntimer_map,0,0\nload,0,0\nrestore,0,0\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0\nemulate,0,0,vtimer,0\nsoft_arm,0,0,vtimer\nload,0,0\n',
        message: 'direct',
        line: 10,
      },
    ],
  },
  create(context) {
    const { machine, model } = context;
    if (model.id === 'world-switch') return physicalTimerAtFlush(context);
    const isOld = loadPutModels.some((id) => id === model.id);
    /** By vcpu and context: whether the soft timer is armed. */
    const armed: number[] = [];
    /** By vcpu and context: serial of the record that armed it last. */
    const armedAt: number[] = [];
    /** By vcpu and context: CLOCK_MONOTONIC for which it was armed last, nanoseconds. */
    const expires: number[] = [];
    /** The trace has told of an emulated timer: before, nothing is to be followed. */
    const emulation = new Occasion();
    /** Up to 5.0 a timer that nobody arms has told of nothing. */
    const entered = isOld ? always : emulation;
    /** By CPU: the callback under way. */
    const callbacks = new Slots();
    /** By vcpu: its direct virtual timer by the last map. */
    const maps: number[] = [];
    /** By vcpu: the guest has trapped on a register access, and which it was is still to come. */
    const trapped: boolean[] = [];

    const outcomes = new Outcomes(context);
    /** Soft timers, by vcpu and context, that are armed at the end of a put by all that is recorded. */
    const claims = new ArmedClaims(context);
    const lostAtLoad = isOld ? new LostAtLoad(context) : undefined;
    const byMemory = isOld ? emulatedByMemory(context) : undefined;
    const evaluations = tracedModels.some((id) => id === model.id) ? new Evaluations(context, claims) : undefined;

    /** By vcpu and context: the guest has written TVAL, and its soft timer has not been armed since. */
    const tvalWrites = new Slots();
    /** CLOCK_MONOTONIC less the time of the trace, as an expiry has shown both; NaN until then. */
    let clockOffset = Number.NaN;

    function data(event: TimerEvent): Record<string, string | number> {
      return {
        vcpu: event.vcpu < 0 ? 'a vcpu' : vcpuName(machine, event.vcpu),
        timer: timerText(event.timer >= 0 ? event.timer : Timer.ptimer),
        cpu: event.cpu,
      };
    }

    /** The registers of the vcpu's contexts may have changed: nothing follows from what they were. */
    function changed(vcpu: number): void {
      if (vcpu < 0) return;
      lostAtLoad?.forget(vcpu);
      outcomes.changed(vcpu);
    }

    /** Somebody's soft timer, and it is not known whose. */
    function anybodys(event: TimerEvent): void {
      armed.fill(unknown);
      claims.forget(because.unattributed);
      outcomes.doubt(event);
    }

    /** A trapped access of which no record says what it was. */
    function settleTrap(vcpu: number): void {
      const recorded = context.records(Kind.exit) || context.records(Kind.trapped_access);
      if (trapped[vcpu] === true || !recorded) changed(vcpu);
      trapped[vcpu] = false;
    }

    /** A CPU has gone on with something else: the callback is over. */
    function returned(event: TimerEvent): void {
      const fire = callbacks.take(event.cpu);
      if (fire === undefined) return;
      context.violate(event, { message: 'not-raised', data: data(fire), witness: [], at: fire, ofCpu: true });
    }

    const goesOn = (event: TimerEvent) => {
      returned(event);
      outcomes.close(event);
    };

    return {
      before: {
        timer_map(event) {
          if (event.vcpu < 0) return;
          // Under nested virtualisation a context is direct or emulated by turns: the guest writes it unseen.
          if (maps[event.vcpu] !== event.directVtimer) changed(event.vcpu);
          maps[event.vcpu] = event.directVtimer;
        },
        emulate(event) {
          emulation.set(true);
          goesOn(event);
          if (event.vcpu < 0 || event.timer < 0) return context.undecided(event, because.unattributed);
          settleTrap(event.vcpu);
          const key = keyOf(event);
          if (armed[key] === yes && claims.mayHaveFired(event, expires[key])) outcomes.unseen(key);
          evaluations?.emulate(event, armed[key] === yes, expires[key]);
          outcomes.begin(event, armed[key] as Known | undefined);
        },
        update_irq: when(emulation, (event) => {
          if (event.level === 1) byMemory?.reported(event);
          const fire = callbacks.get(event.cpu);
          if (fire !== undefined && event.level === 1 && (event.vcpu < 0 || event.vcpu === fire.vcpu)) {
            callbacks.clear(event.cpu);
            context.hold(fire);
          }
          lostAtLoad?.reported(event);
          outcomes.reported(event);
        }),
        soft_arm(event) {
          emulation.set(true);
          const { vcpu } = event;
          if (vcpu < 0) {
            anybodys(event);
            return context.undecided(event, because.unattributed);
          }
          const key = keyOf(event);
          claims.started(key);
          armed[key] = yes;
          armedAt[key] = event.serial;
          expires[key] = event.expires;
          byMemory?.armed(event);
          const fire = callbacks.get(event.cpu);
          if (fire !== undefined && fire.vcpu === vcpu && keyOf(fire) === key) {
            callbacks.clear(event.cpu);
            return context.hold(fire);
          }
          const { directVtimer, directPtimer } = machine.vcpu(vcpu);
          if (event.timer >= 0 && (event.timer === directVtimer || event.timer === directPtimer)) {
            return context.violate(event, {
              message: 'direct',
              data: data(event),
              witness: [machine.vcpu(vcpu).last[Kind.emulate]],
            });
          }
          const written = tvalWrites.take(key);
          if (written !== undefined && event.expires - event.time - clockOffset > longestTval)
            context.violate(event, { message: 'never-due', data: data(event), witness: [written] });
          outcomes.armed(event);
        },
        soft_cancel(event) {
          if (event.vcpu < 0) return anybodys(event);
          claims.ended(keyOf(event), event);
          armed[keyOf(event)] = no;
        },
        soft_expire(event) {
          emulation.set(true);
          returned(event);
          if (event.expires >= 0) clockOffset = event.expires - event.time;
          if (event.vcpu < 0) {
            anybodys(event);
            return context.undecided(event, because.unattributed);
          }
          claims.ended(keyOf(event), event);
          armed[keyOf(event)] = no;
          callbacks.set(event.cpu, event);
        },
        put_end: when(emulation, (event) => {
          goesOn(event);
          const vcpu = machine.vcpu(event.vcpu);
          const put = vcpu.last[Kind.put];
          // That the thread was switched out shows no put by itself.
          const shown = put.certainty === Certainty.recorded || vcpu.vtimer.save.serial > put.serial;
          for (let key = event.vcpu * contextCount; key < (event.vcpu + 1) * contextCount; key++) {
            if (armed[key] !== yes) continue;
            // A put arms none: the next load has, and it has left no other record.
            const reloaded = (armedAt[key] ?? 0) > put.serial;
            armed[key] = shown && !reloaded ? no : unknown;
            if (!shown || reloaded) continue;
            if (!context.records(Kind.soft_cancel) || !context.records(Kind.soft_expire)) {
              context.undecided(event, 'the trace does not record how soft timers end');
              continue;
            }
            // Or it has fired where the trace does not look, and its callback has raised the level.
            if (claims.mayHaveFired(event, expires[key])) outcomes.unseen(key);
            claims.claim(key, event, expires[key], {
              message: 'left-armed',
              data: { ...data(event), timer: timerText(key % contextCount) },
              witness: [put],
              severity: 'warning',
            });
          }
        }),
        exit: when(emulation, (event) => {
          goesOn(event);
          if (event.vcpu < 0) return;
          evaluations?.exit(event);
          if (accessClasses.includes(event.exceptionClass)) trapped[event.vcpu] = true;
          else if (event.exitCode !== 0 && event.exceptionClass < 0) changed(event.vcpu);
        }),
        trapped_access(event) {
          if (event.vcpu < 0) return;
          trapped[event.vcpu] = false;
          const { timer, register } = event;
          if (event.write === 0 || timer === Timer.none) return;
          evaluations?.trappedAccess(event);
          byMemory?.written(event);
          if (timer < 0) changed(event.vcpu);
          else {
            outcomes.moved(keyOf(event));
            if (register === Register.tval) tvalWrites.set(keyOf(event), event);
            if (register !== Register.cval && register !== Register.tval)
              outcomes.enabled(keyOf(event), register === Register.ctl && event.hasValue && canFire(event.valueLo));
          }
        },
        entry: when(entered, (event) => {
          byMemory?.entered(event, event.vcpu < 0 ? unknown : ((armed[keyOf(event)] ?? unknown) as Known));
          goesOn(event);
          evaluations?.entry(event);
          lostAtLoad?.goesOn(event);
          if (event.vcpu < 0) return;
          settleTrap(event.vcpu);
          // A hypervisor writes the timers of its guest in memory (FEAT_NV2), which leaves no record.
          if (machine.vcpu(event.vcpu).directVtimer === Timer.hvtimer) changed(event.vcpu);
        }),
        save: when(emulation, goesOn),
        restore: when(emulation, goesOn),
        sched_switch: when(emulation, goesOn),
        wfx: when(emulation, goesOn),
        halt_end: when(emulation, goesOn),
        load(event) {
          goesOn(event);
          byMemory?.loaded(event);
          const { last } = machine.vcpu(event.vcpu);
          // Where it was since then is in no record.
          if (last[Kind.put].serial <= last[Kind.load].serial) changed(event.vcpu);
          // The put before it has cancelled them; where it had not, that has been told.
          for (let key = event.vcpu * contextCount; key < (event.vcpu + 1) * contextCount; key++) armed[key] = no;
        },
        put: when(emulation, (event) => {
          goesOn(event);
          lostAtLoad?.goesOn(event);
          const { last, exitClass } = machine.vcpu(event.vcpu);
          // Neither the scheduler's nor that of a trapped access up to 6.2: userspace may write registers next.
          const switched = last[Kind.sched_switch].serial > Math.max(last[Kind.load].serial, last[Kind.exit].serial);
          if (!switched && !accessClasses.includes(exitClass)) changed(event.vcpu);
        }),
        vtimer_irq: when(emulation, returned),
        bg_expire(event) {
          returned(event);
          if (lostAtLoad === undefined || event.vcpu < 0) return;
          emulation.set(true);
          lostAtLoad.fired(event);
        },
        bg_arm(event) {
          byMemory?.armedInBackground(event);
          if (event.vcpu >= 0) lostAtLoad?.forget(event.vcpu);
        },
        userspace_exit: when(emulation, (event) => {
          goesOn(event);
          changed(event.vcpu);
          if (event.vcpu >= 0) byMemory?.forget(event.vcpu);
        }),
        user_write(event) {
          changed(event.vcpu);
          byMemory?.written(event);
        },
        reset(event) {
          changed(event.vcpu);
          byMemory?.written(event);
        },
        lost(event) {
          evaluations?.lost();
          byMemory?.lost();
          armed.fill(unknown);
          claims.forget(because.initial);
          outcomes.lost();
          const fire = callbacks.take(event.cpu);
          if (fire !== undefined) context.undecided(fire, because.initial);
        },
      },
      end() {
        callbacks.each((fire) => context.undecided(fire, because.ends));
        claims.forget(because.ends);
      },
    };
  },
});
