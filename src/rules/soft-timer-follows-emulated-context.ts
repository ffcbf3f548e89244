import { accessClasses, Certainty, canFire as ctlCanFire, Register, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { contextCount, type Known, no, type TimerContext, unknown, yes } from '../machine/state.js';
import { because } from './context.js';
import { emulatedByMemory } from './emulated-by-memory.js';
import { Evaluations, evaluationExamples, evaluationMessages } from './emulation-evaluated.js';
import { always, Occasion, when } from './occasion.js';
import { physicalTimerAtFlush } from './physical-timer-at-flush.js';
import { defineRule } from './rule.js';
import { loadPutModels, Slots, timerText, tracedModels, vcpuName } from './support.js';

/** What timer_emulate has left behind for a context, until the next one. */
enum Left {
  /** Nothing is known, or something may have changed the context since. */
  nothing,
  /** The timer had not fired, and its soft timer was armed. */
  armed,
  /** The timer had not fired, and its soft timer was not armed. */
  unarmed,
  /** The same, and the level had just been lowered. */
  lowered,
}

/** Longest time that a TVAL can mean, nanoseconds: 2^31 counts at a megahertz, the slowest counter there is. */
const longestTval = 2 ** 31 * 1000;

/** Up to 5.0: a vcpu that runs for the first time, and the guest that enables its physical timer. */
const accesses = 'event,vcpu,cpu,timer,level,ec,register,write,value,expires\nenable,0,0\nload,0,0\n';
const enables = 'entry,0,0\nexit,0,0,,,SYS64\ntrapped_access,0,0,ptimer,,,ctl,1,1\n';

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
    'lost-at-load': {
      headline:
        'the {timer} of {vcpu} has expired while the vcpu slept, and the load on CPU {cpu} does not raise its level',
      given:
        'the background timer of {vcpu} fired and was not armed again, and the saved vtimer cannot fire: it was the {timer} that expired',
      must: 'the next load raises the level of the {timer}',
      but: 'the vcpu went on without it',
      therefore:
        'the interrupt is lost, and the guest may wait for it for ever: the known bug that 7afc4ddbf299 and 245715cbe83c fix (4.15 to 4.18)',
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
    'not-reported': {
      headline: 'the emulated {timer} of {vcpu} is found at level {level}, and that is not reported',
      given: 'timer_emulate found the {timer} of {vcpu} at level {level}, which it did not have before',
      must: 'kvm_timer_update_irq reports the new level',
      but: 'the vcpu went on without it',
      therefore: 'the guest does not see the change of its timer interrupt',
    },
    'not-armed': {
      headline: 'the emulated {timer} of {vcpu} could fire and had no soft timer',
      given: 'timer_emulate found that the {timer} of {vcpu} had not fired, and armed no soft timer',
      must: 'a timer that can fire has one',
      but: 'there was none, and the timer could fire: {proof}',
      therefore: 'its interrupt comes with the next load instead of at its deadline',
    },
    'known-not-armed-after-level-change': {
      headline: 'the emulated {timer} of {vcpu} had no soft timer after its level was lowered (b450dcce93bc)',
      given: 'timer_emulate lowered the level of the {timer} of {vcpu} and returned without arming its soft timer',
      must: 'a timer that can fire has one',
      but: 'there was none, and the timer could fire: {proof}',
      therefore:
        'its interrupt comes with the next load instead of at its deadline: the known bug that b450dcce93bc ("Always evaluate the need for a soft timer", 6.14) fixes',
    },
    unarmed: {
      headline: '{vcpu} enters the guest with nothing armed for its {timer}, which can fire and has not',
      given: 'the guest of {vcpu} had enabled its {timer}, as the writes before show',
      must: 'the flush, from 4.15 on the load or the write, arms a timer of the kernel for its deadline',
      but: '{vcpu} was entered without one, before that deadline',
      therefore: 'its interrupt comes with a later exit or load instead of at its deadline, or never',
    },
    'armed-for-nothing': {
      headline: 'a timer of the kernel is armed on CPU {cpu} for the {timer} of {vcpu}, which cannot fire',
      given: 'the {timer} of {vcpu} was disabled or masked, as the writes before show',
      must: 'nothing is armed for it, and what was is cancelled before the next entry',
      but: 'its timer was armed, or still was at the entry',
      therefore: 'it fires, and raises an interrupt that the guest has turned off',
    },
    'level-stays': {
      headline: '{vcpu} enters the guest with the level of its {timer} high, which cannot fire',
      given: 'the guest of {vcpu} had disabled or masked its {timer}, as the writes before show',
      must: 'its level is lowered before the next entry',
      but: 'the level was still high',
      therefore: 'the guest gets the interrupt again and again',
    },
    'armed-while-pending': {
      headline: 'a soft timer is armed for the {timer} of {vcpu}, which has fired already',
      given: 'timer_emulate found that the {timer} of {vcpu} has fired',
      must: 'a timer that has fired needs no soft timer',
      but: 'one was armed',
      therefore: 'it fires at once and reports again what is known',
    },
    'known-armed-while-pending': {
      headline: 'a soft timer is armed for the {timer} of {vcpu}, which has fired already (4d74ecfa6458)',
      given: 'timer_emulate found that the {timer} of {vcpu} has fired and that its level is high already',
      must: 'a timer that has fired needs no soft timer',
      but: 'one was armed',
      therefore:
        'it fires at once and reports again what is known: the known bug that 4d74ecfa6458 ("Don\'t arm a hrtimer for an already pending timer", 6.3) fixes',
    },
  },
  examples: {
    legal: [
      ...evaluationExamples.legal,
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
        title: 'the callback of 4.19 raises the level',
        model: 'load-put-4.16',
        trace:
          'event,vcpu,cpu,timer,level\nload,0,0\nsoft_arm,0,0,ptimer\nentry,0,0\nsoft_expire,0,0,ptimer\nupdate_irq,0,0,ptimer,1\nexit,0,0\nput,0,0\nload,0,0\n',
      },
      {
        title: 'up to 5.0: armed by the write that enables it, cancelled and armed again by the next load',
        model: 'load-put-5.0',
        trace: `${accesses}${enables}soft_arm,0,0,ptimer\nentry,0,0\nexit,0,0\nput,0,0\nsoft_cancel,0,0,ptimer\nload,0,0\nsoft_arm,0,0,ptimer\nentry,0,0\n`,
      },
      {
        title: 'up to 4.14: armed by the flush, until the sync',
        model: 'world-switch',
        trace: `${accesses}flush,0,0\nentry,0,0\nexit,0,0,,,SYS64\nsync,0,0\ntrapped_access,0,0,ptimer,,,ctl,1,1\nflush,0,0\nbg_arm,0,0\nentry,0,0\nexit,0,0\nbg_cancel,0,0\nsync,0,0\nwfx,0,0\n`,
      },
    ],
    violating: [
      ...evaluationExamples.violating,
      {
        title: 'the write that enables it arms nothing',
        model: 'load-put-5.0',
        trace: `${accesses}${enables}entry,0,0\n`,
        message: 'unarmed',
        line: 6,
      },
      {
        title: 'not armed in the flush, and not expired by the next sync',
        model: 'world-switch',
        trace: `${accesses}flush,0,0\nentry,0,0\nexit,0,0,,,SYS64\nsync,0,0\ntrapped_access,0,0,ptimer,,,ctl,1,1\nflush,0,0\nentry,0,0\nexit,0,0\nsync,0,0\nwfx,0,0\n`,
        message: 'unarmed',
        line: 9,
      },
      {
        title: 'masked, and its soft timer stays armed',
        model: 'load-put-4.15',
        trace: `${accesses}${enables}soft_arm,0,0,ptimer\nentry,0,0\nexit,0,0,,,SYS64\ntrapped_access,0,0,ptimer,,,ctl,1,3\nentry,0,0\n`,
        message: 'armed-for-nothing',
        line: 10,
      },
      {
        title: 'disabled, and its level stays high',
        model: 'load-put-4.16',
        trace: `${accesses}${enables}update_irq,0,0,ptimer,1\nentry,0,0\nexit,0,0,,,SYS64\ntrapped_access,0,0,ptimer,,,ctl,1,0\nentry,0,0\n`,
        message: 'level-stays',
        line: 10,
      },
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
        title: 'the physical timer expires while the vcpu sleeps, and its load does not look (7afc4ddbf299)',
        model: 'load-put-4.16',
        trace:
          'event,vcpu,cpu,timer,ctl,cval,level,irq\nload,0,0\nrestore,0,0,vtimer,0,0\nupdate_irq,0,0,,,,0,30\nentry,0,0\nexit,0,0\nschedule,0,0\nsave,0,0,vtimer,0,0\nbg_arm,0,0\nput,0,0\nbg_expire,0,0\nload,0,0\nput,0,0\n',
        message: 'lost-at-load',
        line: 12,
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
      {
        title: 'an expired timer whose level is not reported',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,level\ntimer_map,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,1\nupdate_irq,0,0,ptimer,1\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,0\nentry,0,0\n',
        message: 'not-reported',
        line: 13,
      },
      {
        title: 'no soft timer, and the next load finds that the timer has fired',
        model: 'stateless-level',
        trace:
          'event,vcpu,cpu,timer,level,dv,dp,ev,ep,ec\ntimer_map,0,0,,,1,none,none,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,0\nupdate_irq,0,0,ptimer,0\nentry,0,0\nexit,0,0,,,,,,,WFx\nsched_switch,0,0\nput,0,0\nsave,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,1\nupdate_irq,0,0,ptimer,1\nentry,0,0\n',
        message: 'not-armed',
        line: 5,
      },
      {
        title: 'the early return after a level change (b450dcce93bc)',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,level,ec\ntimer_map,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,1\nupdate_irq,0,0,ptimer,1\nentry,0,0\nexit,0,0,,,SYS64\nemulate,0,0,ptimer,0\nupdate_irq,0,0,ptimer,0\nentry,0,0\nexit,0,0,,,WFx\nsched_switch,0,0\nput,0,0\nsave,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,1\nupdate_irq,0,0,ptimer,1\nentry,0,0\n',
        message: 'known-not-armed-after-level-change',
        line: 9,
      },
      {
        title: 'the same, told at once: only CVAL was written since the timer fired',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,level,ec,register,write\ntimer_map,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,1\nupdate_irq,0,0,ptimer,1\nentry,0,0\nexit,0,0,,,SYS64\ntrapped_access,0,0,ptimer,,,cval,1\nemulate,0,0,ptimer,0\nupdate_irq,0,0,ptimer,0\nentry,0,0\n',
        message: 'known-not-armed-after-level-change',
        line: 10,
      },
      {
        title: 'a soft timer for a timer that has fired (4d74ecfa6458)',
        model: 'timer-map',
        trace:
          'event,vcpu,cpu,timer,level\ntimer_map,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,1\nupdate_irq,0,0,ptimer,1\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,1\nsoft_arm,0,0,ptimer\nentry,0,0\n',
        message: 'known-armed-while-pending',
        line: 14,
      },
      {
        title: 'the same in a kernel that has the fix',
        model: 'offset',
        trace:
          'event,vcpu,cpu,timer,level,dv,dp,ev,ep\ntimer_map,0,0,,,1,none,none,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,1\nupdate_irq,0,0,ptimer,1\nsoft_arm,0,0,ptimer\nentry,0,0\n',
        message: 'armed-while-pending',
        line: 7,
      },
    ],
  },
  create(context) {
    const { machine, model } = context;
    if (model.id === 'world-switch') return physicalTimerAtFlush(context);
    // Where several models are left, only what all of them do is asked.
    const stateless = context.candidates.every((id) => id === 'stateless-level');
    const isOld = loadPutModels.some((id) => id === model.id);
    /** By vcpu and context: whether the soft timer is armed. */
    const armed: number[] = [];
    /** By vcpu and context: serial of the record that armed it last. */
    const armedAt: number[] = [];
    /** The trace has told of an emulated timer: before, nothing is to be followed. */
    const emulation = new Occasion();
    /** Up to 5.0 a timer that nobody arms has told of nothing. */
    const entered = isOld ? always : emulation;
    /** By vcpu and context: the last timer_emulate, and what it left behind. */
    const emulated = new Slots();
    const left: Left[] = [];
    /** By vcpu: the timer_emulate under way, its report of a level still to come. */
    const current = new Slots();
    const reporting: boolean[] = [];
    /** By vcpu and context: the timer_emulate before the one under way, when it armed nothing. */
    const before = new Slots();
    const leftBefore: Left[] = [];
    /** By CPU: the callback under way. */
    const callbacks = new Slots();
    /** By vcpu: its direct virtual timer by the last map. */
    const maps: number[] = [];
    /** By vcpu and context: an evaluation has shown that it is enabled and not masked, and CTL was not written since. */
    const canFire: boolean[] = [];
    /** By vcpu: the guest has trapped on a register access, and which it was is still to come. */
    const trapped: boolean[] = [];

    /** By vcpu: the background timer has fired since it was armed, and no load has told for which timer. */
    const fired = new Slots();
    const byMemory = isOld ? emulatedByMemory(context) : undefined;
    const evaluations = tracedModels.some((id) => id === model.id) ? new Evaluations(context) : undefined;

    /** 4.15 to 5.0: what the background timer fired for has to be reported by the load, before the vcpu goes on. */
    function reported(event: TimerEvent): void {
      const fire = fired.isEmpty || event.vcpu < 0 ? undefined : fired.get(event.vcpu);
      if (fire === undefined) return;
      const vcpu = machine.vcpu(event.vcpu);
      const load = vcpu.last[Kind.load];
      fired.clear(event.vcpu);
      if (load.serial < fire.serial) return;
      const vtimer = vcpu.contexts[Timer.vtimer] as TimerContext;
      const ptimer = vcpu.contexts[Timer.ptimer] as TimerContext;
      const isPtimer = vtimer.saveValid && vtimer.save.serial < fire.serial && !ctlCanFire(vtimer.save.ctl);
      if (!isPtimer || ptimer.level !== no || vcpu.unseen) return;
      context.violate(event, {
        message: 'lost-at-load',
        data: { ...data(load), timer: timerText(Timer.ptimer) },
        witness: [vtimer.save, fire],
        at: load,
        ...(model.id !== 'load-put-5.0' && { severity: 'info' }),
      });
    }

    /** By vcpu and context: the guest has written TVAL, and its soft timer has not been armed since. */
    const tvalWrites = new Slots();
    /** CLOCK_MONOTONIC less the time of the trace, as an expiry has shown both; NaN until then. */
    let clockOffset = Number.NaN;

    /** Before 5.1 only the physical timer was emulated. */
    const keyOf = ({ vcpu, timer }: TimerEvent) => vcpu * contextCount + (timer >= 0 ? timer : Timer.ptimer);

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
      fired.clear(vcpu);
      for (let key = vcpu * contextCount; key < (vcpu + 1) * contextCount; key++) {
        moved(key);
        canFire[key] = false;
      }
    }

    /** The deadline of a context may have changed. */
    function moved(key: number): void {
      emulated.clear(key);
      before.clear(key);
      left[key] = Left.nothing;
    }

    /** Somebody's soft timer, and it is not known whose. */
    function anybodys(): void {
      armed.fill(unknown);
      left.fill(Left.nothing);
    }

    /** A trapped access of which no record says what it was. */
    function settleTrap(vcpu: number): void {
      const recorded = context.records(Kind.exit) || context.records(Kind.trapped_access);
      if (trapped[vcpu] === true || !recorded) changed(vcpu);
      trapped[vcpu] = false;
    }

    /** The one before shows to have been wrong: it armed nothing although the timer could fire. */
    function needed(event: TimerEvent, key: number, proof: string): void {
      const earlier = before.take(key);
      if (earlier !== undefined) unarmed(event, earlier, leftBefore[key] === Left.lowered, proof);
    }

    function unarmed(event: TimerEvent, emulate: TimerEvent, lowered: boolean, proof: string): void {
      const known = lowered && !stateless;
      context.violate(event, {
        message: known ? 'known-not-armed-after-level-change' : 'not-armed',
        data: { ...data(emulate), proof },
        witness: [event],
        at: emulate,
        ...(known && { severity: 'info' }),
      });
    }

    /** timer_emulate is over: the vcpu's thread goes on. */
    function close(event: TimerEvent): void {
      const emulate = event.vcpu < 0 ? undefined : current.take(event.vcpu);
      if (emulate === undefined) return;
      if (reporting[event.vcpu]) {
        context.violate(event, {
          message: 'not-reported',
          data: { ...data(emulate), level: emulate.level },
          witness: [machine.vcpu(event.vcpu).contexts[emulate.timer]?.update ?? emulate],
          at: emulate,
        });
        reporting[event.vcpu] = false;
      }
      if (emulate.level !== 0) return;
      const key = keyOf(emulate);
      if (left[key] === Left.armed) return context.hold(emulate);
      if (left[key] === Left.nothing || canFire[key] !== true) return context.undecided(emulate, because.emulated);
      unarmed(event, emulate, left[key] === Left.lowered, 'CTL has not been written since it could');
      moved(key);
    }

    /** A CPU has gone on with something else: the callback is over. */
    function returned(event: TimerEvent): void {
      const fire = callbacks.take(event.cpu);
      if (fire === undefined) return;
      context.violate(event, { message: 'not-raised', data: data(fire), witness: [], at: fire, ofCpu: true });
    }

    const goesOn = (event: TimerEvent) => {
      returned(event);
      close(event);
    };

    function report(emulate: TimerEvent): boolean {
      const level = machine.vcpu(emulate.vcpu).contexts[emulate.timer]?.level ?? unknown;
      return emulate.level >= 0 && (stateless || (level !== unknown && level !== emulate.level));
    }

    function armedInEmulate(event: TimerEvent, emulate: TimerEvent, key: number): void {
      if (emulate.level === 1) {
        // The model of 5.1 to 6.3 is that of the kernels before the fix.
        const known = context.candidates.includes('timer-map');
        context.violate(event, {
          message: known ? 'known-armed-while-pending' : 'armed-while-pending',
          data: data(event),
          witness: [emulate],
          ...(known && { severity: 'info' }),
        });
        return;
      }
      left[key] = Left.armed;
      canFire[key] = true;
      needed(event, key, 'the next evaluation arms its soft timer, with no write to it in between');
    }

    return {
      before: {
        timer_map(event) {
          if (event.vcpu < 0) return;
          // Under nested virtualisation a context is direct or emulated by turns: the guest writes it unseen.
          if (maps[event.vcpu] !== event.directVtimer) changed(event.vcpu);
          maps[event.vcpu] = event.directVtimer;
        },
        emulate(event) {
          emulation.count++;
          goesOn(event);
          if (event.vcpu < 0 || event.timer < 0) return context.undecided(event, because.unattributed);
          settleTrap(event.vcpu);
          const key = keyOf(event);
          evaluations?.emulate(event, armed[key] === yes);
          const earlier = emulated.take(key);
          before.clear(key);
          if (earlier !== undefined && (left[key] === Left.unarmed || left[key] === Left.lowered)) {
            before.set(key, earlier);
            leftBefore[key] = left[key];
          }
          if (event.level === 1) {
            needed(event, key, 'it has fired at the next evaluation, with no write to it in between');
            canFire[key] = true;
          }
          emulated.set(key, event);
          current.set(event.vcpu, event);
          reporting[event.vcpu] = report(event);
          if (event.level !== 0 || !context.records(Kind.soft_arm)) left[key] = Left.nothing;
          else left[key] = armed[key] === no ? Left.unarmed : armed[key] === yes ? Left.armed : Left.nothing;
        },
        update_irq: when(emulation, (event) => {
          if (event.level === 1) byMemory?.reported(event);
          const fire = callbacks.get(event.cpu);
          if (fire !== undefined && event.level === 1 && (event.vcpu < 0 || event.vcpu === fire.vcpu)) {
            callbacks.clear(event.cpu);
            context.hold(fire);
          }
          if (event.vcpu >= 0 && event.timer === Timer.ptimer && event.level === 1) {
            const woken = fired.take(event.vcpu);
            if (woken !== undefined) context.hold(woken);
          }
          const emulate = event.vcpu < 0 ? undefined : current.get(event.vcpu);
          if (emulate === undefined || emulate.timer !== event.timer) return;
          if (reporting[event.vcpu] && event.level === emulate.level) {
            reporting[event.vcpu] = false;
            context.hold(emulate);
          }
          const key = keyOf(event);
          if (event.level === 0 && left[key] === Left.unarmed) left[key] = Left.lowered;
        }),
        soft_arm(event) {
          emulation.count++;
          const { vcpu } = event;
          if (vcpu < 0) {
            anybodys();
            return context.undecided(event, because.unattributed);
          }
          const key = keyOf(event);
          armed[key] = yes;
          armedAt[key] = event.serial;
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
          const emulate = current.get(vcpu);
          if (emulate !== undefined && keyOf(emulate) === key) armedInEmulate(event, emulate, key);
        },
        soft_cancel(event) {
          if (event.vcpu >= 0) armed[keyOf(event)] = no;
          else anybodys();
        },
        soft_expire(event) {
          emulation.count++;
          returned(event);
          if (event.expires >= 0) clockOffset = event.expires - event.time;
          if (event.vcpu < 0) {
            anybodys();
            return context.undecided(event, because.unattributed);
          }
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
            context.violate(event, {
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
            moved(keyOf(event));
            if (register === Register.tval) tvalWrites.set(keyOf(event), event);
            if (register !== Register.cval && register !== Register.tval)
              canFire[keyOf(event)] = register === Register.ctl && event.hasValue && ctlCanFire(event.valueLo);
          }
        },
        entry: when(entered, (event) => {
          byMemory?.entered(event, event.vcpu < 0 ? unknown : ((armed[keyOf(event)] ?? unknown) as Known));
          goesOn(event);
          evaluations?.entry(event);
          reported(event);
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
          reported(event);
          const { last, exitClass } = machine.vcpu(event.vcpu);
          // Neither the scheduler's nor that of a trapped access up to 6.2: userspace may write registers next.
          const switched = last[Kind.sched_switch].serial > Math.max(last[Kind.load].serial, last[Kind.exit].serial);
          if (!switched && !accessClasses.includes(exitClass)) changed(event.vcpu);
        }),
        vtimer_irq: when(emulation, returned),
        bg_expire(event) {
          returned(event);
          if (!isOld || event.vcpu < 0) return;
          emulation.count++;
          fired.set(event.vcpu, event);
        },
        bg_arm(event) {
          byMemory?.armedInBackground(event);
          if (event.vcpu >= 0) fired.clear(event.vcpu);
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
          left.fill(Left.nothing);
          canFire.fill(false);
          emulated.each((_, key) => emulated.clear(key));
          before.each((_, key) => before.clear(key));
          current.each((_, vcpu) => current.clear(vcpu));
          const fire = callbacks.take(event.cpu);
          if (fire !== undefined) context.undecided(fire, because.initial);
        },
      },
      end() {
        callbacks.each((fire) => context.undecided(fire, because.ends));
      },
    };
  },
});
