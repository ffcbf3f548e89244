import { Timer, type TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { contextCount, type Known, no, unknown, yes } from '../../machine/state.js';
import { because, type RuleContext } from '../context.js';
import type { Message, ViolatingExample } from '../rule.js';
import { Slots, timerText, vcpuName } from '../support.js';
import { isPreempted, isResumed } from './preempted.js';

// What timer_emulate has to do with what it finds: the part of soft-timer-follows-emulated-context that follows each
// evaluation to its end.

export const outcomeMessages: Readonly<Record<string, Message>> = {
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
};

export const outcomeExamples: readonly ViolatingExample[] = [
  {
    title: 'an expired timer whose level is not reported',
    model: 'timer-map',
    trace:
      'event,vcpu,cpu,timer,level\ntimer_map,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,1\nupdate_irq,0,0,ptimer,1\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,0\nentry,0,0\n',
    message: 'not-reported',
    line: 13,
  },
  {
    title: 'a level that is not reported, by a kernel that reports all of them',
    model: 'stateless-level',
    trace:
      'event,vcpu,cpu,timer,level,dv,dp,ev,ep\ntimer_map,0,0,,,1,none,none,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,1\nupdate_irq,0,0,ptimer,1\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,1\nupdate_irq,0,0,ptimer,1\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,1\nentry,0,0\n',
    message: 'not-reported',
    line: 21,
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
];

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

/** The number of an event's vcpu and context. Before 5.1 only the physical timer was emulated. */
export function keyOf({ vcpu, timer }: TimerEvent): number {
  return vcpu * contextCount + (timer >= 0 ? timer : Timer.ptimer);
}

/** Follows what each timer_emulate reports and arms, and whether the next one shows that to have been wrong. */
export class Outcomes {
  readonly #context: RuleContext;
  /** Where several models are left, only what all of them do is asked. */
  readonly #stateless: boolean;
  /** By vcpu and context: the last timer_emulate, and what it left behind. */
  readonly #emulated = new Slots();
  readonly #left: Left[] = [];
  /** By vcpu: the timer_emulate under way, its report of a level still to come. */
  readonly #current = new Slots();
  readonly #reporting: boolean[] = [];
  /** By vcpu: the timer_emulate under way found the level that was reported last. */
  readonly #repeating: boolean[] = [];
  /** Times that an unchanged level was reported, and that it was not. */
  #repeats = 0;
  #silences = 0;
  /** By vcpu and context: the timer_emulate before the one under way, when it armed nothing. */
  readonly #before = new Slots();
  readonly #leftBefore: Left[] = [];
  /** By vcpu and context: the soft timer may have fired without a record, and raised the level, which no report has told since. */
  readonly #unseen: boolean[] = [];
  /** Serial number of the last record that may have told a level of anybody's. */
  #anybodys = 0;
  /** By vcpu and context: an evaluation has shown that it is enabled and not masked, and CTL was not written since. */
  readonly #canFire: boolean[] = [];

  constructor(context: RuleContext) {
    this.#context = context;
    this.#stateless = context.candidates.every((id) => id === 'stateless-level');
  }

  /** The registers of the vcpu's contexts may have changed: nothing follows from what they were. */
  changed(vcpu: number): void {
    for (let key = vcpu * contextCount; key < (vcpu + 1) * contextCount; key++) {
      this.moved(key);
      this.#canFire[key] = false;
    }
  }

  /** The deadline of a context may have changed. */
  moved(key: number): void {
    this.#emulated.clear(key);
    this.#before.clear(key);
    this.#left[key] = Left.nothing;
  }

  /** By all that is recorded the soft timer is armed where the kernel has cancelled it: it may have fired before. */
  unseen(key: number): void {
    this.#unseen[key] = true;
  }

  /** CTL was written. */
  enabled(key: number, canFire: boolean): void {
    this.#canFire[key] = canFire;
  }

  /** Whose soft timers are armed is not known, nor whose level a callback has raised. */
  doubt(event: TimerEvent): void {
    this.#left.fill(Left.nothing);
    this.#anybodys = event.serial;
  }

  /** timer_emulate begins. @param armed whether the soft timer is; undefined where nothing has told */
  begin(event: TimerEvent, armed: Known | undefined): void {
    const key = keyOf(event);
    const left = this.#left;
    // Preempted in an access, which may be about to write what is evaluated here, or has just written it.
    const resumed = isResumed(this.#context, event.vcpu);
    if (resumed) {
      this.moved(key);
      this.#canFire[key] = false;
    }
    const earlier = this.#emulated.take(key);
    this.#before.clear(key);
    if (earlier !== undefined && (left[key] === Left.unarmed || left[key] === Left.lowered)) {
      this.#before.set(key, earlier);
      this.#leftBefore[key] = left[key];
    }
    if (event.level === 1) {
      this.#needed(event, key, 'it has fired at the next evaluation, with no write to it in between');
      this.#canFire[key] = !resumed;
    }
    this.#emulated.set(key, event);
    this.#current.set(event.vcpu, event);
    const known = this.#context.machine.vcpu(event.vcpu).contexts[event.timer]?.level ?? unknown;
    this.#repeating[event.vcpu] = event.level >= 0 && known === event.level;
    const changes = known !== unknown && known !== event.level;
    this.#reporting[event.vcpu] = event.level >= 0 && (changes || this.#reportsAlways);
    if (event.level !== 0 || resumed || !this.#context.records(Kind.soft_arm)) left[key] = Left.nothing;
    else left[key] = armed === no ? Left.unarmed : armed === yes ? Left.armed : Left.nothing;
  }

  /** A level is reported. */
  reported(event: TimerEvent): void {
    if (event.vcpu < 0) {
      this.#anybodys = event.serial;
      return;
    }
    if (event.timer >= 0) this.#unseen[keyOf(event)] = false;
    const emulate = this.#current.get(event.vcpu);
    if (emulate === undefined || emulate.timer !== event.timer) return;
    if (this.#repeating[event.vcpu] === true && event.level === emulate.level) this.#repeats++;
    this.#repeating[event.vcpu] = false;
    if (this.#reporting[event.vcpu] && event.level === emulate.level) {
      this.#reporting[event.vcpu] = false;
      this.#context.hold(emulate);
    }
    const key = keyOf(event);
    if (event.level === 0 && this.#left[key] === Left.unarmed) this.#left[key] = Left.lowered;
  }

  /** A soft timer is armed. */
  armed(event: TimerEvent): void {
    const key = keyOf(event);
    const emulate = this.#current.get(event.vcpu);
    if (emulate === undefined || keyOf(emulate) !== key) return;
    if (isResumed(this.#context, event.vcpu)) return this.#context.undecided(event, because.preempted);
    if (emulate.level === 1) {
      // The model of 5.1 to 6.3 is that of the kernels before the fix.
      const known = this.#context.candidates.includes('timer-map');
      this.#context.violate(event, {
        message: known ? 'known-armed-while-pending' : 'armed-while-pending',
        data: this.#data(event),
        witness: [emulate],
        ...(known && { severity: 'info' }),
      });
      return;
    }
    this.#left[key] = Left.armed;
    this.#canFire[key] = true;
    this.#needed(event, key, 'the next evaluation arms its soft timer, with no write to it in between');
  }

  /** timer_emulate is over: the vcpu's thread goes on. */
  close(event: TimerEvent): void {
    const emulate = event.vcpu < 0 ? undefined : this.#current.take(event.vcpu);
    if (emulate === undefined) return;
    const context = this.#context;
    if (isPreempted(context, event)) {
      this.moved(keyOf(emulate));
      return context.undecided(emulate, because.preempted);
    }
    if (this.#repeating[event.vcpu] === true) this.#silences++;
    this.#repeating[event.vcpu] = false;
    if (this.#reporting[event.vcpu]) {
      if (!this.#isLevelKnown(emulate)) context.undecided(emulate, because.hidden);
      else
        context.violate(event, {
          message: 'not-reported',
          data: { ...this.#data(emulate), level: emulate.level },
          witness: [context.machine.vcpu(event.vcpu).contexts[emulate.timer]?.update ?? emulate],
          at: emulate,
        });
      this.#reporting[event.vcpu] = false;
    }
    if (emulate.level !== 0) return;
    const key = keyOf(emulate);
    const left = this.#left[key];
    if (left === Left.armed) return context.hold(emulate);
    if (left === Left.nothing || this.#canFire[key] !== true) return context.undecided(emulate, because.emulated);
    this.#unarmed(event, emulate, left === Left.lowered, 'CTL has not been written since it could');
    this.moved(key);
  }

  /** Records were lost. */
  lost(): void {
    this.#left.fill(Left.nothing);
    this.#canFire.fill(false);
    this.#emulated.each((_, key) => this.#emulated.clear(key));
    this.#before.each((_, key) => this.#before.clear(key));
    this.#current.each((_, vcpu) => this.#current.clear(vcpu));
  }

  /** The one before shows to have been wrong: it armed nothing although the timer could fire. */
  #needed(event: TimerEvent, key: number, proof: string): void {
    const earlier = this.#before.take(key);
    if (earlier !== undefined) this.#unarmed(event, earlier, this.#leftBefore[key] === Left.lowered, proof);
  }

  #unarmed(event: TimerEvent, emulate: TimerEvent, lowered: boolean, proof: string): void {
    const known = lowered && !this.#stateless;
    this.#context.violate(event, {
      message: known ? 'known-not-armed-after-level-change' : 'not-armed',
      data: { ...this.#data(emulate), proof },
      witness: [event],
      at: emulate,
      ...(known && { severity: 'info' }),
    });
  }

  /**
   * Whether every timer_emulate reports its level. Up to 7.1 it is cached (irq.level) and reported where it changes;
   * from 7.2 on that is gone. A text names no release, but shows it: an unchanged level is reported at nearly every load,
   * or at none.
   */
  get #reportsAlways(): boolean {
    return this.#stateless && this.#repeats > this.#silences;
  }

  /** Whether no callback of the soft timer can have changed the level that the next report is compared with. */
  #isLevelKnown(emulate: TimerEvent): boolean {
    if (this.#reportsAlways) return true;
    if (!this.#context.records(Kind.soft_expire) || this.#unseen[keyOf(emulate)] === true) return false;
    const update = this.#context.machine.vcpu(emulate.vcpu).contexts[emulate.timer]?.update;
    return update !== undefined && update.serial > this.#anybodys;
  }

  #data(event: TimerEvent): Record<string, string | number> {
    return {
      vcpu: vcpuName(this.#context.machine, event.vcpu),
      timer: timerText(event.timer >= 0 ? event.timer : Timer.ptimer),
      cpu: event.cpu,
    };
  }
}
