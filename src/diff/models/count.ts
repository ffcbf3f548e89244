import { type Category, type CostKind, categoryOfRole, operationCost } from '../../cost/kinds.js';
import { CostTable } from '../../cost/table.js';
import { Timer, type TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import type { Host } from '../../machine/machine.js';
import type { Call, Operate, Role } from '../../models/design.js';
import type { EffectSink } from '../../simulate/sink.js';
import type { SimCpu } from '../../simulate/state.js';

/** What one design made of the timer's interrupts and levels. */
export interface Signals {
  /** Interrupts of the timer that the host took, and those of them that changed no level and found no vcpu to change. */
  interrupts: number;
  idleInterrupts: number;
  /** Levels that were reported, the same level again included. */
  raised: number;
  lowered: number;
  /** Reports of a high level from the handler of the interrupt. */
  raisedByHandler: number;
  /** Virtual interrupts that the guest took. */
  taken: number;
  /** Expiries of background timers, and wakeups by the design. */
  expiries: number;
  wakeups: number;
}

/** Of one vcpu, since its guest last wrote its timer. */
export class Signalled {
  interrupts = 0;
  raised = 0;
  lowered = 0;
  taken = 0;

  clear(): void {
    this.interrupts = this.raised = this.lowered = this.taken = 0;
  }
}

/** Which event an effect belongs to that comes from an interrupt, by CPU; anything else is of the event at hand. */
class Nested {
  interrupt = false;
  expiry: Category | undefined;
}

/** Counts the operations of a simulated design by kind of event, and its interrupts and levels. */
export class Counter implements EffectSink {
  readonly costs = new CostTable();
  readonly signals: Signals = {
    interrupts: 0,
    idleInterrupts: 0,
    raised: 0,
    lowered: 0,
    raisedByHandler: 0,
    taken: 0,
    expiries: 0,
    wakeups: 0,
  };
  readonly #nested: Nested[] = [];
  readonly #signalled: Signalled[] = [];
  #category: Category = 'entry';
  /** The interrupt at hand has reported a level. */
  #reported = false;

  constructor(readonly host: Host) {}

  /** By vcpu. */
  signalled(vcpu: number): Signalled {
    this.#signalled[vcpu] ??= new Signalled();
    return this.#signalled[vcpu] as Signalled;
  }

  /** The guest has taken its virtual interrupt. */
  taken(vcpu: number): void {
    this.signals.taken++;
    this.signalled(vcpu).taken++;
  }

  /** What follows belongs to an event of this kind. */
  begin(category: Category): void {
    this.#category = category;
    this.costs.addEvents(category);
  }

  /** As `begin`, for a part that is no event of its own. */
  within(category: Category): void {
    this.#category = category;
  }

  effect(effect: Operate | Call, role: Role, cpu: SimCpu): void {
    if ('call' in effect) return;
    const kind = operationCost[effect.do];
    if (kind !== undefined) this.#add(kind, cpu, role);
    if (effect.viaHyp === true && this.host === 'nvhe') this.#add('hypercall', cpu, role);
  }

  read(register: 'ctl' | 'cntpct', cpu: SimCpu): void {
    this.#add(register === 'ctl' ? 'ctl_read' : 'cntpct_read', cpu, undefined);
  }

  /** An event of the simulation. */
  event(event: TimerEvent, cpu: SimCpu): void {
    const { signals } = this;
    const nested = this.#of(cpu);
    switch (event.kind) {
      case Kind.vtimer_irq:
        signals.interrupts++;
        nested.interrupt = true;
        if (event.vcpuId >= 0) this.signalled(event.vcpuId).interrupts++;
        this.#reported = false;
        return this.costs.addEvents('interrupt');
      case Kind.vtimer_irq_end:
        nested.interrupt = false;
        if (!this.#reported) signals.idleInterrupts++;
        return;
      case Kind.bg_expire:
        signals.expiries++;
        nested.expiry = 'expiry';
        return this.costs.addEvents('expiry');
      case Kind.soft_expire:
        nested.expiry = 'soft_expiry';
        return this.costs.addEvents('soft_expiry');
      case Kind.timer_callback_end:
        nested.expiry = undefined;
        return;
      case Kind.wakeup:
        signals.wakeups++;
        return;
      case Kind.update_irq:
        this.#add('report', cpu, undefined);
        this.#reported = true;
        if (event.timer !== Timer.vtimer) return;
        if (event.level !== 1) {
          signals.lowered++;
          this.signalled(event.vcpuId).lowered++;
        } else {
          signals.raised++;
          this.signalled(event.vcpuId).raised++;
          if (nested.interrupt) signals.raisedByHandler++;
        }
        return;
      default:
    }
  }

  #of(cpu: SimCpu): Nested {
    this.#nested[cpu.index] ??= new Nested();
    return this.#nested[cpu.index] as Nested;
  }

  #add(kind: CostKind, cpu: SimCpu, role: Role | undefined): void {
    const { interrupt, expiry } = this.#of(cpu);
    const own = role === 'bg_work' ? categoryOfRole.bg_work : undefined;
    this.costs.add(interrupt ? 'interrupt' : (expiry ?? own ?? this.#category), kind);
  }
}
