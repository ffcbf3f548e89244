import { Certainty, Register, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { TimerName } from '../events/timer-names.js';
import type { Record } from '../input/record.js';
import { type FunctionName, RegisterProbe, VcpuProbe } from './catalogue.js';
import { timerPointer } from './hrtimers.js';
import { type Decode, sysregs } from './tracepoints.js';

/** `which` of irq_set_irqchip_state that means the active state (enum irqchip_irq_state, IRQCHIP_STATE_ACTIVE). */
const stateActive = 1;

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

/** Size of struct hrtimer on arm64 up to 4.20. */
const sizeofHrtimer = 0x40;

/** @returns false when the pointer is absent or NULL */
function vcpuPointer(record: Record, field: number, event: TimerEvent): boolean {
  if (!record.has(field)) return false;
  event.hasDetails = true;
  event.vcpuPointerHi = record.high(field);
  event.vcpuPointerLo = record.low(field);
  event.hasVcpuPointer = event.vcpuPointerHi !== 0 || event.vcpuPointerLo !== 0;
  return event.hasVcpuPointer;
}

/** A 64-bit value that the record may carry. */
function value(record: Record, field: number, event: TimerEvent): void {
  if (!record.has(field)) return;
  event.hasDetails = true;
  event.hasValue = true;
  event.valueHi = record.high(field);
  event.valueLo = record.low(field);
}

/** What a probe on a function of `struct kvm_vcpu *` shows. */
function vcpuArguments(record: Record, event: TimerEvent): void {
  // The fields behind a NULL vcpu are garbage (specification §4.8, point 13).
  if (!vcpuPointer(record, VcpuProbe.vcpu, event) && record.has(VcpuProbe.vcpu)) return;
  event.vcpuId = record.int(VcpuProbe.id);
  event.ctl = record.number(VcpuProbe.ctl);
  if (record.has(VcpuProbe.cval)) {
    event.hasCval = true;
    event.cvalHi = record.high(VcpuProbe.cval);
    event.cvalLo = record.low(VcpuProbe.cval);
  }
  value(record, VcpuProbe.offset, event);
  event.level = flag(record, VcpuProbe.level);
  event.hasDetails = true;
  event.activeCleared = flag(record, VcpuProbe.cleared);
  event.armed = flag(record, VcpuProbe.armed);
}

/** A `bool` that the record may carry; -1 without it. */
function flag(record: Record, field: number): number {
  const value = record.int(field);
  return value < 0 ? -1 : value === 0 ? 0 : 1;
}

/** A function that takes the vcpu. */
function ofVcpu(kind: Kind): Decode {
  return (record, event) => {
    event.kind = kind;
    vcpuArguments(record, event);
    return true;
  };
}

/**
 * kvm_timer_vcpu_load and _put. What their probe reads is the memory copy before the call: not the guest's registers
 * where the timer is loaded.
 */
function loadOrPut(kind: Kind): Decode {
  return (record, event) => {
    event.kind = kind;
    vcpuArguments(record, event);
    event.loaded = flag(record, RegisterProbe.loaded);
    if (event.loaded === 1) forgetRegisters(event);
    return true;
  };
}

function forgetRegisters(event: TimerEvent): void {
  event.ctl = -1;
  event.hasCval = false;
  event.cvalHi = 0;
  event.cvalLo = 0;
}

/**
 * timer_save_state and timer_restore_state of the RFC, vtimer_save_state and vtimer_restore_state of 4.15 to 5.0. They return at once where the timer is not loaded, or is:
 * a call is a save or a restore only if the probe shows that. A restore writes the memory copy that the probe has read;
 * what a save reads from hardware it does not show.
 */
function registers(kind: Kind.save | Kind.restore): Decode {
  return (record, event) => {
    if (!record.has(VcpuProbe.vcpu) || !record.has(RegisterProbe.loaded)) return false;
    if (record.int(RegisterProbe.enabled) === 0) return false;
    if ((record.int(RegisterProbe.loaded) !== 0) !== (kind === Kind.save)) return false;
    event.kind = kind;
    event.timer = Timer.vtimer;
    vcpuArguments(record, event);
    if (kind === Kind.save) forgetRegisters(event);
    return true;
  };
}

/** A trapped access to a timer register: vcpu, timer, register. */
function sysreg(write: 0 | 1): Decode {
  return (record, event) => {
    event.kind = Kind.trapped_access;
    vcpuArguments(record, event);
    event.write = write;
    event.timer = record.int(VcpuProbe.own, Timer.unknown);
    event.register = sysregs[record.int(VcpuProbe.own + 1)] ?? Register.unknown;
    return true;
  };
}

/** Names the vcpu of the thread, or says that a vcpu is woken. */
function pointerOnly(kind: Kind): Decode {
  return (record, event) => {
    event.kind = kind;
    return vcpuPointer(record, VcpuProbe.vcpu, event);
  };
}

/** An hrtimer's callback, whose tracepoint says the same where it is recorded. */
function callback(kind: Kind): Decode {
  return (record, event) => {
    event.kind = kind;
    event.certainty = Certainty.derived;
    timerPointer(record, 0, event);
    return true;
  };
}

/** enable_percpu_irq, disable_percpu_irq. */
function mask(masked: 0 | 1): Decode {
  return (record, event) => {
    event.kind = Kind.mask_irq;
    event.irq = record.int(0);
    event.level = masked;
    return true;
  };
}

/** enable_el1_phys_timer_access, for the host, and disable_el1_phys_timer_access, for the guest: up to 4.15. */
function traps(guest: 0 | 1): Decode {
  return (_record, event) => {
    event.kind = Kind.set_traps;
    event.level = guest;
    return true;
  };
}

/** How the entry of each wanted function becomes an event (specification §3.4). */
export const functionDecoders: Readonly<{ [name in FunctionName]: Decode }> = {
  kvm_arch_vcpu_load: ofVcpu(Kind.load),
  kvm_arch_vcpu_put: ofVcpu(Kind.put),
  kvm_timer_vcpu_load: loadOrPut(Kind.timer_load),
  kvm_timer_vcpu_put: loadOrPut(Kind.timer_put),
  timer_save_state: registers(Kind.save),
  timer_restore_state: registers(Kind.restore),
  vtimer_save_state: registers(Kind.save),
  vtimer_restore_state: registers(Kind.restore),
  kvm_timer_schedule: ofVcpu(Kind.schedule),
  kvm_timer_unschedule: ofVcpu(Kind.unschedule),
  kvm_arch_vcpu_blocking: ofVcpu(Kind.schedule),
  kvm_arch_vcpu_unblocking: ofVcpu(Kind.unschedule),
  kvm_timer_enable: ofVcpu(Kind.enable),
  kvm_timer_vcpu_reset: ofVcpu(Kind.reset),
  kvm_timer_flush_hwstate: ofVcpu(Kind.flush),
  kvm_timer_sync_hwstate: ofVcpu(Kind.sync),
  kvm_timer_sync_user: ofVcpu(Kind.sync),
  kvm_timer_sync_nested: ofVcpu(Kind.sync),
  kvm_vcpu_block: pointerOnly(Kind.vcpu_pointer),
  kvm_vcpu_halt: pointerOnly(Kind.vcpu_pointer),
  kvm_vcpu_wfi: pointerOnly(Kind.vcpu_pointer),
  kvm_vcpu_wake_up: pointerOnly(Kind.wakeup),
  // It wakes the vcpu first (kvm_vcpu_wake_up, where that is no function of its own); one that runs it interrupts.
  kvm_vcpu_kick: pointerOnly(Kind.wakeup),
  kvm_arm_timer_write_sysreg: sysreg(1),
  kvm_arm_timer_read_sysreg: sysreg(0),
  kvm_arch_timer_handler(record, event, learned) {
    event.kind = Kind.vtimer_irq;
    event.certainty = Certainty.derived;
    event.irq = record.int(2);
    event.timer = learned.handler(event.cpu, event.irq);
    if (vcpuPointer(record, 0, event)) event.vcpuId = record.int(1);
    return true;
  },
  kvm_arm_timer_set_reg(record, event) {
    event.kind = Kind.user_write;
    vcpuArguments(record, event);
    const register = oneRegs.get(record.int(VcpuProbe.own, 0) & 0xffff);
    if (register === undefined) return false;
    [event.timer, event.register] = register;
    value(record, VcpuProbe.own + 1, event);
    return true;
  },
  kvm_timer_inject_irq_work(record, event, learned) {
    learned.names |= TimerName.kvm_timer_inject_irq_work;
    event.kind = Kind.expiry_work;
    timerPointer(record, 0, event);
    // Up to 4.14 the work item follows the hrtimer in struct arch_timer_cpu, and that tells whose it is.
    event.timerPointerLo -= sizeofHrtimer;
    return true;
  },
  'kvm_timer_update_irq()'(record, event, learned) {
    // The tracepoint inside the function makes the event; what is kept for it are the registers.
    vcpuArguments(record, event);
    learned.registers(event);
    return false;
  },
  kvm_bg_timer_expire: callback(Kind.bg_expire),
  kvm_timer_expire: callback(Kind.bg_expire),
  kvm_hrtimer_expire: callback(Kind.soft_expire),
  irq_set_irqchip_state(record, event) {
    if (record.int(1) !== stateActive) return false;
    event.kind = Kind.set_active;
    event.irq = record.int(0);
    event.level = record.int(2) === 0 ? 0 : 1;
    return true;
  },
  irq_set_vcpu_affinity(record, event) {
    event.kind = Kind.set_affinity;
    event.irq = record.int(0);
    event.level = record.has(1) && (record.low(1) !== 0 || record.high(1) !== 0) ? 1 : 0;
    return true;
  },
  enable_percpu_irq: mask(0),
  disable_percpu_irq: mask(1),
  enable_el1_phys_timer_access: traps(0),
  disable_el1_phys_timer_access: traps(1),
  __kvm_timer_set_cntvoff(record, event) {
    // A function with a vcpu is another one of nearly that name: update_vtimer_cntvoff, which writes no register.
    if (record.has(1)) return false;
    event.kind = Kind.set_cntvoff;
    value(record, 0, event);
    return true;
  },
};
