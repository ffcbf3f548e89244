import { Register, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { TimerName } from '../events/timer-names.js';
import { otherSymbol } from '../input/catalogue.js';
import type { Record } from '../input/record.js';
import { byEncoding, IrqName, PrintedTrap, type TracepointName } from './catalogue.js';
import { hrtimerCancel, hrtimerExpireEntry, hrtimerExpireExit, hrtimerStart } from './hrtimers.js';
import type { Learned } from './learned.js';

/**
 * Fills an event, whose place and time are set, from a record.
 *
 * @returns false when the record is no event: it concerns no timer of a vcpu.
 */
export type Decode = (record: Record, event: TimerEvent, learned: Learned) => boolean;

/** Exit codes of an SError and of a trap (ARM_EXCEPTION_EL1_SERROR, ARM_EXCEPTION_TRAP). */
const serror = 1;
const trap = 2;

/** ARM_EXCEPTION_HYP_GONE as records hold it (HVC_STUB_ERR); printed, it is a name, here number 4. */
const hypGone = 0xbadca11;

/** A symbol's number, -1 for one that is not in its table. */
function symbol(record: Record, field: number): number {
  const value = record.int(field);
  return value === otherSymbol ? -1 : value;
}

/** Exit code by its symbol; how a trap is printed tells the kernel's generation. */
function exitCode(code: number, learned: Learned): number {
  switch (code) {
    case hypGone:
      return 4;
    case PrintedTrap.number:
      learned.names |= TimerName.exit_0x2;
      return trap;
    case PrintedTrap.name:
      // Where a trap is a number the name is that of an SError.
      if ((learned.names & TimerName.exit_0x2) !== 0) return serror;
      learned.names |= TimerName.exit_TRAP;
      return trap;
    default:
      return code;
  }
}

/** A tracepoint that says all by being there. */
function bare(kind: Kind): Decode {
  return (_record, event) => {
    event.kind = kind;
    return true;
  };
}

/** The host's own timer interrupts: arch_timer. */
function hostTimer(irq: number, learned: Learned): void {
  if (irq === learned.hostTimerIrq) return;
  learned.hostTimerIrq = irq;
  for (const [guest, timer] of learned.timerIrqs) if (timer === Timer.vtimer) compareIrqs(irq, guest, learned);
}

/**
 * The arch_timer driver maps its interrupts in the order of the device tree's binding: secure, non-secure, virtual,
 * hypervisor (arch_timer_of_init, enum arch_timer_ppi_nr). The guest has the virtual one; the host uses the non-secure
 * one before it, or on VHE the hypervisor's behind it.
 */
function compareIrqs(host: number, guest: number, learned: Learned): void {
  learned.names |= host < guest ? TimerName.arch_timer_below : TimerName.arch_timer_above;
}

/** A level of a guest interrupt: vcpu id, INTID, level. */
function level(record: Record, event: TimerEvent): void {
  event.vcpuId = record.int(0);
  event.irq = record.int(1);
  event.level = record.int(2) === 0 ? 0 : 1;
}

/** A save or restore of a context: CTL, CVAL, context. */
function timerState(kind: Kind): Decode {
  return (record, event) => {
    event.kind = kind;
    event.ctl = record.number(0);
    event.cvalHi = record.high(1);
    event.cvalLo = record.low(1);
    event.hasCval = true;
    event.timer = record.int(2, Timer.unknown);
    return true;
  };
}

const wakeup: Decode = (record, event) => {
  event.kind = Kind.wakeup;
  event.otherPid = record.int(0);
  return true;
};

/** How each wanted tracepoint becomes an event (specification §3.1 to §3.3); one without a line is evidence only. */
export const tracepointDecoders: Readonly<Partial<{ [name in TracepointName]: Decode }>> = {
  kvm_entry: bare(Kind.entry),
  kvm_exit(record, event, learned) {
    event.kind = Kind.exit;
    event.exitCode = exitCode(symbol(record, 0), learned);
    // The class is stale unless the exit is a trap (specification §3.1).
    event.exceptionClass = event.exitCode === trap ? record.int(1) : -1;
    return true;
  },
  kvm_timer_update_irq(record, event, learned) {
    level(record, event);
    event.kind = Kind.update_irq;
    learned.reported(event);
    learned.fillRegisters(event);
    return true;
  },
  vgic_update_irq_pending(record, event) {
    level(record, event);
    event.kind = Kind.vgic_inject;
    return true;
  },
  kvm_get_timer_map(record, event) {
    event.kind = Kind.timer_map;
    event.vcpuId = record.int(0);
    event.hasDetails = true;
    event.directVtimer = record.int(1, Timer.unknown);
    event.directPtimer = record.int(2, Timer.unknown);
    event.emulVtimer = record.int(3, Timer.unknown);
    event.emulPtimer = record.int(4, Timer.unknown);
    return true;
  },
  kvm_timer_save_state: timerState(Kind.save),
  kvm_timer_restore_state: timerState(Kind.restore),
  kvm_timer_emulate(record, event) {
    event.kind = Kind.emulate;
    event.timer = record.int(0, Timer.unknown);
    event.level = record.int(1);
    return true;
  },
  kvm_timer_hrtimer_expire(record, event, learned) {
    learned.callback(event.cpu);
    event.kind = Kind.soft_expire;
    event.timer = record.int(0, Timer.unknown);
    return true;
  },
  kvm_wfx_arm64(record, event) {
    event.kind = Kind.wfx;
    event.level = symbol(record, 0);
    return true;
  },
  kvm_vcpu_wakeup: bare(Kind.halt_end),
  kvm_userspace_exit: bare(Kind.userspace_exit),
  kvm_irq_line(record, event) {
    event.kind = Kind.irq_line;
    event.irq = record.int(0);
    event.level = record.int(1);
    return true;
  },
  kvm_sys_access(record, event) {
    const encoding = record.int(2);
    const isPrinted = encoding >= byEncoding;
    // trace-cmd and perf do not find the name, and print its address, and the encoding after it.
    const what = !isPrinted ? record.int(0, otherSymbol) : encoding === otherSymbol ? encoding : encoding ^ byEncoding;
    event.kind = Kind.trapped_access;
    event.hasDetails = true;
    event.write = record.int(1);
    // An access to another register is told as well: it shows that such accesses are recorded.
    if (what === otherSymbol) event.timer = Timer.none;
    else if (isPrinted || record.high(0) === 0) {
      event.timer = what >> 8;
      event.register = what & 0xff;
    }
    return true;
  },
  irq_handler_entry(record, event, learned) {
    event.irq = record.int(0);
    const name = record.int(1, otherSymbol);
    if (name === IrqName.guestTimer) learned.names |= TimerName.guest_timer;
    if (name === IrqName.guestTimer || name === IrqName.guestVtimer) event.timer = Timer.vtimer;
    else if (name === IrqName.guestPtimer) event.timer = Timer.ptimer;
    else {
      if (name === IrqName.archTimer) hostTimer(event.irq, learned);
      event.kind = Kind.irq_begin;
      event.timer = Timer.none;
      return true;
    }
    event.kind = Kind.vtimer_irq;
    if (event.timer === Timer.vtimer && learned.hostTimerIrq >= 0)
      compareIrqs(learned.hostTimerIrq, event.irq, learned);
    learned.timerIrqs.set(event.irq, event.timer);
    return true;
  },
  irq_handler_exit(record, event, learned) {
    event.irq = record.int(0);
    const timer = learned.timerIrqs.get(event.irq);
    event.kind = timer === undefined ? Kind.irq_end : Kind.vtimer_irq_end;
    event.timer = timer ?? Timer.none;
    return true;
  },
  hrtimer_start: hrtimerStart,
  hrtimer_cancel: hrtimerCancel,
  hrtimer_expire_entry: hrtimerExpireEntry,
  hrtimer_expire_exit: hrtimerExpireExit,
  sched_switch(record, event) {
    event.kind = Kind.sched_switch;
    event.otherPid = record.int(1);
    const state = record.int(2);
    // No CPU idles while a thread that it leaves is runnable: this one slept, and was woken before its state was read
    // (up to fa2c3254d7cf). Asleep for something else than a vcpu waits for is as good as not told, too.
    const isWoken = state === 0 && event.otherPid === 0 && record.int(0) !== 0;
    event.sleeping = state > 1 || isWoken ? -1 : state;
    return true;
  },
  sched_waking: wakeup,
  sched_wakeup: wakeup,
};

/** Registers as the kernel numbers them (enum kvm_arch_timer_regs: CNT, CVAL, TVAL, CTL). */
export const sysregs: readonly number[] = [Register.cnt, Register.cval, Register.tval, Register.ctl];
