import { Kind } from './kinds.js';

/** How surely a fact is known (specification §4.0, §3.6). The order is from best to worst. */
export enum Certainty {
  /** A record said so. */
  recorded,
  /** It follows from records. */
  derived,
  /** Placed by a neighbouring record; the exact point is not known. */
  approximate,
  /** Not known. */
  unknown,
}

/** Names of the certainties, indexed by number. */
export const certaintyNames = ['recorded', 'derived', 'approximate', 'unknown'] as const;

/** What a CPU was doing when it wrote a record, from the flags column or from the interrupt brackets. */
export enum Context {
  unknown = -1,
  task = 0,
  softirq = 1,
  hardirq = 2,
}

/** Indices of the timer contexts (enum kvm_arch_timers: TIMER_PTIMER, TIMER_VTIMER, TIMER_HVTIMER, TIMER_HPTIMER). */
export enum Timer {
  none = -1,
  unknown = -2,
  ptimer = 0,
  vtimer = 1,
  hvtimer = 2,
  hptimer = 3,
}

/** Names of the timer contexts, indexed by `Timer`. */
export const timerNames = ['ptimer', 'vtimer', 'hvtimer', 'hptimer'] as const;

/** Whether an interrupt number is that of a GICv5 guest's PPI: the type is in the upper three bits, and 1 is a PPI. */
export function isGicv5Ppi(irq: number): boolean {
  return irq >>> 29 === 1;
}

/** The contexts of CNTV: of the virtual timers, and not of the physical ones. */
export function isVirtual(timer: number): boolean {
  return timer === Timer.vtimer || timer === Timer.hvtimer;
}

/** Exception classes of trapped register accesses: CP15_32, CP15_64 and SYS64 (ESR_ELx.EC). */
export const accessClasses: readonly number[] = [0x03, 0x04, 0x18];

/** Timer registers of a `user_write` or `trapped_access`. */
export enum Register {
  unknown = -1,
  ctl = 0,
  cval = 1,
  cnt = 2,
  tval = 3,
}

/** Names of the registers, indexed by `Register`. */
export const registerNames = ['ctl', 'cval', 'cnt', 'tval'] as const;

/** CNTx_CTL bits. */
export enum Ctl {
  enable = 1,
  imask = 2,
  istatus = 4,
}

/** Guest INTIDs of the timers' PPIs unless userspace chose others (specification §1.2). */
export const defaultPpi = { vtimer: 27, ptimer: 30, hvtimer: 28, hptimer: 26 } as const;

/**
 * One canonical timer event: scalars only, so that a reader, the tracker and the derivation reuse one object
 * for millions of events. Whoever keeps an event retains it (`retain`, `release`), or copies it.
 *
 * A number that the record does not carry is `-1` (`Timer.unknown` for a timer index); 64-bit values (see
 * `u64.ts`) come with a `has…` flag because every value of theirs is legal: without it they mean nothing.
 */
export class TimerEvent {
  /** Kind number, see `Kind`. */
  kind = Kind.lost;
  /**
   * Nanoseconds since the first record of the trace; exact below 2^53. It is born as no integer, so that V8 knows from
   * the first event on that it is a double: all events then have one shape, and need not be told apart.
   */
  time = Number.NaN;
  /** CPU that wrote the record. */
  cpu = -1;
  /** Thread id that was current: in interrupt context only borrowed. */
  pid = -1;
  /** Thread group id, where the recording has it. */
  tgid = -1;
  /** See `Context`. */
  context: number = Context.unknown;
  /** See `Certainty`: whether the event was recorded or reconstructed. */
  certainty: number = Certainty.recorded;
  /** Line (text) or byte offset (binary) of the record; a derived event has that of the record it follows from. */
  position = 0;
  /** Consecutive number in the trace, given by the run; 0 before that. */
  serial = 0;

  /** Index of the vcpu in the run, given by the tracker; -1 while not attributed. */
  vcpu = -1;
  /** Certainty of that attribution, see `Certainty`. */
  attribution: number = Certainty.unknown;
  /** The printed vcpu id: not unique across VMs. */
  vcpuId = -1;

  /** Timer context, see `Timer`. */
  timer: number = Timer.unknown;
  /** Interrupt number: guest INTID in `update_irq` and `vgic_inject`, Linux irq elsewhere. */
  irq = -1;
  /**
   * Level of a line, or the boolean of `set_active`, `mask_irq`, `set_affinity`, `emulate`, `set_traps` (1: for the guest);
   * of a probed function the timer's cached level when the function was entered.
   */
  level = -1;
  /** CNTx_CTL, 0..7 when sane; -1 unknown. */
  ctl = -1;
  /** CNTx_CVAL, where `hasCval`. */
  cvalHi = 0;
  cvalLo = 0;
  hasCval = false;

