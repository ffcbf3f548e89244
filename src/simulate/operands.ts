import { Register, Timer } from '../events/event.js';
import type { ContextName, Guard, GuardName, Value } from '../models/design.js';
import type { Simulation } from './simulation.js';
import {
  hardTimer,
  KernelBug,
  type SimContext,
  type SimCpu,
  type SimTimer,
  type SimVcpu,
  simTimers,
  tick,
} from './state.js';

/** A call under way. */
export interface Frame {
  readonly cpu: SimCpu;
  readonly vcpu: SimVcpu | undefined;
  /** The timer that the function is called for. */
  readonly timer: SimTimer;
  /** The argument `new`. */
  readonly value?: number;
}

/** What the names, guards and operands of a design's statements stand for in a call. */
export class Operands {
  /** What the access at hand writes. */
  written: { register: Register; value: number; write: boolean } = { register: Register.ctl, value: 0, write: true };
  /** Whether the vcpu was loaded when its reset began. */
  wasLoaded = false;
  /** Whether the callback at hand is the background timer's. */
  inBackground = false;

  constructor(readonly simulation: Simulation) {}

  /** The timer that a name stands for; undefined when the map has none. */
  timer(name: ContextName | undefined, { timer, vcpu }: Frame): SimTimer | undefined {
    switch (name) {
      case undefined:
      case 'x':
        return timer;
      case 'vtimer':
        return Timer.vtimer;
      case 'ptimer':
        return Timer.ptimer;
      default:
    }
    if (vcpu === undefined) throw new KernelBug('NULL vcpu');
    const map = this.simulation.mapOf(vcpu);
    switch (name) {
      case 'direct_vtimer':
        return map.directVtimer;
      case 'direct_ptimer':
        return map.directPtimer;
      case 'emul_ptimer':
        return map.emulPtimer;
      case 'emul_vtimer':
        return map.emulVtimer;
    }
  }

  /** The state of the timer that the call is for. @throws {KernelBug} without a vcpu */
  context({ vcpu, timer }: Frame): SimContext {
    if (vcpu === undefined) throw new KernelBug('NULL vcpu');
    return vcpu.contexts[timer];
  }

