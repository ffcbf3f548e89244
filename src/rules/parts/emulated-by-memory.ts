import { canFire, Timer, type TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { type Known, type TimerContext, unknown, yes } from '../../machine/state.js';
import { because, type RuleContext } from '../context.js';
import type { Message, RuleExamples } from '../rule.js';
import { Slots, timerText, vcpuName } from '../support.js';

/** Up to 5.0: a vcpu that runs for the first time, and the guest that enables its physical timer. */
const accesses = 'event,vcpu,cpu,timer,level,ec,register,write,value,expires\nenable,0,0\nload,0,0\n';
const enables = 'entry,0,0\nexit,0,0,,,SYS64\ntrapped_access,0,0,ptimer,,,ctl,1,1\n';

export const memoryMessages: Readonly<Record<string, Message>> = {
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
};

export const memoryExamples: RuleExamples = {
  legal: [
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
  ],
};

/** A deadline may pass between two looks at it, nanoseconds: so far ahead it has not. */
const moment = 1_000_000;

/** What the rule is told of a physical timer that is in memory alone. */
export interface EmulatedByMemory {
  /** A load. */
  loaded(event: TimerEvent): void;
  /** A write of its registers, from the guest or userspace, or a reset. */
  written(event: TimerEvent): void;
  /** Something may have written them. */
  forget(vcpu: number): void;
  /** Its soft timer is armed. */
  armed(event: TimerEvent): void;
  /** The background timer is armed. */
  armedInBackground(event: TimerEvent): void;
  /** Level 1 is reported. */
  reported(event: TimerEvent): void;
  /** @param armed whether its soft timer is */
  entered(event: TimerEvent, armed: Known): void;
  lost(): void;
}

/**
 * 4.15 to 5.0: no record tells what phys_timer_emulate finds, but where every write of the physical timer has one, what it
 * has to leave behind at an entry is known: a soft timer for one that can fire, unless the level is high; neither for one
 * that cannot.
 */
export function emulatedByMemory(context: RuleContext): EmulatedByMemory {
  const { machine, timing } = context;
  /** Up to 4.18 one that expires between the two looks at it is lost: only one certainly not expired has to be armed. */
  const isExact = context.candidates.every((id) => id === 'load-put-5.0');
  /** By vcpu: what has evaluated it since the last entry. */
  const evaluated = new Slots();
  /** By vcpu: entries with a timer that can fire and neither soft timer nor level, which may have expired by then. */
  const open = new Slots();
  /** By vcpu: CLOCK_MONOTONIC of its deadline, as the soft timer was armed for it; NaN since another one was written. */
  const deadlines: number[] = [];
  /** By vcpu: CLOCK_MONOTONIC for which its soft timer was armed last. */
  const armedFor: number[] = [];
  /** By vcpu: the trace has shown an access to its timer. */
  const used: boolean[] = [];

  const stateOf = ({ vcpu }: TimerEvent, timer: Timer.ptimer | Timer.vtimer) =>
    machine.vcpu(vcpu).contexts[timer] as TimerContext;

  function violate(event: TimerEvent, at: TimerEvent, message: string): void {
    context.violate(event, {
      message,
      data: { vcpu: vcpuName(machine, event.vcpu), timer: timerText(Timer.ptimer), cpu: at.cpu },
      witness: [machine.vcpu(event.vcpu).last[Kind.trapped_access], event],
      at,
    });
  }

  function notExpired(event: TimerEvent): void {
    const entry = open.take(event.vcpu);
    if (entry !== undefined) violate(event, entry, 'unarmed');
  }

  function forget(vcpu: number): void {
    const entry = open.take(vcpu);
    if (entry !== undefined) context.undecided(entry, 'no record tells whether the timer had expired');
    evaluated.clear(vcpu);
    deadlines[vcpu] = Number.NaN;
  }

  return {
    forget,
    loaded(event) {
      if (event.vcpu >= 0) evaluated.set(event.vcpu, event);
    },
    written(event) {
      if (event.vcpu < 0) return;
      if (event.kind === Kind.trapped_access) used[event.vcpu] = true;
      forget(event.vcpu);
      evaluated.set(event.vcpu, event);
    },
    armed(event) {
      if (event.expires > 0) armedFor[event.vcpu] = deadlines[event.vcpu] = event.expires;
      notExpired(event);
      const { ctl } = stateOf(event, Timer.ptimer);
      if (used[event.vcpu] === true && ctl >= 0 && !canFire(ctl)) violate(event, event, 'armed-for-nothing');
    },
    armedInBackground(event) {
      if (event.vcpu < 0 || open.isEmpty) return;
      const { ctl, saveValid } = stateOf(event, Timer.vtimer);
      // Armed for the physical timer alone: it has not expired.
      if (saveValid && ctl >= 0 && !canFire(ctl)) notExpired(event);
    },
    reported(event) {
      const isOwn = event.vcpu >= 0 && event.timer === Timer.ptimer;
      if (isOwn && open.get(event.vcpu) !== undefined) forget(event.vcpu);
    },
    entered(event, armed) {
      const evaluation = event.vcpu < 0 ? undefined : evaluated.take(event.vcpu);
      if (evaluation === undefined || used[event.vcpu] !== true) return;
      const { ctl, level } = stateOf(event, Timer.ptimer);
      if (ctl < 0 || armed === unknown || level === unknown) return context.undecided(evaluation, because.emulated);
      if (canFire(ctl)) {
        const now = timing.monotonic(event.time);
        const isFar = (armedFor[event.vcpu] ?? Number.NaN) - now > moment;
        if (armed === yes && level === yes && isFar) return violate(event, evaluation, 'armed-while-pending');
        if (armed === yes || level === yes) return context.hold(evaluation);
        const isAhead = now < (deadlines[event.vcpu] ?? Number.NaN);
        if (isExact || isAhead) violate(event, evaluation, 'unarmed');
        else open.set(event.vcpu, event);
      } else if (armed === yes) violate(event, evaluation, 'armed-for-nothing');
      else if (level === yes) violate(event, evaluation, 'level-stays');
      else context.hold(evaluation);
    },
    lost() {
      evaluated.each((_, vcpu) => evaluated.clear(vcpu));
      open.each((_, vcpu) => forget(vcpu));
      deadlines.fill(Number.NaN);
    },
  };
}