  /** The `struct hrtimer` pointer, where `hasTimerPointer`. */
  timerPointerHi = 0;
  timerPointerLo = 0;
  hasTimerPointer = false;
  /** CLOCK_MONOTONIC nanoseconds: `expires` of an arm, `now` of an expiry; -1 unknown. */
  expires = Number.NaN;
  /** Of an expiry: CLOCK_MONOTONIC nanoseconds when it was recorded, at the earliest, as others tell; -1 unknown. */
  monotonic = Number.NaN;

  /** Exit code of `exit`: 0 IRQ, 1 SERROR, 2 TRAP, 3 IL; -1 unknown. */
  exitCode = -1;
  /** Exception class of `exit` (ESR_ELx.EC); -1 unknown. */
  exceptionClass = -1;
  /** Thread that `sched_switch` and `wakeup` speak of: next, woken. */
  otherPid = -1;
  /** For `sched_switch`: 1 the previous thread sleeps, 0 it stays runnable; -1 unknown. */
  sleeping = -1;

  /**
   * Whether any field from here on may be set: whoever sets one of them sets this first. Most events have none, and are
   * cleared in half the time.
   */
  hasDetails = false;
  /** VM number, only where the notation names one. */
  vm = -1;
  /** The `struct kvm_vcpu` pointer, where `hasVcpuPointer`. */
  vcpuPointerHi = 0;
  vcpuPointerLo = 0;
  hasVcpuPointer = false;
  /** Register value, counter offset, or CNTHCTL value, where `hasValue`. */
  valueHi = 0;
  valueLo = 0;
  hasValue = false;
  /** What a probe on a timer function of up to 4.14 read of `active_cleared_last` and, up to 4.10, of `armed`: 0, 1, -1 unknown. */
  activeCleared = -1;
  armed = -1;
  /** What a probe on kvm_timer_vcpu_load or _put read of the timer's `loaded`, 4.10 to 5.0: 0, 1, -1 unknown. */
  loaded = -1;
  /** Register of a `user_write` or `trapped_access`, see `Register`. */
  register: number = Register.unknown;
  /** 1 for a write, 0 for a read, -1 unknown (`trapped_access`). */
  write = -1;
  /** Timer map: context indices, `Timer.none` where the kernel prints -1, `Timer.unknown` where absent. */
  directVtimer: number = Timer.unknown;
  directPtimer: number = Timer.unknown;
  emulVtimer: number = Timer.unknown;
  emulPtimer: number = Timer.unknown;
  /** For `lost`: number of lost records, -1 when not known, `lostToTheEnd`. */
  lostCount = -1;

  constructor() {
    this.time = 0;
    this.expires = -1;
    this.monotonic = -1;
  }

  /** How many keep this object: it is filled anew only when the last of them has released it. */
  #holders = 0;
  /** The next one that nobody keeps, while nobody keeps this one either. */
  #spare: TimerEvent | undefined = undefined;

  /**
   * A cleared event to fill, which the caller keeps until it calls `release`: one that nobody keeps any more, or a
   * new one. So an event passes to everybody who keeps it without a copy, and only as many exist as are kept.
   */
  static take(): TimerEvent {
    if (spare === undefined) TimerEvent.#makeSpares();
    const event = spare as unknown as TimerEvent;
    spare = event.#spare;
    event.#holders = 1;
    return event.clear();
  }

