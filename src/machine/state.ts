import { Timer, TimerEvent } from '../events/event.js';
import { Kind, kindNames } from '../events/kinds.js';

/** A boolean that may not be known. `unknown` never satisfies and never falsifies a predicate (specification §4.0). */
export type Known = 0 | 1 | -1;
export const no = 0;
export const yes = 1;
export const unknown = -1;

/** A CPU or vcpu reference: an index, `none`, or not known. */
export const nowhere = -1;
export const somewhere = -2;

/** Number of timer contexts a vcpu can have (NR_KVM_TIMERS). */
export const contextCount = 4;

/** The hardware timer of a context, CNTV or CNTP: those of a hypervisor in the guest share them with the plain ones. */
export function hardwareOf(timer: number): number {
  return timer === Timer.hvtimer ? Timer.vtimer : timer === Timer.hptimer ? Timer.ptimer : timer;
}

/** The other context of the same hardware timer. */
export function twinOf(timer: number): number {
  return contextCount - 1 - timer;
}

/** How many earlier saves of a context are remembered, to recognise a stale restore. */
const remembered = 4;

/** Stands for "no such event yet": its serial is 0. */
export const noEvent = new TimerEvent();

/** Keeps an event in place of another. @returns the event */
export function replaceEvent(before: TimerEvent, event: TimerEvent): TimerEvent {
  event.retain();
  if (before !== noEvent) before.release();
  return event;
}

/** Kinds of which a vcpu remembers its last event: what rules and models ask for, and no other. */
export const vcpuRemembers = [
  Kind.load,
  Kind.put,
  Kind.put_end,
  Kind.entry,
  Kind.exit,
  Kind.schedule,
  Kind.unschedule,
  Kind.enable,
  Kind.reset,
  Kind.flush,
  Kind.sync,
  Kind.user_write,
  Kind.trapped_access,
  Kind.emulate,
  Kind.bg_arm,
  Kind.bg_cancel,
  Kind.bg_expire,
  Kind.userspace_exit,
  Kind.sched_switch,
] as const;

/** Kinds of which a CPU remembers its last event. */
export const cpuRemembers = [
  Kind.put,
  Kind.vtimer_irq,
  Kind.update_irq,
  Kind.vgic_inject,
  Kind.irq_line,
  // What CNTVOFF_EL2, CNTPOFF_EL2 and CNTHCTL_EL2 hold, as far as writes of them are recorded.
  Kind.set_cntvoff,
  Kind.set_cntpoff,
  Kind.set_traps,
] as const;

/** Last event of each kind, `serial` 0 when there was none. */
export type Last<Kinds extends readonly Kind[]> = { [kind in Kinds[number]]: TimerEvent };

function nothingYet<Kinds extends readonly Kind[]>(): Last<Kinds> {
  return kindNames.map(() => noEvent) as unknown as Last<Kinds>;
}

/** One timer context of a vcpu (struct arch_timer_context): what the trace lets us know of it. */
export class TimerContext {
  /** Whether the hardware holds this context's registers: between restore and save. */
  loaded: Known = unknown;
  /** True while `loaded` follows from a load or put of the model whose own record has not been seen. */
  implied = false;
  /** Memory copy (the last save, or what userspace wrote): CTL, -1 unknown. */
  ctl = -1;
  cvalHi = 0;
  cvalLo = 0;
  cvalKnown = false;
  /** Output level as last reported by kvm_timer_update_irq. */
  level: Known = unknown;
  /** Whether `save` is the last save that happened: false after a gap. */
  saveValid = false;
  /** What the last restore wrote to hardware; CTL -1 unknown. */
  restoredCtl = -1;
  restoredCvalHi = 0;
  restoredCvalLo = 0;
  restoredCvalKnown = false;
  /** Whether the guest was entered since the last restore: then it may have changed the registers. */
  enteredSinceRestore: Known = unknown;
  /** Whether something that leaves no record may have written the memory copy since the last save. */
  writable: Known = unknown;

  save = noEvent;
  restore = noEvent;
  update = noEvent;
  /** Last recorded userspace writes of CTL and CVAL. */
  userCtl = noEvent;
  userCval = noEvent;
  /** CVAL of earlier saves, oldest overwritten first, for the sub-diagnosis of a stale restore. */
  readonly earlierHi = new Int32Array(remembered);
  readonly earlierLo = new Int32Array(remembered);
  #earlier = 0;

