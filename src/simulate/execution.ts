import { Ctl, Register, Timer } from '../events/event.js';
import type { KernelFunction, Operate, OperationName, RecordOf, Role, Statement } from '../models/design.js';
import { type Frame, Operands } from './operands.js';
import type { Simulation } from './simulation.js';
import { type HardwareTimer, type Hrtimer, hardTimer, KernelBug, type SimContext, type SimVcpu } from './state.js';

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
  readonly operands: Operands;
  #depth = 0;
  /** A reset whose put is still under way. */
  #unrecorded: KernelFunction | undefined;

  constructor(readonly simulation: Simulation) {
    this.operands = new Operands(simulation);
  }

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
    if (role === 'reset') this.operands.wasLoaded = frame.vcpu !== undefined && frame.vcpu.cpu >= 0;
    if (called.irqsOff === true) frame.cpu.irqsOff++;
    // kvm_reset_vcpu puts a vcpu that is loaded before it calls the function that is probed.
    if (role === 'reset' && this.operands.wasLoaded) this.#unrecorded = called;
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
    const { register, value, write } = this.operands.written;
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
        const holds = statement.if.every((guard) => this.operands.holds(guard, frame));
        if (this.#execute(called, holds ? statement.body : (statement.else ?? []), frame)) return true;
      } else if ('bugOn' in statement) {
        if (this.operands.holds(statement.bugOn, frame))
          throw new KernelBug(`${called.kernel}: BUG_ON(${statement.bugOn})`);
      } else if ('record' in statement) this.#record(statement, frame);
      else if ('call' in statement) {
        const timer = this.operands.timer(statement.of, frame);
        if (timer === undefined) continue;
        this.simulation.sink?.effect(statement, called.role, frame.cpu, frame.vcpu);
        const value =
          statement.value === undefined ? frame.value : this.operands.value(statement.value, { ...frame, timer });
        this.call(statement.call, { ...frame, timer, ...(value !== undefined && { value }) });
      } else {
        const timer = this.operands.timer(statement.of, frame);
        if (timer !== undefined) this.#operate(statement, called, { ...frame, timer });
      }
    }
    return false;
  }

  #record({ record, of }: RecordOf, frame: Frame): void {
    const { simulation } = this;
    const { cpu, vcpu } = frame;
    const timer = this.operands.timer(of, frame) ?? frame.timer;
    switch (record) {
      case 'save':
      case 'restore': {
        const { ctl, cval } = this.operands.context({ ...frame, timer });
        return simulation.emit(record, cpu, vcpu, { timer, ctl, cval });
      }
      case 'update_irq':
        // Without a vgic userspace drives the line of the guest, by the level that it is told.
        if (!simulation.host.inKernelIrqchip) this.operands.context({ ...frame, timer }).line = frame.value === 1;
        return simulation.emit(record, cpu, vcpu, { timer, level: frame.value === 1 });
      case 'emulate':
        return simulation.emit(record, cpu, vcpu, { timer, level: this.operands.shouldFire(frame, timer) });
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
    const value = operation.value === undefined ? undefined : this.operands.value(operation.value, frame);
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
        vcpu.vm.offset = simulation.counter - this.operands.written.value;
        return;
    }
  }

  #write(context: SimContext, frame: Frame): void {
    const { register, value } = this.operands.written;
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
