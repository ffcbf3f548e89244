import { Ctl, Register, Timer } from '../events/event.js';
import type {
  ContextName,
  Guard,
  GuardName,
  KernelFunction,
  Operate,
  OperationName,
  RecordOf,
  Role,
  Statement,
  Value,
} from '../models/design.js';
import type { Simulation } from './simulation.js';
import {
  type HardwareTimer,
  type Hrtimer,
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

/** Deepest nesting of calls; a design that goes deeper calls itself. */
const deepest = 16;

/** CNTHCTL_EL2 with the guest's and with the host's accesses to the physical counter and timer. */
const guestTraps = { nvhe: 0x1, vhe: 0x400 } as const;
const hostTraps = { nvhe: 0x3, vhe: 0xc00 } as const;

/** Functions of which a probe fetches the virtual timer's copy in memory, where saves and restores have no tracepoint. */
const showsMemory: readonly string[] = ['timer_load', 'timer_put', 'flush', 'sync', 'schedule', 'unschedule'];

/** Executes the functions of a design on a simulated host. */
export class Execution {
  /** What the guest does at the statement that lets it run. */
  guest: () => void = () => {};
  /** What the access at hand writes. */
  written: { register: Register; value: number; write: boolean } = { register: Register.ctl, value: 0, write: true };
  #depth = 0;
  /** Whether the vcpu was loaded when its reset began. */
  #wasLoaded = false;
  /** A reset whose put is still under way. */
  #unrecorded: KernelFunction | undefined;

  constructor(readonly simulation: Simulation) {}

  /** A function has not returned. */
  get busy(): boolean {
    return this.#depth > 0;
  }

  /** Calls the function of a role, if the design has one. */
  call(role: Role, frame: Frame): void {
    const { simulation } = this;
    const called = simulation.functions.get(role);
    // Only the hypervisor's own exits need it.
    if (called === undefined || (role === 'sync_nested' && frame.vcpu?.inHypervisor !== true)) return;
    if (++this.#depth > deepest) {
      this.#depth = 0;
      throw new KernelBug(`${called.kernel} calls itself`);
    }
    if (role === 'reset') this.#wasLoaded = frame.vcpu !== undefined && frame.vcpu.cpu >= 0;
    if (called.irqsOff === true) frame.cpu.irqsOff++;
    // kvm_reset_vcpu puts a vcpu that is loaded before it calls the function that is probed.
    if (role === 'reset' && this.#wasLoaded) this.#unrecorded = called;
    else this.#recordCall(called, frame);
    this.#execute(called, called.body, frame);
    if (called.irqsOff === true) {
      frame.cpu.irqsOff--;
      simulation.service(frame.cpu);
    }
    this.#depth--;
  }

  /** The statements of a trip into the guest before the one that lets it run, or those behind it. */
  half(frame: Frame, part: 'before' | 'after'): void {
    const run = this.simulation.functions.get('run');
    if (run === undefined) return;
    const at = run.body.findIndex((statement) => 'do' in statement && statement.do === 'guest');
    this.#depth++;
    this.#execute(run, part === 'before' ? run.body.slice(0, at) : run.body.slice(at + 1), frame);
    this.#depth--;
  }

  /** The probe on a function; interrupts and callbacks are recorded by whoever delivers them. */
  #recordCall({ event }: KernelFunction, { cpu, vcpu, timer }: Frame): void {
    if (event === undefined || ['vtimer_irq', 'bg_expire', 'soft_expire'].includes(event)) return;
    const { register, value, write } = this.written;
    if (event === 'user_write') this.simulation.emit(event, cpu, vcpu, { timer, register, value });
    else if (event === 'trapped_access') this.simulation.emit(event, cpu, vcpu, { timer, register, value, write });
    else if (vcpu === undefined) this.simulation.emit(event, cpu, vcpu);
    else {
      const { ctl, cval, level, loaded } = vcpu.contexts[Timer.vtimer];
      const shown = showsMemory.includes(event) && !this.simulation.has('load_irq');
      // The flag came with the load and put hooks; while it is set the copy in memory is out of date.
      const hasFlag = this.simulation.design.id !== 'world-switch' && ['timer_load', 'timer_put'].includes(event);
      const memory = {
        level,
        ...(hasFlag && { loaded }),
        ...(!(hasFlag && loaded) && { ctl, cval }),
      };
      this.simulation.emit(event, cpu, vcpu, {
        value: vcpu.vm.offset,
        ...(shown && { ...memory, ...this.#flags(vcpu) }),
      });
    }
  }

  /** What the same probes fetch of struct arch_timer_cpu: its flags have come and gone with the generations. */
  #flags({ bg, activeClearedLast }: SimVcpu): { activeCleared?: boolean; armed?: boolean } {
    const { design, host } = this.simulation;
    return {
      ...(design.id === 'world-switch' && { activeCleared: activeClearedLast }),
      ...(!host.hasPtimer && { armed: bg.armed }),
    };
  }

  /** @returns true when the function returns */
  #execute(called: KernelFunction, statements: readonly Statement[], frame: Frame): boolean {
    for (const statement of statements) {
      if (this.#unrecorded === called && !('if' in statement) && !('call' in statement && statement.call === 'put')) {
        this.#unrecorded = undefined;
        this.#recordCall(called, frame);
      }
      if ('return' in statement) return true;
      if ('if' in statement) {
        const holds = statement.if.every((guard) => this.#holds(guard, frame));
        if (this.#execute(called, holds ? statement.body : (statement.else ?? []), frame)) return true;
      } else if ('bugOn' in statement) {
        if (this.#holds(statement.bugOn, frame)) throw new KernelBug(`${called.kernel}: BUG_ON(${statement.bugOn})`);
      } else if ('record' in statement) this.#record(statement, frame);
      else if ('call' in statement) {
        const timer = this.#timer(statement.of, frame);
        if (timer === undefined) continue;
        this.simulation.sink?.effect(statement, called.role, frame.cpu, frame.vcpu);
        const value = statement.value === undefined ? frame.value : this.#value(statement.value, { ...frame, timer });
        this.call(statement.call, { ...frame, timer, ...(value !== undefined && { value }) });
      } else {
        const timer = this.#timer(statement.of, frame);
        if (timer !== undefined) this.#operate(statement, called, { ...frame, timer });
      }
    }
    return false;
  }

  // --- names ------------------------------------------------------------------

  /** The timer that a name stands for; undefined when the map has none. */
  #timer(name: ContextName | undefined, { timer, vcpu }: Frame): SimTimer | undefined {
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

  #context({ vcpu, timer }: Frame): SimContext {
    if (vcpu === undefined) throw new KernelBug('NULL vcpu');
    return vcpu.contexts[timer];
  }

  #expired(frame: Frame, timer: SimTimer): boolean {
    const { vcpu } = frame;
    if (vcpu === undefined) throw new KernelBug('NULL vcpu');
    this.simulation.sink?.read?.('cntpct', frame.cpu);
    return this.simulation.contextCount(vcpu, timer) >= vcpu.contexts[timer].cval;
  }

  #shouldFire(frame: Frame, timer: SimTimer): boolean {
    const { simulation } = this;
    const context = this.#context({ ...frame, timer });
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
      .filter((timer) => this.#context({ ...frame, timer }).canFire)
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

  // --- guards -----------------------------------------------------------------

  #holds(guard: Guard, frame: Frame): boolean {
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
    const context = this.#context(frame);
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
        return this.#timers.some((each) => this.#context({ ...frame, timer: each }).canFire);
      case 'should_fire':
        return this.#shouldFire(frame, timer);
      case 'any_should_fire':
        return this.#timers.some((each) => this.#shouldFire(frame, each));
      case 'output_changed':
        return this.#shouldFire(frame, timer) !== this.#level(context);
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
        return this.#wasLoaded;
      default:
        throw new Error(`guard '${guard}' is not simulated`);
    }
  }

  /** What a list register holds; a guest whose interrupt controller is in userspace has none. */
  #inVgic({ listRegister }: SimContext, held: SimContext['listRegister']): boolean {
    return this.simulation.host.inKernelIrqchip && listRegister === held;
  }

  #level(context: SimContext): boolean {
    return context.level;
  }

  /** Inside a callback: whether the deadline that it stands for is still ahead. */
  #ahead(frame: Frame): boolean {
    const { vcpu, timer } = frame;
    if (vcpu === undefined) throw new KernelBug('NULL vcpu');
    const timers = this.#inBackground ? this.#timers : [timer];
    const able = timers.filter((each) => vcpu.contexts[each].canFire);
    return able.length > 0 && able.every((each) => !this.#expired(frame, each));
  }

  #inBackground = false;

  /** Whether the callback at hand is the background timer's. */
  background(yes: boolean): void {
    this.#inBackground = yes;
  }

  // --- operands and records -----------------------------------------------------

  /** An operand; booleans as 0 and 1. */
  #value(value: Value, frame: Frame): number | undefined {
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
        return flag(this.#shouldFire(frame, timer));
      default:
    }
    const context = this.#context(frame);
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
        return flag(this.#shouldFire(frame, timer) || active);
    }
  }

  #record({ record, of }: RecordOf, frame: Frame): void {
    const { simulation } = this;
    const { cpu, vcpu } = frame;
    const timer = this.#timer(of, frame) ?? frame.timer;
    switch (record) {
      case 'save':
      case 'restore': {
        const { ctl, cval } = this.#context({ ...frame, timer });
        return simulation.emit(record, cpu, vcpu, { timer, ctl, cval });
      }
      case 'update_irq':
        // Without a vgic userspace drives the line of the guest, by the level that it is told.
        if (!simulation.host.inKernelIrqchip) this.#context({ ...frame, timer }).line = frame.value === 1;
        return simulation.emit(record, cpu, vcpu, { timer, level: frame.value === 1 });
      case 'emulate':
        return simulation.emit(record, cpu, vcpu, { timer, level: this.#shouldFire(frame, timer) });
      case 'exit': {
        const { code, exceptionClass } = simulation.exitReason;
        return simulation.emit(record, cpu, vcpu, { exitCode: code, exceptionClass });
      }
      default:
        return simulation.emit(record, cpu, vcpu);
    }
  }

  // --- operations ---------------------------------------------------------------

  #operate(operation: Operate, called: KernelFunction, frame: Frame): void {
    const value = operation.value === undefined ? undefined : this.#value(operation.value, frame);
    this.#perform(operation.do, value, frame);
    this.simulation.operated(operation, called.role, frame.cpu, frame.vcpu);
  }

  #perform(name: OperationName, value: number | undefined, frame: Frame): void {
    const { simulation } = this;
    const { cpu, vcpu, timer } = frame;
    const hard = hardTimer(timer);
    const hardware: HardwareTimer = cpu.timers[hard];
    const on = value === 1;
    switch (name) {
      case 'stop':
        hardware.ctl = 0;
        return;
      case 'isb':
      case 'map_irq':
        return;
      case 'cntvoff':
        cpu.cntvoff = value ?? 0;
        simulation.emit('set_cntvoff', cpu, vcpu, { value: cpu.cntvoff });
        return;
      case 'cntpoff':
        simulation.emit('set_cntpoff', cpu, vcpu, { value: value ?? 0 });
        return;
      case 'traps':
        cpu.traps = on ? 'guest' : 'host';
        simulation.emit('set_traps', cpu, vcpu, {
          value: on ? guestTraps[simulation.host.host] : hostTraps[simulation.host.host],
        });
        return;
      case 'dist_active':
        cpu.active[hard] = on;
        simulation.emit('set_active', cpu, vcpu, { timer, level: on });
        return;
      case 'mask':
      case 'unmask':
        cpu.masked[hard] = name === 'mask';
        // A forwarded interrupt that is masked has nobody to deactivate it: the irqchip does (gic_eoimode1_mask_irq).
        if (name === 'mask' && simulation.forwarded[hard]) cpu.active[hard] = false;
        simulation.emit('mask_irq', cpu, vcpu, { timer, level: name === 'mask' });
        return;
      case 'affinity':
        simulation.forwarded[hard] = on;
        simulation.emit('set_affinity', cpu, vcpu, { timer, level: on });
        return;
      case 'irqs_off':
        cpu.irqsOff++;
        return;
      case 'irqs_on':
        cpu.irqsOff--;
        return;
      case 'guest':
        this.guest();
        return;
      case 'set_running':
        if (vcpu === undefined) return;
        cpu.running = on ? vcpu : undefined;
        vcpu.cpu = on ? cpu.index : -1;
        return;
      default:
    }
    if (vcpu === undefined) throw new KernelBug('NULL vcpu');
    const context = vcpu.contexts[timer];
    switch (name) {
      case 'rd_ctl':
        context.ctl = simulation.readCtl(cpu, timer);
        return;
      case 'rd_cval':
        context.cval = hardware.cval - simulation.cvalOffset(timer);
        return;
      case 'wr_cval':
        hardware.cval = context.cval + simulation.cvalOffset(timer);
        return;
      case 'wr_ctl':
        hardware.ctl = context.ctl & (Ctl.enable | Ctl.imask);
        return;
      case 'inject':
        context.line = on;
        simulation.emit('vgic_inject', cpu, vcpu, { timer, level: on });
        if (on) simulation.wake(vcpu, cpu);
        return;
      case 'vgic_reset':
        context.line = false;
        context.listRegister = 'none';
        return;
      case 'vgic_line':
        context.line = on;
        return;
      case 'bg_arm':
        this.#arm(vcpu.bg, 'bg_arm', Timer.unknown, value ?? 0, frame);
        return;
      case 'bg_cancel':
        this.#cancel(vcpu.bg, 'bg_cancel', Timer.unknown, frame);
        return;
      case 'soft_arm':
        this.#arm(context.soft, 'soft_arm', timer, value ?? 0, frame);
        return;
      case 'soft_cancel':
        this.#cancel(context.soft, 'soft_cancel', timer, frame);
        return;
      case 'queue_work':
        vcpu.workQueued = true;
        return;
      case 'cancel_work':
        vcpu.workQueued = false;
        return;
      case 'wake_up':
        simulation.wake(vcpu, cpu);
        return;
      case 'set_loaded':
        context.loaded = on;
        return;
      case 'set_level':
        context.level = on;
        return;
      case 'set_enabled':
        vcpu.enabled = on;
        return;
      case 'set_active_cleared_last':
        vcpu.activeClearedLast = on;
        return;
      case 'clear_ctl':
        context.ctl = 0;
        return;
      case 'write_register':
        this.#write(context, frame);
        return;
      case 'write_offset':
        vcpu.vm.offset = simulation.counter - this.written.value;
        return;
    }
  }

  #write(context: SimContext, frame: Frame): void {
    const { register, value } = this.written;
    if (register === Register.ctl) context.ctl = value & (Ctl.enable | Ctl.imask);
    else if (register === Register.cval) context.cval = value;
    else if (register === Register.tval && frame.vcpu !== undefined)
      context.cval = this.simulation.contextCount(frame.vcpu, frame.timer) + value;
  }

  #arm(hrtimer: Hrtimer, kind: 'bg_arm' | 'soft_arm', timer: Timer, expires: number, { cpu, vcpu }: Frame): void {
    hrtimer.expires = expires;
    this.simulation.emit(kind, cpu, vcpu, { timer, pointer: hrtimer.pointer, expires });
  }

  #cancel(hrtimer: Hrtimer, kind: 'bg_cancel' | 'soft_cancel', timer: Timer, { cpu, vcpu }: Frame): void {
    if (!hrtimer.armed) return;
    hrtimer.expires = Number.NaN;
    this.simulation.emit(kind, cpu, vcpu, { timer, pointer: hrtimer.pointer });
  }
}
