import { accessClasses, Context, type TimerEvent } from '../../events/event.js';
import { exceptionClasses } from '../../events/exceptions.js';
import { Kind } from '../../events/kinds.js';
import { contextCount, no, type TimerContext, yes } from '../../machine/state.js';
import type { RuleContext } from '../context.js';
import { Marks } from '../occasion.js';
import type { Example, Message, ViolatingExample } from '../rule.js';
import { mayNest, Slots, timerText, vcpuName } from '../support.js';

const { DABT_LOW: dataAbort } = exceptionClasses;

export const withoutCauseMessages: Readonly<Record<string, Message>> = {
  'active-without-cause': {
    headline:
      'the load of {vcpu} sets its {timer} interrupt active on CPU {cpu}, although its level is low and the guest cannot have it active',
    given:
      'an earlier load of {vcpu} left the {timer} interrupt inactive: neither its level was high nor the virtual interrupt active, and the level has not been high since',
    must: 'the load leaves the physical interrupt inactive',
    but: 'it was set active, with the level low',
    therefore: 'the distributor holds the interrupt back until a load clears the state: until then the timer is mute',
  },
};

const columns = 'event,vcpu,cpu,timer,irq,level,code,ec\n';
const low = 'update_irq,0,0,vtimer,27,0\nset_active,0,0,vtimer,27,0\nrestore,0,0,vtimer\nentry,0,0\n';
/** A load that sets the interrupt active for a low level, from its second line on. */
const unasked = 'load,0,0\nupdate_irq,0,0,vtimer,27,0\nset_active,0,0,vtimer,27,1\nrestore,0,0,vtimer\nentry,0,0\n';
const switched = 'exit,0,0,,,,IRQ\nsched_switch,0,0\nput,0,0\nsave,0,0,vtimer\n';
/** One interrupt, and two loads that find the timer idle. */
const idle = `${columns}load,0,0\n${low}vtimer_irq,,0\nupdate_irq,0,0,vtimer,27,1\nvtimer_irq_end,,0\n${switched}load,0,0\n${low}${switched}load,0,0\n${low}`;

export const withoutCauseLegal: readonly Example[] = [
  {
    title: 'active although the level is low: the timer has interrupted the guest since, which handles it',
    model: 'timer-map',
    trace: `${idle}vtimer_irq,,0\nupdate_irq,0,0,vtimer,27,1\nvtimer_irq_end,,0\n${switched}${unasked}`,
  },
  {
    title: 'active although the level is low: userspace may have set the state of the vgic',
    model: 'timer-map',
    trace: `${idle}exit,0,0,,,,IRQ\nput,0,0\nsave,0,0,vtimer\nuserspace_exit,0,0\n${unasked}`,
  },
  {
    title: 'active although the level is low: the guest may have written ISACTIVER of its GIC',
    model: 'timer-map',
    trace: `${idle}exit,0,0,,,,TRAP,DABT_LOW\nentry,0,0\n${switched}${unasked}`,
  },
];

export const withoutCauseViolating: readonly ViolatingExample[] = [
  {
    title: 'active although the level is low, and nothing can be active',
    model: 'timer-map',
    trace: `${idle}${switched}${unasked}`,
    message: 'active-without-cause',
    line: 34,
  },
];

/**
 * From 5.2 on (bae561c0cff7) a load sets the physical interrupt of a direct timer active for a high level, or for a
 * virtual interrupt that is active (kvm_vgic_map_is_active). Of the latter no record tells, but it takes one of these:
 *
 * - the level has been high: kvm_timer_update_irq is the only way into the vgic for the interrupt of a timer, which has
 *   an owner (vgic_validate_injection);
 * - the guest has written ISPENDR or ISACTIVER of its GIC: a data abort;
 * - userspace has, through the device of the vgic, which takes the mutex of every vcpu: none is in KVM_RUN.
 *
 * A load that leaves the interrupt inactive shows that it is not active. Only a pending state that the guest has written may
 * outlive it, until the guest takes the interrupt: then two loads in a row have to show it, with the guest run in between.
 */
export class ActiveWithoutCause {
  readonly #context: RuleContext;
  /** By vcpu and timer: the write by which its load has left the interrupt inactive, as long as nothing can have changed that. */
  readonly #inactive = new Slots();
  /** By vcpu and timer: the first such write after somebody may have written the state of the vgic. */
  readonly #first = new Slots();
  /** By vcpu and timer: no guest has written to its GIC since two loads in a row have left the interrupt inactive. */
  readonly #unwritten = new Marks();
  /** Vcpus that have left the guest with a data abort: the kernel emulates the access, or userspace does. */
  readonly #aborted = new Marks();
  /** Handlers of guest timers report high levels in this trace. */
  #hasHigh = false;

