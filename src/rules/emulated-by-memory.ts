import { canFire, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { type Known, type TimerContext, unknown, yes } from '../machine/state.js';
import { because, type RuleContext } from './context.js';
import { Slots, timerText, vcpuName } from './support.js';

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