  /** Remembers the last save as an earlier one, before a new one replaces it. */
  rememberSave(): void {
    const { save } = this;
    if (!save.hasCval || this.isEarlierSave(save.cvalHi, save.cvalLo)) return;
    this.earlierHi[this.#earlier % remembered] = save.cvalHi;
    this.earlierLo[this.#earlier % remembered] = save.cvalLo;
    this.#earlier++;
  }

  /** Whether a value is that of an earlier save, other than the last. */
  isEarlierSave(hi: number, lo: number): boolean {
    for (let i = 0; i < Math.min(remembered, this.#earlier); i++)
      if (this.earlierHi[i] === hi && this.earlierLo[i] === lo) return true;
    return false;
  }

  /** Forgets what a gap in the recording may have changed (specification §4.0, M2). */
  forget(): void {
    this.loaded = unknown;
    this.implied = false;
    this.forgetMemory();
    this.level = unknown;
    this.forgetHardware();
  }

  forgetMemory(): void {
    this.ctl = -1;
    this.cvalKnown = false;
    this.saveValid = false;
    this.writable = unknown;
  }

  forgetHardware(): void {
    this.restoredCtl = -1;
    this.restoredCvalKnown = false;
    this.enteredSinceRestore = unknown;
  }
}

/** One vcpu (struct kvm_vcpu and its arch_timer_cpu). */
export class VcpuState {
  readonly index: number;
  /** The CPU on which it is loaded, `nowhere`, or `somewhere`. */
  cpu = somewhere;
  /** True when `cpu` was only placed by a neighbouring record. */
  cpuApproximate = false;
  /** Since its last put it may have been loaded on a CPU that has recorded nothing so far. */
  unseen = false;
  /** A violation has left it open where this vcpu is loaded; nothing of its ownership is believed until its next put. */
  distrusted = false;
  /** Between kvm_entry and kvm_exit. */
  inGuest: Known = unknown;
  /** arch_timer_cpu.enabled: the vcpu has run before. */
  enabled: Known = unknown;
  /** Between schedule and unschedule. */
  blocked: Known = unknown;
  /** Exception class of the last exit, until the next entry; -1 when it was an interrupt or is not known. */
  exitClass = -1;
  /** Background timer. */
  bgArmed: Known = unknown;
  /** active_cleared_last (4.4 to 4.14): the last flush has cleared the active state, and nothing has happened since. */
  activeCleared: Known = unknown;
  /** Timer map: which context is direct and which emulated; `Timer.unknown` until a record says so. */
  directVtimer: number = Timer.unknown;
  directPtimer: number = Timer.unknown;
  emulVtimer: number = Timer.unknown;
  emulPtimer: number = Timer.unknown;
  /** Whether a restore of the direct virtual timer followed the enable. */
  restoredSinceEnable: Known = unknown;
  /** A reset whose effect on the next restore and level is still to be seen. */
  resetPending = false;
  readonly contexts: readonly TimerContext[] = Array.from({ length: contextCount }, () => new TimerContext());
  last: Last<typeof vcpuRemembers> = nothingYet();
  /** The kernel's vcpu_id, -1 until a record has named it. */
  id = -1;
  /** Its VM, where the notation or thread groups tell: two vcpus of different numbers are of different VMs; -1 unknown. */
  vm = -1;
  /** The last of its probed functions that showed the virtual counter offset of its VM; no event when none has. */
  offset = noEvent;

  constructor(index: number) {
    this.index = index;
  }

  forgetLast(): void {
    this.last = nothingYet();
  }

  /** A put has begun whose end has not been seen: the vcpu still counts as loaded, but not for long. */
  get putting(): boolean {
    const put = this.last[Kind.put].serial;
    return put > this.last[Kind.load].serial && put > this.last[Kind.put_end].serial;
  }

  /** It has entered the guest on another CPU than this and, in a trace that shows exits, has not exited since. */
  isInGuestBeside(cpu: number): boolean {
    return this.inGuest === yes && this.last[Kind.exit].serial > 0 && this.last[Kind.entry].cpu !== cpu;
  }

  /** Runs a hypervisor of its own: its timer map has emulated virtual timers. */
  get isNested(): boolean {
    return this.emulVtimer >= 0;
  }

  /** Whether a context is emulated by its timer map: no hardware holds its registers. */
  isEmulated(timer: number): boolean {
    return timer >= 0 && (timer === this.emulPtimer || timer === this.emulVtimer);
  }

  /** The direct virtual timer's context: the hvtimer under a nested hypervisor, the vtimer otherwise. */
  get vtimer(): TimerContext {
    return this.contexts[this.directVtimer >= 0 ? this.directVtimer : Timer.vtimer] as TimerContext;
  }
}

/** One physical CPU: its banked timer registers and interrupt. */
export class CpuState {
  readonly index: number;
  /** kvm_get_running_vcpu: the vcpu loaded here, `nowhere`, or `somewhere`. */
  running = somewhere;
  /** Owner of the CNTV and CNTP registers of this CPU: a vcpu, `nowhere` (CTL = 0), or `somewhere`; see `hardwareOf`. */
  readonly owner = new Int32Array(contextCount).fill(somewhere);
  /** Physical active state of the timer PPIs, by context. */
  readonly active: Known[] = Array.from({ length: contextCount }, () => unknown as Known);
  /** Time of its last event, nanoseconds since the trace began. */
  lastTime = Number.NEGATIVE_INFINITY;
  /** Inside the handler of a guest timer PPI. */
  inTimerIrq: Known = unknown;
  last: Last<typeof cpuRemembers> = nothingYet();

  constructor(index: number) {
    this.index = index;
  }

  forgetLast(): void {
    this.last = nothingYet();
  }
}
