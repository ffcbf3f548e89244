import { certaintyNames, lostToTheEnd, registerNames, Timer, type TimerEvent, timerNames } from '../events/event.js';
import { Kind, kindNames } from '../events/kinds.js';
import { formatU64 } from '../events/u64.js';

const exitNames = ['IRQ', 'SERROR', 'TRAP', 'IL', 'HYP_GONE'];

function hex(value: number): string {
  return value < 0 ? '?' : `0x${value.toString(16)}`;
}

function cval(event: TimerEvent): string {
  return event.hasCval ? formatU64(event.cvalHi, event.cvalLo) : '?';
}

function value(event: TimerEvent): string {
  return event.hasValue ? formatU64(event.valueHi, event.valueLo) : '?';
}

function pointer(event: TimerEvent): string {
  return event.hasTimerPointer ? formatU64(event.timerPointerHi, event.timerPointerLo) : '?';
}

function id(event: TimerEvent): string {
  return event.vcpuId >= 0 ? String(event.vcpuId) : '?';
}

/**
 * An event in the kernel's spelling, as its tracepoint prints it (specification §3.1); a probed or derived one as
 * the function that it stands for.
 */
export function describeEvent(event: TimerEvent): string {
  switch (event.kind) {
    case Kind.save:
    case Kind.restore: {
      const name = event.kind === Kind.save ? 'kvm_timer_save_state' : 'kvm_timer_restore_state';
      return `${name}: CTL: ${hex(event.ctl)} CVAL: ${cval(event)} arch_timer_ctx_index: ${event.timer}`;
    }
    case Kind.update_irq:
      return `kvm_timer_update_irq: VCPU: ${id(event)}, IRQ ${event.irq}, level ${event.level}`;
    case Kind.vgic_inject:
      return `vgic_update_irq_pending: VCPU: ${id(event)}, IRQ ${event.irq}, level: ${event.level}`;
    case Kind.timer_map: {
      const ev = event.emulVtimer === Timer.unknown ? '' : ` ev: ${event.emulVtimer},`;
      return `kvm_get_timer_map: VCPU: ${id(event)}, dv: ${event.directVtimer}, dp: ${event.directPtimer},${ev} ep: ${event.emulPtimer}`;
    }
    case Kind.emulate:
      return `kvm_timer_emulate: arch_timer_ctx_index: ${event.timer} (should_fire: ${event.level})`;
    case Kind.exit: {
      const code = exitNames[event.exitCode] ?? '?';
      return event.exceptionClass >= 0
        ? `kvm_exit: ${code}: HSR_EC: 0x${event.exceptionClass.toString(16).padStart(4, '0')}`
        : `kvm_exit: ${code}`;
    }
    case Kind.vtimer_irq:
      return `irq_handler_entry: irq=${event.irq} name=kvm guest ${event.timer === Timer.ptimer || event.timer === Timer.hptimer ? 'ptimer' : 'vtimer'}`;
    case Kind.vtimer_irq_end:
      return `irq_handler_exit: irq=${event.irq}`;
    case Kind.bg_arm:
      return `hrtimer_start: hrtimer=${pointer(event)} function=kvm_bg_timer_expire expires=${event.expires}`;
    case Kind.bg_cancel:
      return `hrtimer_cancel: hrtimer=${pointer(event)} (background timer)`;
    case Kind.bg_expire:
      return `hrtimer_expire_entry: hrtimer=${pointer(event)} function=kvm_bg_timer_expire`;
    case Kind.soft_arm:
      return `hrtimer_start: hrtimer=${pointer(event)} function=kvm_hrtimer_expire expires=${event.expires}`;
    case Kind.soft_cancel:
      return `hrtimer_cancel: hrtimer=${pointer(event)} (soft timer)`;
    case Kind.soft_expire:
      return `hrtimer_expire_entry: hrtimer=${pointer(event)} function=kvm_hrtimer_expire`;
    case Kind.set_active:
      return `irq_set_irqchip_state: irq=${event.irq} which=ACTIVE val=${event.level}`;
    case Kind.set_affinity:
      return `irq_set_vcpu_affinity: irq=${event.irq} vcpu=${event.level === 1 ? 'set' : 'NULL'}`;
    case Kind.mask_irq:
      return `${event.level === 1 ? 'disable' : 'enable'}_percpu_irq: irq=${event.irq}`;
    case Kind.set_cntvoff:
      return `set_cntvoff: ${value(event)}`;
    case Kind.set_cntpoff:
      return `set_cntpoff: ${value(event)}`;
    case Kind.set_traps: {
      const world = event.level === 1 ? ' (guest)' : event.level === 0 ? ' (host)' : '';
      return `write CNTHCTL_EL2: ${value(event)}${world}`;
    }
    case Kind.user_write: {
      const timer = timerNames[event.timer] ?? '?';
      return `kvm_arm_timer_set_reg: ${timer} ${registerNames[event.register] ?? '?'} = ${value(event)}`;
    }
    case Kind.trapped_access:
      return `kvm_sys_access: ${timerNames[event.timer] ?? 'other'} ${registerNames[event.register] ?? 'register'}`;
    case Kind.wfx:
      return `kvm_wfx_arm64: guest executed wf${event.level === 0 ? 'i' : event.level === 1 ? 'e' : '?'}`;
    case Kind.sched_switch: {
      const state = event.sleeping === 1 ? 'sleeping' : event.sleeping === 0 ? 'runnable' : '?';
      return `sched_switch: prev_pid=${event.pid} (${state}) ==> next_pid=${event.otherPid}`;
    }
    case Kind.wakeup:
      return `sched_waking: pid=${event.otherPid}`;
    case Kind.irq_line:
      return `kvm_irq_line: num: ${event.irq}, level: ${event.level}`;
    case Kind.lost:
      if (event.lostCount === lostToTheEnd) return `CPU:${event.cpu} [ALL FURTHER EVENTS LOST]`;
      return event.lostCount > 0
        ? `CPU:${event.cpu} [LOST ${event.lostCount} EVENTS]`
        : `CPU:${event.cpu} [LOST EVENTS]`;
    default: {
      const name = functionNames[kindNames[event.kind] as string] ?? (kindNames[event.kind] as string);
      return event.ctl < 0 && !event.hasCval ? name : `${name}: ctl=${hex(event.ctl)} cval=${cval(event)}`;
    }
  }
}

/** Kinds whose record says nothing beyond the function or tracepoint itself. */
const functionNames: Readonly<Record<string, string>> = {
  load: 'kvm_arch_vcpu_load',
  put: 'kvm_arch_vcpu_put',
  put_end: 'kvm_arch_vcpu_put is complete',
  timer_load: 'kvm_timer_vcpu_load',
  timer_put: 'kvm_timer_vcpu_put',
  entry: 'kvm_entry',
  schedule: 'kvm_arch_vcpu_blocking',
  unschedule: 'kvm_arch_vcpu_unblocking',
  enable: 'kvm_timer_enable',
  reset: 'kvm_timer_vcpu_reset',
  flush: 'kvm_timer_flush_hwstate',
  sync: 'kvm_timer_sync_hwstate',
  halt_end: 'kvm_vcpu_wakeup',
  userspace_exit: 'kvm_userspace_exit',
  expiry_work: 'kvm_timer_inject_irq_work',
  timer_callback_end: 'hrtimer_expire_exit',
};

/** The name of an event's certainty. */
export function describeCertainty(event: TimerEvent): string {
  return certaintyNames[event.certainty as 0 | 1 | 2 | 3];
}