  #expired(frame: Frame, timer: SimTimer): boolean {
    const { vcpu } = frame;
    if (vcpu === undefined) throw new KernelBug('NULL vcpu');
    this.simulation.sink?.read?.('cntpct', frame.cpu);
    return this.simulation.contextCount(vcpu, timer) >= vcpu.contexts[timer].cval;
  }

  /** kvm_timer_should_fire. */
  shouldFire(frame: Frame, timer: SimTimer): boolean {
    const { simulation } = this;
    const context = this.context({ ...frame, timer });
    if (context.loaded && simulation.design.shouldFire === 'hardware') return this.#firing(frame.cpu, timer);
    return context.canFire && this.#expired(frame, timer);
  }

  /** Whether CTL says that a timer fires. */
  #firing(cpu: SimCpu, timer: SimTimer): boolean {
    this.simulation.sink?.read?.('ctl', cpu);
    return this.simulation.line(cpu, timer);
  }

  /** Timers of the guest that count: the physical one where it is there. */
  get #timers(): readonly SimTimer[] {
    return this.simulation.host.hasPtimer ? simTimers : [Timer.vtimer];
  }

  /** Time of the earliest deadline of a vcpu, nanoseconds; now when one has passed or none can fire. */
  #earliest(frame: Frame): number {
    const deadlines = this.#timers
      .filter((timer) => this.context({ ...frame, timer }).canFire)
      .map((timer) => this.#deadline(frame, timer));
    return deadlines.length === 0 ? this.simulation.now : Math.min(...deadlines);
  }

  #deadline(frame: Frame, timer: SimTimer): number {
    const { simulation } = this;
    const { vcpu } = frame;
    if (vcpu === undefined) throw new KernelBug('NULL vcpu');
    simulation.sink?.read?.('cntpct', frame.cpu);
    const delta = vcpu.contexts[timer].cval - simulation.contextCount(vcpu, timer);
    return simulation.now + Math.max(0, delta) * tick;
  }

  /** Whether a guard, or its opposite, is true. */
  holds(guard: Guard, frame: Frame): boolean {
    return guard.startsWith('!')
      ? !this.#guard(guard.slice(1) as GuardName, frame)
      : this.#guard(guard as GuardName, frame);
  }

  #guard(guard: GuardName, frame: Frame): boolean {
    const { simulation } = this;
    const { cpu, vcpu, timer } = frame;
    const { host } = simulation;
    switch (guard) {
      case 'vhe':
        return host.host === 'vhe';
      case 'in_kernel_irqchip':
        return host.inKernelIrqchip;
      case 'active_state':
        return host.activeState;
      case 'has_ptimer':
        return host.hasPtimer;
      case 'running':
        return cpu.running !== undefined;
      case 'nested':
        return host.nested === true;
      case 'gicv5':
        return host.gicv5 === true;
      case 'cntpoff':
        return host.cntpoff === true;
      case 'physical_offset':
        return simulation.trapsPhysical;
      case 'virtual':
        return hardTimer(timer) === Timer.vtimer;
      case 'direct':
        return vcpu !== undefined && simulation.isDirect(vcpu, timer);
      case 'hw_firing':
        return this.#firing(cpu, timer);
      case 'writes_register':
        return this.written.write;
      default:
    }
    const context = this.context(frame);
    switch (guard) {
      case 'enabled':
        return vcpu?.enabled === true;
      case 'loaded':
        return context.loaded;
      case 'level':
        return context.level;
      case 'can_fire':
        return context.canFire;
      case 'any_can_fire':
        return this.#timers.some((each) => this.context({ ...frame, timer: each }).canFire);
      case 'should_fire':
        return this.shouldFire(frame, timer);
      case 'any_should_fire':
        return this.#timers.some((each) => this.shouldFire(frame, each));
      case 'output_changed':
        return this.shouldFire(frame, timer) !== context.level;
      case 'deadline_ahead':
        return this.#ahead(frame);
      case 'vgic_active':
        return this.#inVgic(context, 'active');
      case 'want_active':
        return context.level || this.#inVgic(context, 'active');
      case 'lr_pending':
        return this.#inVgic(context, 'pending');
      case 'active_cleared_last':
        return vcpu?.activeClearedLast === true;
      case 'bg_armed':
        return vcpu?.bg.armed === true;
      case 'blocking':
        return vcpu?.waiting === true;
      case 'was_loaded':
        return this.wasLoaded;
      default:
        throw new Error(`guard '${guard}' is not simulated`);
    }
  }

  /** What a list register holds; a guest whose interrupt controller is in userspace has none. */
  #inVgic({ listRegister }: SimContext, held: SimContext['listRegister']): boolean {
    return this.simulation.host.inKernelIrqchip && listRegister === held;
  }

  /** Inside a callback: whether the deadline that it stands for is still ahead. */
  #ahead(frame: Frame): boolean {
    const { vcpu, timer } = frame;
    if (vcpu === undefined) throw new KernelBug('NULL vcpu');
    const timers = this.inBackground ? this.#timers : [timer];
    const able = timers.filter((each) => vcpu.contexts[each].canFire);
    return able.length > 0 && able.every((each) => !this.#expired(frame, each));
  }

  /** An operand; booleans as 0 and 1. */
  value(value: Value, frame: Frame): number | undefined {
    const { simulation } = this;
    const { vcpu, timer } = frame;
    const flag = (yes: boolean) => (yes ? 1 : 0);
    switch (value) {
      case true:
      case false:
        return flag(value);
      case 'new':
        return frame.value;
      case '0':
      case 'NULL':
      case 'host':
        return 0;
      case 'vcpu':
      case 'guest':
        return 1;
      case 'vm_offset':
        return vcpu?.vm.offset ?? 0;
      case 'offset':
        return hardTimer(timer) === Timer.vtimer ? (vcpu?.vm.offset ?? 0) : simulation.physicalOffset;
      case 'line':
        return flag(this.#firing(frame.cpu, timer));
      case 'earliest':
        return this.#earliest(frame);
      case 'deadline':
        return this.#deadline(frame, timer);
      case 'should_fire':
        return flag(this.shouldFire(frame, timer));
      default:
    }
    const context = this.context(frame);
    const active = this.#inVgic(context, 'active');
    switch (value) {
      case 'level':
        return flag(context.level);
      case '!level':
        return flag(!context.level);
      case 'vgic_active':
        return flag(active);
      case 'level || vgic_active':
        return flag(context.level || active);
      case '!(level || vgic_active)':
        return flag(!(context.level || active));
      case 'should_fire || vgic_active':
        return flag(this.shouldFire(frame, timer) || active);
    }
  }
}
