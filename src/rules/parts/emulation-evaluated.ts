import { Certainty, Timer, type TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { contextCount, type VcpuState } from '../../machine/state.js';
import { because, type RuleContext } from '../context.js';
import type { Message, RuleExamples } from '../rule.js';
import { Slots, timerText, vcpuName } from '../support.js';
import type { ArmedClaims } from './armed-claims.js';
import { isResumed } from './preempted.js';

// When timer_emulate has to have run (kvm_timer_vcpu_load, kvm_arm_timer_write_sysreg, kvm_timer_sync_nested; 5.1 and
// later): the part of soft-timer-follows-emulated-context that does not depend on what it finds.

export const evaluationMessages: Readonly<Record<string, Message>> = {
  'not-evaluated': {
    headline: 'the emulated {timer} of {vcpu} is not evaluated after {what}',
    given: '{what} of {vcpu} on CPU {cpu} may have changed when its emulated {timer} is due',
    must: 'timer_emulate evaluates the timer before the guest goes on',
    but: 'the guest was entered without that',
    therefore: 'no soft timer stands for the deadline, and a level that has changed is not reported',
  },
  'not-cancelled': {
    headline: 'the emulated {timer} of {vcpu} is evaluated on CPU {cpu} while its old soft timer is still armed',
    given: 'the soft timer of the {timer} of {vcpu} was armed',
    must: 'whoever changes an emulated timer, or puts its vcpu, cancels the soft timer first',
    but: 'timer_emulate ran with it armed',
    therefore: 'where none is armed anew the old one fires, and raises the level of a timer that is not due',
  },
};

export const evaluationExamples: RuleExamples = {
  legal: [
    {
      title: 'a hypervisor writes the timer of its guest in memory: the next exit evaluates it, and finds another',
      model: 'stateless-level',
      trace:
        'event,vcpu,cpu,timer,level,dv,dp,ev,ep\ntimer_map,0,0,,,2,3,1,0\nload,0,0\nrestore,0,0,hvtimer\nrestore,0,0,hptimer\nemulate,0,0,vtimer,0\nupdate_irq,0,0,vtimer,0\nemulate,0,0,ptimer,0\nupdate_irq,0,0,ptimer,0\nentry,0,0\nemulate,0,0,vtimer,0\nupdate_irq,0,0,vtimer,0\nsoft_arm,0,0,vtimer\nemulate,0,0,ptimer,0\nupdate_irq,0,0,ptimer,0\nexit,0,0\nentry,0,0\n',
    },
  ],
  violating: [
    {
      title: 'a load that does not look at the emulated timer',
      model: 'offset',
      trace:
        'event,vcpu,cpu,timer,level,dv,dp,ev,ep\ntimer_map,0,0,,,1,none,none,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,0\nentry,0,0\nexit,0,0\nput,0,0\nsave,0,0\nload,0,0\nrestore,0,0\nentry,0,0\n',
      message: 'not-evaluated',
      line: 12,
    },
    {
      title: 'a trapped write after which nobody looks',
      model: 'offset',
      trace:
        'event,vcpu,cpu,timer,level,dv,dp,ev,ep,ec,register,write,value\ntimer_map,0,0,,,1,none,none,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,0\nentry,0,0\nexit,0,0,,,,,,,SYS64\ntrapped_access,0,0,ptimer,,,,,,,ctl,1,1\nentry,0,0\n',
      message: 'not-evaluated',
      line: 9,
    },
    {
      title: 'a trapped write that leaves the soft timer armed',
      model: 'offset',
      trace:
        'event,vcpu,cpu,timer,level,dv,dp,ev,ep,ec,register,write,value\ntimer_map,0,0,,,1,none,none,0\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,0\nsoft_arm,0,0,ptimer\nentry,0,0\nsoft_expire,0,0,ptimer\nsoft_arm,0,0,ptimer\nexit,0,0\nput,0,0\nsave,0,0\nsoft_cancel,0,0,ptimer\nload,0,0\nrestore,0,0\nemulate,0,0,ptimer,0\nsoft_arm,0,0,ptimer\nentry,0,0\nexit,0,0,,,,,,,SYS64\ntrapped_access,0,0,ptimer,,,,,,,ctl,1,0\nemulate,0,0,ptimer,0\nentry,0,0\n',
      message: 'not-cancelled',
      line: 21,
    },
  ],
};

/** Follows which emulated timers have been evaluated, and since when. */
export class Evaluations {
  readonly #context: RuleContext;
  /** By vcpu and context: what rests on its soft timer being armed. */
  readonly #claims: ArmedClaims;
  /** By vcpu and context: serial of the last timer_emulate. */
  readonly #evaluated: number[] = [];
  /** By vcpu: the trapped write of an emulated timer that was seen last. */
  readonly #writes = new Slots();
  /** By vcpu: serial of the last load after which an entry was judged. */
  readonly #judged: number[] = [];
  /** timer_emulate has been recorded; what comes later may have been switched on later. */
  #recorded = false;

  constructor(context: RuleContext, claims: ArmedClaims) {
    this.#context = context;
    this.#claims = claims;
  }

  /** timer_emulate. @param isArmed the soft timer is armed by all that is recorded @param expires for when it was */
  emulate(event: TimerEvent, isArmed: boolean, expires: number | undefined): void {
    const { vcpu, timer } = event;
    if (vcpu < 0 || timer < 0) return;
    this.#recorded = true;
    this.#evaluated[vcpu * contextCount + timer] = event.serial;
    if (!isArmed) return;
    const context = this.#context;
    const state = context.machine.vcpu(vcpu);
    // 5.1 and 5.2 evaluate a vcpu that is not loaded when userspace writes its registers.
    if (state.cpu !== event.cpu) return;
    // The load has armed it in the middle of an access, which has cancelled it before.
    if (isResumed(context, vcpu)) return context.undecided(event, because.preempted);
    if (!context.records(Kind.soft_cancel) || !context.records(Kind.soft_expire)) return;
    this.#claims.claim(vcpu * contextCount + timer, event, expires, {
      message: 'not-cancelled',
      data: { timer: timerText(timer), vcpu: vcpuName(context.machine, vcpu), cpu: event.cpu },
      witness: [state.last[Kind.trapped_access]],
      severity: 'warning',
    });
  }

  trappedAccess(event: TimerEvent): void {
    const { vcpu, timer, write } = event;
    if (vcpu >= 0 && timer >= 0 && write === 1 && this.#context.machine.vcpu(vcpu).isEmulated(timer))
      this.#writes.set(vcpu, event);
  }

  entry(event: TimerEvent): void {
    if (!this.#recorded || event.vcpu < 0) return;
    const vcpu = this.#context.machine.vcpu(event.vcpu);
    const write = this.#writes.take(event.vcpu);
    if (write !== undefined && !this.#isEvaluated(vcpu, write.timer, write.serial))
      this.#violate(event, write.timer, 'a trapped write', write);
    const load = vcpu.last[Kind.load];
    if (load.serial === 0 || this.#judged[event.vcpu] === load.serial) return;
    this.#judged[event.vcpu] = load.serial;
    // Its restore tells that the timer was enabled, and that the load was recorded.
    if (load.certainty >= Certainty.approximate || vcpu.vtimer.restore.serial < load.serial || vcpu.unseen) return;
    this.#atLoad(event, vcpu, vcpu.emulVtimer, load);
    this.#atLoad(event, vcpu, vcpu.emulPtimer, load);
  }

  #atLoad(event: TimerEvent, vcpu: VcpuState, timer: number, load: TimerEvent): void {
    if (timer >= 0 && !this.#isEvaluated(vcpu, timer, load.serial)) this.#violate(event, timer, 'a load', load);
  }

  /** A hypervisor's exit evaluates both timers of its guest, or none where FEAT_ECV makes that needless. */
  exit(event: TimerEvent): void {
    if (!this.#recorded || event.vcpu < 0) return;
    const vcpu = this.#context.machine.vcpu(event.vcpu);
    if (vcpu.directVtimer !== Timer.hvtimer) return;
    const entry = vcpu.last[Kind.entry];
    const virtual = this.#isEvaluated(vcpu, vcpu.emulVtimer, entry.serial);
    if (entry.serial === 0 || virtual === this.#isEvaluated(vcpu, vcpu.emulPtimer, entry.serial)) return;
    this.#violate(event, virtual ? vcpu.emulPtimer : vcpu.emulVtimer, 'an exit of its hypervisor', entry);
  }

  lost(): void {
    this.#writes.each((_, vcpu) => this.#writes.clear(vcpu));
  }

  #isEvaluated({ index }: VcpuState, timer: number, since: number): boolean {
    return (this.#evaluated[index * contextCount + timer] ?? 0) > since;
  }

  #violate(event: TimerEvent, timer: number, what: string, since: TimerEvent): void {
    const { machine } = this.#context;
    this.#context.violate(event, {
      message: 'not-evaluated',
      data: { timer: timerText(timer), vcpu: vcpuName(machine, event.vcpu), cpu: event.cpu, what },
      witness: [since],
    });
  }
}