  /** Several at a time: what happens seldom stays out of the code that V8 makes for what happens always. */
  static #makeSpares(): void {
    for (let count = 0; count < newSpares; count++) {
      const event = new TimerEvent();
      event.#spare = spare;
      spare = event;
    }
  }

  /** Keeps this object until `release`; its content must not change meanwhile. */
  retain(): this {
    this.#holders++;
    return this;
  }

  /** Ends a `retain` or `take`. */
  release(): void {
    if (--this.#holders !== 0) return;
    this.#spare = spare;
    spare = this;
  }

  /** Sets every field to "not known". Readers call it before they fill an event. */
  clear(): this {
    this.kind = Kind.lost;
    this.time = 0;
    this.cpu = -1;
    this.pid = -1;
    this.tgid = -1;
    this.context = Context.unknown;
    this.certainty = Certainty.recorded;
    this.position = 0;
    this.serial = 0;
    this.vcpu = -1;
    this.attribution = Certainty.unknown;
    this.vcpuId = -1;
    this.timer = Timer.unknown;
    this.irq = -1;
    this.level = -1;
    this.ctl = -1;
    if (this.hasCval) this.#clearCval();
    if (this.hasTimerPointer) this.#clearTimerPointer();
    this.expires = -1;
    this.monotonic = -1;
    this.exitCode = -1;
    this.exceptionClass = -1;
    this.otherPid = -1;
    this.sleeping = -1;
    if (this.hasDetails) this.#clearDetails();
    return this;
  }

  #clearCval(): void {
    this.hasCval = false;
    this.cvalHi = 0;
    this.cvalLo = 0;
  }

  #clearTimerPointer(): void {
    this.hasTimerPointer = false;
    this.timerPointerHi = 0;
    this.timerPointerLo = 0;
  }

  #clearDetails(): void {
    this.hasDetails = false;
    this.vm = -1;
    this.hasVcpuPointer = false;
    this.vcpuPointerHi = 0;
    this.vcpuPointerLo = 0;
    this.hasValue = false;
    this.valueHi = 0;
    this.valueLo = 0;
    this.activeCleared = -1;
    this.armed = -1;
    this.loaded = -1;
    this.register = Register.unknown;
    this.write = -1;
    this.directVtimer = Timer.unknown;
    this.directPtimer = Timer.unknown;
    this.emulVtimer = Timer.unknown;
    this.emulPtimer = Timer.unknown;
    this.lostCount = -1;
  }

  /** Copies every field of another event into this one. */
  copyFrom(other: TimerEvent): this {
    this.kind = other.kind;
    this.hasDetails = other.hasDetails;
    this.time = other.time;
    this.cpu = other.cpu;
    this.pid = other.pid;
    this.tgid = other.tgid;
    this.context = other.context;
    this.certainty = other.certainty;
    this.position = other.position;
    this.serial = other.serial;
    this.vcpu = other.vcpu;
    this.attribution = other.attribution;
    this.vcpuId = other.vcpuId;
    this.vm = other.vm;
    this.hasVcpuPointer = other.hasVcpuPointer;
    this.vcpuPointerHi = other.vcpuPointerHi;
    this.vcpuPointerLo = other.vcpuPointerLo;
    this.timer = other.timer;
    this.irq = other.irq;
    this.level = other.level;
    this.ctl = other.ctl;
    this.hasCval = other.hasCval;
    this.cvalHi = other.cvalHi;
    this.cvalLo = other.cvalLo;
    this.hasValue = other.hasValue;
    this.valueHi = other.valueHi;
    this.valueLo = other.valueLo;
    this.activeCleared = other.activeCleared;
    this.armed = other.armed;
    this.loaded = other.loaded;
    this.register = other.register;
    this.write = other.write;
    this.hasTimerPointer = other.hasTimerPointer;
    this.timerPointerHi = other.timerPointerHi;
    this.timerPointerLo = other.timerPointerLo;
    this.expires = other.expires;
    this.monotonic = other.monotonic;
    this.directVtimer = other.directVtimer;
    this.directPtimer = other.directPtimer;
    this.emulVtimer = other.emulVtimer;
    this.emulPtimer = other.emulPtimer;
    this.exitCode = other.exitCode;
    this.exceptionClass = other.exceptionClass;
    this.otherPid = other.otherPid;
    this.sleeping = other.sleeping;
    this.lostCount = other.lostCount;
    return this;
  }
}

/** Number of lost records of a CPU of which the input has nothing more, although it recorded more. */
export const lostToTheEnd = 0x7fffffff;

/** Number of events that are made when none is left. */
const newSpares = 64;

/** The first of the events that were kept, and are not any more; `#spare` leads to the others. */
let spare: TimerEvent | undefined;

/** Bits of CTL that a restore must bring back: ISTATUS is read-only and ignored on writes. */
export const writableCtl = Ctl.enable | Ctl.imask;

/** Bits 0..1 of CTL allow the timer to fire: enabled and not masked (kvm_timer_irq_can_fire). */
export function canFire(ctl: number): boolean {
  return (ctl & (Ctl.enable | Ctl.imask)) === Ctl.enable;
}

/**
 * Time within which the callback of an hrtimer starts it again (HRTIMER_RESTART), nanoseconds: what is armed on the same
 * CPU later than that is armed by somebody else.
 */
export const callbackSpan = 1_000_000;