  constructor(context: RuleContext) {
    this.#context = context;
  }

  /** kvm_timer_update_irq, of whichever context. */
  reported({ vcpu, timer, level, cpu, context }: TimerEvent): void {
    if (level === 0) return;
    const inHandler = context === Context.hardirq || this.#context.machine.cpu(cpu).inTimerIrq === yes;
    if (level === 1 && inHandler) this.#hasHigh = true;
    if (vcpu < 0 || timer < 0) return this.forgetAll();
    this.#inactive.clear(vcpu * contextCount + timer);
    this.#first.clear(vcpu * contextCount + timer);
  }

  /**
   * A thread writes the active state of its direct timer, after it has reported a low level.
   *
   * @returns the write that shows it wrong, if it is
   */
  written(event: TimerEvent, timer: number, report: TimerEvent): TimerEvent | undefined {
    const { vcpu, level } = event;
    const state = this.#context.machine.vcpu(vcpu);
    const { save, loaded } = state.contexts[timer] as TimerContext;
    // Only a load reports and writes between a save and a restore; those of a guest's guest have no interrupt of their own.
    if (loaded !== no || save.serial === 0 || report.serial < save.serial) return undefined;
    if (mayNest(this.#context, state) || state.unseen) {
      this.#forget(vcpu);
      return undefined;
    }
    const key = vcpu * contextCount + timer;
    if (level === 1)
      return this.#isComplete() && this.#aborted.occasion.count === 0 ? this.#inactive.get(key) : undefined;
    const first = this.#first.get(key);
    if (this.#unwritten.has(key) || (first !== undefined && state.last[Kind.entry].serial > first.serial)) {
      this.#unwritten.add(key);
      this.#inactive.set(key, event);
    } else if (first === undefined) this.#first.set(key, event);
    return undefined;
  }

  /** Whether whatever could make the virtual interrupt active would have been recorded. */
  #isComplete(): boolean {
    const { leavesOutThreads } = this.#context;
    return this.#hasHigh && !leavesOutThreads && this.#context.records(Kind.exit);
  }

  /** The violation that a write is. */
  violation(event: TimerEvent, timer: number, report: TimerEvent, before: TimerEvent): void {
    this.#context.violate(event, {
      message: 'active-without-cause',
      data: { timer: timerText(timer), vcpu: vcpuName(this.#context.machine, event.vcpu), cpu: event.cpu },
      witness: [before, report],
    });
  }

  /** The guest leaves: with a data abort it may write the registers of the GIC, of any vcpu of its VM. */
  exit({ vcpu, exceptionClass, exitCode }: TimerEvent): void {
    if (exceptionClass !== dataAbort && (exceptionClass >= 0 || exitCode === 0)) return;
    if (vcpu < 0) this.#writtenByGuest();
    else this.#aborted.add(vcpu);
  }

  /** The guest goes on: the access was not for userspace. */
  entry({ vcpu }: TimerEvent): void {
    if (vcpu >= 0 && this.#aborted.delete(vcpu)) this.#writtenByGuest();
  }

  /** A vcpu is put: but for the scheduler and a trapped access, userspace runs next, which may leave no record. */
  put(event: TimerEvent): void {
    if (event.vcpu < 0) return this.forgetAll();
    if (this.#context.records(Kind.userspace_exit)) return;
    const { last, exitClass } = this.#context.machine.vcpu(event.vcpu);
    const switched = last[Kind.sched_switch].serial > Math.max(last[Kind.load].serial, last[Kind.exit].serial);
    if (!switched && !accessClasses.includes(exitClass)) this.#forget(event.vcpu);
  }

  /** A vcpu is back in userspace, which may write the state of the vgic. */
  userspace({ vcpu }: TimerEvent): void {
    if (vcpu < 0) return this.forgetAll();
    this.#aborted.delete(vcpu);
    this.#forget(vcpu);
  }

  forgetAll(): void {
    this.#aborted.clear();
    this.#writtenByGuest();
  }

  #writtenByGuest(): void {
    this.#inactive.each((_, key) => this.#inactive.clear(key));
    this.#first.each((_, key) => this.#first.clear(key));
    this.#unwritten.clear();
  }

  #forget(vcpu: number): void {
    for (let key = vcpu * contextCount; key < (vcpu + 1) * contextCount; key++) {
      this.#inactive.clear(key);
      this.#first.clear(key);
    }
  }
}
