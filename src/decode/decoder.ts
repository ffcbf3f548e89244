import type { ConditionSink } from '../events/conditions.js';
import { Certainty, Register, Timer, TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { keyU64 } from '../events/u64.js';
import { otherSymbol } from '../input/catalogue.js';
import type { Record } from '../input/record.js';
import { Callback, IrqName, Source, VcpuProbe } from './catalogue.js';

/** Receives the canonical events of a recording. The event object is reused: copy what must last. */
export interface EventSink extends ConditionSink {
  event(event: TimerEvent): void;
  /** A record that is no event but tells something of the recording: which source it came from. */
  seen(source: number): void;
}

/** `which` of irq_set_irqchip_state that means the active state (enum irqchip_irq_state, IRQCHIP_STATE_ACTIVE). */
const stateActive = 1;

/** ARM_EXCEPTION_HYP_GONE as records hold it (HVC_STUB_ERR); printed, it is a name. */
const hypGone = 0xbadca11;

/** enum kvm_arch_timer_regs: CNT, CVAL, TVAL, CTL. */
const sysregs: readonly number[] = [Register.cnt, Register.cval, Register.tval, Register.ctl];

/** Classes of hrtimers: the record does not tell, somebody else's, the two of the timer code. */
const unnamed = -1;
const foreign = 0;
const backgroundClass = 1;
const softClass = 2;

/** Low sixteen bits of the ONE_REG ids of the timer registers: (timer, register), see `KVM_REG_ARM_TIMER_*`. */
const oneRegs = new Map<number, readonly [timer: number, register: number]>([
  [0xdf19, [Timer.vtimer, Register.ctl]],
  // CVAL and CNT of the virtual timer have each other's encoding: an old slip that became ABI (uapi/asm/kvm.h).
  [0xdf02, [Timer.vtimer, Register.cval]],
  [0xdf1a, [Timer.vtimer, Register.cnt]],
  [0xdf11, [Timer.ptimer, Register.ctl]],
  [0xdf12, [Timer.ptimer, Register.cval]],
  [0xdf01, [Timer.ptimer, Register.cnt]],
]);

/**
 * Turns records into canonical events (specification §0.2, §3): one instance per recording, because an hrtimer
 * is known by its callback only at its start, and an interrupt by its name only at its entry.
 */
export class Decoder {
  readonly #sink: EventSink;
  readonly #event = new TimerEvent();
  /** Which kind of timer an hrtimer pointer is: 1 background, 2 soft. */
  readonly #hrtimers = new Map<number | string, number>();
  /**
   * The virtual timer's interrupt is named "kvm guest timer", or an hrtimer's callback is kvm_timer_expire or
   * kvm_phys_timer_expire: 5.0 or earlier (specification §2, §3.2).
   */
  oldNames = false;
  /** Linux irq number of the guest timers' PPIs, once their name was seen: irq to context. */
  readonly #timerIrqs = new Map<number, number>();
  /** Event name through which a probed function is read: a second probe of it repeats what the first said. */
  readonly #probeName = new Map<number, number>();

  constructor(sink: EventSink) {
    this.#sink = sink;
  }

  /** Decodes one record; emits at most one event. */
  record(record: Record): void {
    const event = this.#event.clear();
    event.time = record.time;
    event.cpu = record.cpu;
    event.pid = record.pid;
    event.tgid = record.tgid;
    event.context = record.context;
    event.position = record.position;

    const source = record.event;
    if (record.source !== 'tracepoint') {
      // A return adds nothing that the entry and the tracepoints have not said.
      if (record.isReturn) return;
      const name = this.#probeName.get(source);
      if (name === undefined) this.#probeName.set(source, record.name);
      else if (name !== record.name) return;
    }
    this.#sink.seen(source);
    if (this.#decode(source, record, event)) this.#sink.event(event);
  }

  /** Records were lost on a CPU (specification §4.0, M2). */
  lost(cpu: number, count: number, time: number, position: number): void {
    const event = this.#event.clear();
    event.kind = Kind.lost;
    event.cpu = cpu;
    event.lostCount = count;
    event.time = time;
    event.position = position;
    this.#sink.event(event);
  }

  #decode(source: number, record: Record, event: TimerEvent): boolean {
    switch (source) {
      case Source.kvm_entry:
        event.kind = Kind.entry;
        return true;
      case Source.kvm_exit:
        event.kind = Kind.exit;
        event.exitCode = record.int(0);
        if (event.exitCode === otherSymbol) event.exitCode = -1;
        else if (event.exitCode === hypGone) event.exitCode = 4;
        // The class is stale unless the exit is a trap (specification §3.1).
        event.exceptionClass = event.exitCode === 2 ? record.int(1) : -1;
        return true;
      case Source.kvm_timer_update_irq:
      case Source.vgic_update_irq_pending:
        event.kind = source === Source.kvm_timer_update_irq ? Kind.update_irq : Kind.vgic_inject;
        event.vcpuId = record.int(0);
        event.irq = record.int(1);
        event.level = record.int(2) === 0 ? 0 : 1;
        return true;
      case Source.kvm_get_timer_map:
        event.kind = Kind.timer_map;
        event.vcpuId = record.int(0);
        event.directVtimer = record.int(1, Timer.unknown);
        event.directPtimer = record.int(2, Timer.unknown);
        event.emulVtimer = record.int(3, Timer.unknown);
        event.emulPtimer = record.int(4, Timer.unknown);
        return true;
      case Source.kvm_timer_save_state:
      case Source.kvm_timer_restore_state:
        event.kind = source === Source.kvm_timer_save_state ? Kind.save : Kind.restore;
        event.ctl = record.number(0);
        event.cvalHi = record.hi[1] as number;
        event.cvalLo = record.lo[1] as number;
        event.hasCval = true;
        event.timer = record.int(2, Timer.unknown);
        return true;
      case Source.kvm_timer_emulate:
        event.kind = Kind.emulate;
        event.timer = record.int(0, Timer.unknown);
        event.level = record.int(1);
        return true;
      case Source.kvm_timer_hrtimer_expire:
        event.kind = Kind.soft_expire;
        event.timer = record.int(0, Timer.unknown);
        return true;
      case Source.kvm_wfx_arm64:
        event.kind = Kind.wfx;
        event.level = record.int(0);
        if (event.level === otherSymbol) event.level = -1;
        return true;
      case Source.kvm_vcpu_wakeup:
        event.kind = Kind.halt_end;
        return true;
      case Source.kvm_userspace_exit:
        event.kind = Kind.userspace_exit;
        return true;
      case Source.kvm_irq_line:
        event.kind = Kind.irq_line;
        event.irq = record.int(0);
        event.level = record.int(1);
        return true;
      case Source.kvm_arm_setup_debug:
        // Its pointer is hashed in kernel text (%p) where that of a probe in the same trace is not: no key for both.
        return false;
      case Source.kvm_sys_access: {
        const what = record.int(0, otherSymbol);
        event.kind = Kind.trapped_access;
        event.write = record.int(1);
        // An access to another register is told as well: it shows that such accesses are recorded.
        if (what !== otherSymbol) {
          event.timer = what >> 8;
          event.register = what & 0xff;
        } else event.timer = Timer.none;
        return true;
      }
      case Source.irq_handler_entry:
        return this.#irqEntry(record, event);
      case Source.irq_handler_exit: {
        event.irq = record.int(0);
        const timer = this.#timerIrqs.get(event.irq);
        event.kind = timer === undefined ? Kind.irq_end : Kind.vtimer_irq_end;
        event.timer = timer ?? Timer.none;
        return true;
      }
      case Source.hrtimer_start:
        return this.#hrtimer(record, event, Kind.bg_arm, Kind.soft_arm, 1, 2);
      case Source.hrtimer_cancel:
        return this.#hrtimer(record, event, Kind.bg_cancel, Kind.soft_cancel, -1, -1);
      case Source.hrtimer_expire_entry:
        return this.#hrtimer(record, event, Kind.bg_expire, Kind.soft_expire, 1, 2);
      case Source.hrtimer_expire_exit:
        return this.#hrtimer(record, event, Kind.timer_callback_end, Kind.timer_callback_end, -1, -1);
      case Source.sched_switch:
        event.kind = Kind.sched_switch;
        event.otherPid = record.int(1);
        event.sleeping = record.int(2);
        return true;
      case Source.sched_waking:
      case Source.sched_wakeup:
        event.kind = Kind.wakeup;
        event.otherPid = record.int(0);
        return true;
      default:
        return this.#probe(source, record, event);
    }
  }

  #probe(source: number, record: Record, event: TimerEvent): boolean {
    switch (source) {
      case Source.kvm_arch_vcpu_load:
        return this.#vcpuProbe(Kind.load, record, event);
      case Source.kvm_arch_vcpu_put:
        return this.#vcpuProbe(Kind.put, record, event);
      case Source.kvm_timer_vcpu_load:
        return this.#vcpuProbe(Kind.timer_load, record, event);
      case Source.kvm_timer_vcpu_put:
        return this.#vcpuProbe(Kind.timer_put, record, event);
      case Source.kvm_timer_schedule:
      case Source.kvm_arch_vcpu_blocking:
        return this.#vcpuProbe(Kind.schedule, record, event);
      case Source.kvm_timer_unschedule:
      case Source.kvm_arch_vcpu_unblocking:
        return this.#vcpuProbe(Kind.unschedule, record, event);
      case Source.kvm_timer_enable:
        return this.#vcpuProbe(Kind.enable, record, event);
      case Source.kvm_timer_vcpu_reset:
        return this.#vcpuProbe(Kind.reset, record, event);
      case Source.kvm_timer_flush_hwstate:
        return this.#vcpuProbe(Kind.flush, record, event);
      case Source.kvm_timer_sync_hwstate:
      case Source.kvm_timer_sync_user:
      case Source.kvm_timer_sync_nested:
        return this.#vcpuProbe(Kind.sync, record, event);
      case Source.kvm_vcpu_wake_up:
        event.kind = Kind.wakeup;
        return this.#vcpuPointer(record, VcpuProbe.vcpu, event);
      case Source.kvm_arm_timer_write_sysreg:
      case Source.kvm_arm_timer_read_sysreg:
        this.#vcpuProbe(Kind.trapped_access, record, event);
        event.write = source === Source.kvm_arm_timer_write_sysreg ? 1 : 0;
        event.timer = record.int(5, Timer.unknown);
        event.register = sysregs[record.int(6)] ?? Register.unknown;
        return true;
      case Source.kvm_vcpu_halt:
      case Source.kvm_vcpu_wfi:
      case Source.kvm_vcpu_block:
        event.kind = Kind.vcpu_pointer;
        return this.#vcpuPointer(record, 0, event);
      case Source.kvm_arch_timer_handler:
        event.kind = Kind.vtimer_irq;
        event.certainty = Certainty.derived;
        event.irq = record.int(2);
        event.timer = this.#timerIrqs.get(event.irq) ?? Timer.unknown;
        if (this.#vcpuPointer(record, 0, event)) event.vcpuId = record.int(1);
        return true;
      case Source.kvm_arm_timer_set_reg: {
        this.#vcpuProbe(Kind.user_write, record, event);
        const register = oneRegs.get(record.int(5, 0) & 0xffff);
        if (register === undefined) return false;
        [event.timer, event.register] = register;
        if (record.has(6)) {
          event.hasValue = true;
          event.valueHi = record.hi[6] as number;
          event.valueLo = record.lo[6] as number;
        }
        return true;
      }
      case Source.kvm_bg_timer_expire:
      case Source.kvm_timer_expire:
        event.kind = Kind.bg_expire;
        event.certainty = Certainty.derived;
        return this.#timerPointer(record, 0, event);
      case Source.kvm_hrtimer_expire:
        event.kind = Kind.soft_expire;
        event.certainty = Certainty.derived;
        return this.#timerPointer(record, 0, event);
      case Source.irq_set_irqchip_state:
        if (record.int(1) !== stateActive) return false;
        event.kind = Kind.set_active;
        event.irq = record.int(0);
        event.level = record.int(2) === 0 ? 0 : 1;
        return true;
      case Source.irq_set_vcpu_affinity:
        event.kind = Kind.set_affinity;
        event.irq = record.int(0);
        event.level = record.has(1) && (record.lo[1] !== 0 || record.hi[1] !== 0) ? 1 : 0;
        return true;
      case Source.enable_percpu_irq:
      case Source.disable_percpu_irq:
        event.kind = Kind.mask_irq;
        event.irq = record.int(0);
        event.level = source === Source.disable_percpu_irq ? 1 : 0;
        return true;
      case Source.__kvm_timer_set_cntvoff:
        event.kind = Kind.set_cntvoff;
        if (record.has(0)) {
          event.hasValue = true;
          event.valueHi = record.hi[0] as number;
          event.valueLo = record.lo[0] as number;
        }
        return true;
      default:
        return false;
    }
  }

  #vcpuProbe(kind: number, record: Record, event: TimerEvent): boolean {
    event.kind = kind;
    // The fields behind a NULL vcpu are garbage (specification §4.8, point 13).
    if (!this.#vcpuPointer(record, VcpuProbe.vcpu, event) && record.has(VcpuProbe.vcpu)) return true;
    event.vcpuId = record.int(VcpuProbe.id);
    event.ctl = record.number(VcpuProbe.ctl);
    if (record.has(VcpuProbe.cval)) {
      event.hasCval = true;
      event.cvalHi = record.hi[VcpuProbe.cval] as number;
      event.cvalLo = record.lo[VcpuProbe.cval] as number;
    }
    if (record.has(VcpuProbe.offset)) {
      event.hasValue = true;
      event.valueHi = record.hi[VcpuProbe.offset] as number;
      event.valueLo = record.lo[VcpuProbe.offset] as number;
    }
    return true;
  }

  /** @returns false when the pointer is absent or NULL */
  #vcpuPointer(record: Record, field: number, event: TimerEvent): boolean {
    if (!record.has(field)) return false;
    event.vcpuPointerHi = record.hi[field] as number;
    event.vcpuPointerLo = record.lo[field] as number;
    event.hasVcpuPointer = event.vcpuPointerHi !== 0 || event.vcpuPointerLo !== 0;
    return event.hasVcpuPointer;
  }

  #timerPointer(record: Record, field: number, event: TimerEvent): boolean {
    if (record.has(field)) {
      event.hasTimerPointer = true;
      event.timerPointerHi = record.hi[field] as number;
      event.timerPointerLo = record.lo[field] as number;
    }
    return true;
  }

  #irqEntry(record: Record, event: TimerEvent): boolean {
    event.irq = record.int(0);
    const name = record.int(1, otherSymbol);
    if (name === IrqName.guestTimer) this.oldNames = true;
    switch (name) {
      case IrqName.guestTimer:
      case IrqName.guestVtimer:
        event.timer = Timer.vtimer;
        break;
      case IrqName.guestPtimer:
        event.timer = Timer.ptimer;
        break;
      default:
        event.kind = Kind.irq_begin;
        event.timer = Timer.none;
        return true;
    }
    event.kind = Kind.vtimer_irq;
    this.#timerIrqs.set(event.irq, event.timer);
    return true;
  }

  /** hrtimer records: a start or an expiry names the callback, the others only the pointer. */
  #hrtimer(
    record: Record,
    event: TimerEvent,
    background: number,
    soft: number,
    callbackField: number,
    timeField: number,
  ): boolean {
    if (record.has(0)) this.#timerPointer(record, 0, event);
    let class_ = callbackField >= 0 ? this.#callbackClass(record, callbackField) : unnamed;
    if (event.hasTimerPointer) {
      const key = keyU64(event.timerPointerHi, event.timerPointerLo);
      if (class_ === unnamed) class_ = this.#hrtimers.get(key) ?? foreign;
      else if (class_ === foreign) this.#hrtimers.delete(key);
      else this.#hrtimers.set(key, class_);
    }
    if (class_ !== backgroundClass && class_ !== softClass) return false;
    event.kind = class_ === backgroundClass ? background : soft;
    event.expires = timeField >= 0 ? record.number(timeField) : -1;
    return true;
  }

  /** What the named callback is; a record may print its address instead (trace-cmd report -R), or not have it. */
  #callbackClass(record: Record, field: number): number {
    if (!record.has(field) || record.hi[field] !== 0) return unnamed;
    switch (record.lo[field]) {
      case Callback.worldSwitch:
        this.oldNames = true;
        return backgroundClass;
      case Callback.background:
        return backgroundClass;
      case Callback.physical:
        this.oldNames = true;
        return softClass;
      case Callback.soft:
        return softClass;
      default:
        return foreign;
    }
  }
}
