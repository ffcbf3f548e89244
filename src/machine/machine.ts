import { Ctl, Register, type TimerEvent } from '../events/event.js';
import { Kind, kindNames } from '../events/kinds.js';
import { emptyList } from '../events/list.js';
import {
  CpuState,
  contextCount,
  cpuRemembers,
  hardwareOf,
  type Known,
  no,
  noEvent,
  nowhere,
  replaceEvent,
  somewhere,
  type TimerContext,
  unknown,
  VcpuState,
  vcpuRemembers,
  yes,
} from './state.js';

/** Which kind of VM host the kernel is. */
export type Host = 'vhe' | 'nvhe';

/**
 * The state of the host's timers as far as a trace lets it be known (specification §0.3): every field is a value
 * or unknown. Models change it through methods that bear the kernel's names; rules read it.
 */
export class Machine {
  readonly vcpus: VcpuState[] = emptyList();
  readonly cpus: CpuState[] = emptyList();
  /** The forwarded flag of the vtimer's PPI: one for all CPUs. */
  forwarded: Known = unknown;
  /** Time of the last event, nanoseconds since the trace began. */
  now = 0;
  readonly #newcomers: ((vcpu: VcpuState) => void)[] = [];
  /** Whether the trace shows that a vcpu leaves its CPU: its puts, or the switches of its thread. */
  showsLeaving = true;

  cpu(index: number): CpuState {
    return this.cpus[index] ?? this.#addCpus(index);
  }

  vcpu(index: number): VcpuState {
    return this.vcpus[index] ?? this.#addVcpus(index);
  }

  /** Keeps the event as the last of its kind of its vcpu, if it has one, and CPU. */
  remember(event: TimerEvent, vcpu: VcpuState | undefined, cpu: CpuState): void {
    const { kind, time } = event;
    this.now = time;
    cpu.lastTime = time;
    const remembered = whoRemembers[kind] as number;
    if ((remembered & Remembers.cpu) !== 0) keep(cpu.last, kind, event);
    if (vcpu === undefined) return;
    // The vgic prints the vcpu's index from 6.12 on (specification §3.1).
    if (event.vcpuId >= 0 && kind !== Kind.vgic_inject) vcpu.id = event.vcpuId;
    if (event.vm >= 0) vcpu.vm = event.vm;
    if ((remembered & Remembers.offset) !== 0 && event.hasValue) vcpu.offset = replaceEvent(vcpu.offset, event);
    if ((remembered & Remembers.vcpu) !== 0) keep(vcpu.last, kind, event);
  }

  /** Tells of every vcpu, as soon as the first event of it is at hand. */
  whenAdded(listener: (vcpu: VcpuState) => void): void {
    this.#newcomers.push(listener);
  }

  #addCpus(index: number): CpuState {
    for (let i = this.cpus.length; i <= index; i++) this.cpus.push(new CpuState(i));
    return this.cpus[index] as CpuState;
  }

  #addVcpus(index: number): VcpuState {
    for (let i = this.vcpus.length; i <= index; i++) {
      const vcpu = new VcpuState(i);
      this.vcpus.push(vcpu);
      for (const listener of this.#newcomers) listener(vcpu);
    }
    return this.vcpus[index] as VcpuState;
  }

  // --- running vcpu -------------------------------------------------------

  /** kvm_arch_vcpu_load: kvm_arm_set_running_vcpu(vcpu), vcpu->cpu = cpu. */
  setRunning(vcpu: VcpuState, cpu: CpuState, approximate: boolean): void {
    const before = vcpu.cpu;
    if (before >= 0 && before !== cpu.index) {
      const other = this.cpu(before);
      // Nothing has shown that it left: that is for the rules to judge, not for the state to assume.
      if (other.running === vcpu.index) other.running = somewhere;
    }
    if (cpu.running >= 0 && cpu.running !== vcpu.index) this.vcpu(cpu.running).cpu = somewhere;
    cpu.running = vcpu.index;
    vcpu.cpu = cpu.index;
    vcpu.cpuApproximate = approximate;
  }

  /** kvm_arch_vcpu_put: vcpu->cpu = -1, kvm_arm_set_running_vcpu(NULL). */
  clearRunning(vcpu: VcpuState, cpu: CpuState): void {
    cpu.running = nowhere;
    vcpu.cpu = nowhere;
    vcpu.cpuApproximate = false;
  }

  // --- timer registers ----------------------------------------------------

  /** timer_save_state: memory := hardware, hardware CTL := 0, loaded := false. */
  saveState(vcpu: VcpuState, cpu: CpuState, timer: number, event: TimerEvent | undefined): void {
    const context = vcpu.contexts[timer] as TimerContext;
    context.rememberSave();
    if (event?.hasCval) {
      context.ctl = event.ctl;
      context.cvalHi = event.cvalHi;
      context.cvalLo = event.cvalLo;
      context.cvalKnown = true;
    } else context.forgetMemory();
    if (event !== undefined) context.save = replaceEvent(context.save, event);
    context.saveValid = event?.hasCval === true;
    context.writable = no;
    context.loaded = no;
    context.implied = event === undefined;
    // What the hardware held is still to be compared with the record of a save that only a put has implied so far.
    if (event !== undefined) context.forgetHardware();
    cpu.owner[hardwareOf(timer)] = nowhere;
  }

  /** timer_restore_state: hardware := memory (CVAL, isb, CTL), loaded := true. */
  restoreState(vcpu: VcpuState, cpu: CpuState, timer: number, event: TimerEvent | undefined): void {
    const context = vcpu.contexts[timer] as TimerContext;
    if (event?.hasCval) {
      context.restoredCtl = event.ctl;
      context.restoredCvalHi = event.cvalHi;
      context.restoredCvalLo = event.cvalLo;
      context.restoredCvalKnown = true;
    } else {
      context.restoredCtl = context.ctl;
      context.restoredCvalHi = context.cvalHi;
      context.restoredCvalLo = context.cvalLo;
      context.restoredCvalKnown = context.cvalKnown && context.writable === no;
    }
    if (event !== undefined) context.restore = replaceEvent(context.restore, event);
    context.loaded = yes;
    context.implied = event === undefined;
    context.enteredSinceRestore = no;
    cpu.owner[hardwareOf(timer)] = vcpu.index;
  }

  /** The record of an operation that the model had already implied: it only supplies the values. */
  confirmSave(vcpu: VcpuState, timer: number, event: TimerEvent): void {
    const context = vcpu.contexts[timer] as TimerContext;
    context.implied = false;
    context.ctl = event.ctl;
    context.cvalKnown = event.hasCval;
    context.cvalHi = event.cvalHi;
    context.cvalLo = event.cvalLo;
    context.save = replaceEvent(context.save, event);
    context.saveValid = event.hasCval;
    context.forgetHardware();
  }

  /** As `confirmSave`, for a restore. */
  confirmRestore(vcpu: VcpuState, timer: number, event: TimerEvent): void {
    const context = vcpu.contexts[timer] as TimerContext;
    context.implied = false;
    context.restoredCtl = event.ctl;
    context.restoredCvalKnown = event.hasCval;
    context.restoredCvalHi = event.cvalHi;
    context.restoredCvalLo = event.cvalLo;
    context.restore = replaceEvent(context.restore, event);
  }

  /**
   * A record shows the memory copy of a context that was not loaded: after a save whose values no record has shown, these
   * are they.
   */
  showSaved(vcpu: VcpuState, timer: number, event: TimerEvent): void {
    const context = vcpu.contexts[timer] as TimerContext;
    if (context.saveValid) return;
    context.ctl = event.ctl;
    context.cvalHi = event.cvalHi;
    context.cvalLo = event.cvalLo;
    context.cvalKnown = event.hasCval;
    context.save = replaceEvent(context.save, event);
    context.saveValid = true;
  }

  /** KVM_SET_ONE_REG: the memory copy changes (kvm_arm_timer_set_reg). ISTATUS is read-only. */
  writeMemory(vcpu: VcpuState, event: TimerEvent): void {
    const context = vcpu.contexts[event.timer];
    if (context === undefined) return;
    if (event.register === Register.ctl) {
      context.userCtl = replaceEvent(context.userCtl, event);
      context.ctl = event.hasValue ? event.valueLo & ~Ctl.istatus : -1;
    } else if (event.register === Register.cval) {
      context.userCval = replaceEvent(context.userCval, event);
      context.cvalHi = event.valueHi;
      context.cvalLo = event.valueLo;
      context.cvalKnown = event.hasValue;
    }
  }

  /** A probe has read the memory copy at the entry of a function: it only supplies what was not known. */
  showMemory(vcpu: VcpuState, timer: number, event: TimerEvent): void {
    const context = vcpu.contexts[timer] as TimerContext;
    if (event.level >= 0) context.level = event.level === 1 ? yes : no;
    if (event.ctl < 0 || !event.hasCval) return;
    context.rememberSave();
    context.ctl = event.ctl;
    context.cvalKnown = true;
    context.cvalHi = event.cvalHi;
    context.cvalLo = event.cvalLo;
    context.save = replaceEvent(context.save, event);
    context.saveValid = true;
  }

  // --- interrupt line -----------------------------------------------------

  /** kvm_timer_update_irq: level := new level, traced and injected. */
  updateIrq(vcpu: VcpuState, timer: number, level: Known, event: TimerEvent): void {
    const context = vcpu.contexts[timer];
    if (context === undefined) return;
    context.level = level;
    context.update = replaceEvent(context.update, event);
  }

  /** irq_set_irqchip_state(irq, IRQCHIP_STATE_ACTIVE, active) on the current CPU. */
  setActive(cpu: CpuState, timer: number, active: Known): void {
    if (timer >= 0 && timer < contextCount) cpu.active[timer] = active;
  }

  /** irq_set_vcpu_affinity: the forwarded flag, shared by all CPUs. */
  setAffinity(forwarded: Known): void {
    this.forwarded = forwarded;
  }

  // --- background timer ---------------------------------------------------

  /** soft_timer_start of the background timer (timer_arm before 4.15). */
  armBackgroundTimer(vcpu: VcpuState): void {
    vcpu.bgArmed = yes;
  }

  /** soft_timer_cancel of the background timer (timer_disarm before 4.15), or its expiry. */
  disarmBackgroundTimer(vcpu: VcpuState): void {
    vcpu.bgArmed = no;
  }

  // --- what is not known any more -----------------------------------------

  /**
   * Records of a CPU were lost between its last record and now: all that they could have changed is unknown
   * (specification §4.0, M2). What other CPUs have recorded of a vcpu since they loaded it stays known.
   */
  forgetCpu(index: number): void {
    const cpu = this.cpu(index);
    const gapStart = cpu.lastTime;
    cpu.running = somewhere;
    cpu.owner.fill(somewhere);
    cpu.active.fill(unknown);
    cpu.inTimerIrq = unknown;
    cpu.forgetLast();
    // One flag for all CPUs: the lost records may have set or cleared it.
    this.forwarded = unknown;
    for (const vcpu of this.vcpus) {
      // An idle CPU's hrtimers move to another (get_nohz_timer_target): any armed one may have fired in the gap.
      if (vcpu.bgArmed === yes) vcpu.bgArmed = unknown;
      const elsewhere = this.showsLeaving
        ? vcpu.cpu >= 0 && vcpu.cpu !== index && !vcpu.putting
        : vcpu.isInGuestBeside(index);
      // Loaded on this CPU, or possibly loaded here in the gap.
      if (!elsewhere) this.forgetVcpu(vcpu);
      // Loaded on another CPU since before the gap: nothing of it can have been recorded here.
      // Loaded on another CPU within the gap: until then it may have been here.
      else if (vcpu.last[Kind.load].time > gapStart) this.#forgetBeforeLoad(vcpu);
    }
  }

  /** Forgets what was known of a vcpu before its last load. */
  #forgetBeforeLoad(vcpu: VcpuState): void {
    const { serial } = vcpu.last[Kind.load];
    const endedSince = ([Kind.bg_cancel, Kind.bg_expire] as const).some((kind) => vcpu.last[kind].serial > serial);
    if (!endedSince) vcpu.bgArmed = unknown;
    vcpu.resetPending = false;
    for (const context of vcpu.contexts) {
      if (context.save.serial <= serial) context.forgetMemory();
      if (context.update.serial <= serial) context.level = unknown;
      if (context.restore.serial <= serial) {
        context.loaded = unknown;
        context.forgetHardware();
      }
    }
  }

  /**
   * The vcpu was put: where a CPU of the host has recorded nothing so far, it may be loaded there from now on. What was
   * saved stays as evidence, since an equal restore is proof enough.
   */
  loseSight(vcpu: VcpuState, blind: boolean): void {
    vcpu.unseen = blind;
    if (!blind) return;
    vcpu.cpu = somewhere;
    vcpu.blocked = unknown;
    if (vcpu.bgArmed === yes) vcpu.bgArmed = unknown;
    vcpu.activeCleared = unknown;
    for (const context of vcpu.contexts) {
      context.loaded = unknown;
      context.level = unknown;
      context.forgetHardware();
    }
  }

  forgetVcpu(vcpu: VcpuState): void {
    this.#release(vcpu);
    vcpu.offset = noEvent;
    vcpu.distrusted = false;
    vcpu.unseen = false;
    vcpu.cpu = somewhere;
    vcpu.inGuest = unknown;
    vcpu.blocked = unknown;
    vcpu.exitClass = -1;
    vcpu.bgArmed = unknown;
    vcpu.activeCleared = unknown;
    vcpu.resetPending = false;
    vcpu.restoredSinceEnable = unknown;
    for (const context of vcpu.contexts) context.forget();
    vcpu.forgetLast();
  }

  /**
   * After a violation of ownership nothing about who is loaded where can be trusted: not the vcpu, not the CPU, and
   * nobody whom they may have displaced. Each is believed again from its next put on, so that one fault gives one
   * finding and not a chain of consequences.
   */
  distrustOwnership(vcpu: VcpuState | undefined, cpu: CpuState | undefined): void {
    if (vcpu !== undefined) this.#distrust(vcpu);
    if (cpu === undefined) return;
    if (cpu.running >= 0) this.#distrust(this.vcpu(cpu.running));
    for (const owner of cpu.owner) if (owner >= 0) this.#distrust(this.vcpu(owner));
    cpu.running = somewhere;
    cpu.owner.fill(somewhere);
  }

  /** What an event of a distrusted vcpu has changed is not believed; its put ends that. */
  settleDistrust(vcpu: VcpuState, event: TimerEvent): void {
    if (event.kind !== Kind.put) return this.#distrust(vcpu);
    vcpu.distrusted = false;
    vcpu.cpu = event.cpu;
    vcpu.inGuest = no;
  }

  /** After a violation of a context's values neither copy of its registers can be trusted. */
  distrustRegisters(vcpu: VcpuState, timer: number): void {
    vcpu.contexts[timer]?.forgetMemory();
    vcpu.contexts[timer]?.forgetHardware();
  }

  /** Whatever CPU the vcpu was thought to hold may be anybody's. */
  #release(vcpu: VcpuState): void {
    for (const cpu of this.cpus) {
      if (cpu.running === vcpu.index) cpu.running = somewhere;
      for (let timer = 0; timer < contextCount; timer++)
        if (cpu.owner[timer] === vcpu.index) cpu.owner[timer] = somewhere;
    }
  }

  #distrust(vcpu: VcpuState): void {
    vcpu.distrusted = true;
    this.#release(vcpu);
    vcpu.cpu = somewhere;
    vcpu.inGuest = unknown;
    for (const context of vcpu.contexts) {
      context.loaded = unknown;
      context.implied = false;
      context.forgetMemory();
      context.forgetHardware();
    }
  }
}

/** Who remembers the last event of a kind. */
enum Remembers {
  vcpu = 1,
  cpu = 2,
  /** The vcpu as well, as the last that showed its counter offset. */
  offset = 4,
}

/** By kind: a set of `Remembers`. */
const whoRemembers = new Uint8Array(kindNames.length);
for (const kind of vcpuRemembers) whoRemembers[kind]! |= Remembers.vcpu;
for (const kind of cpuRemembers) whoRemembers[kind]! |= Remembers.cpu;
// Functions of a vcpu, whose probes may fetch its counter offset as their value.
for (const kind of [
  Kind.load,
  Kind.put,
  Kind.timer_load,
  Kind.timer_put,
  Kind.schedule,
  Kind.unschedule,
  Kind.enable,
  Kind.reset,
  Kind.flush,
  Kind.sync,
])
  whoRemembers[kind]! |= Remembers.offset;

function keep(last: { [kind in Kind]?: TimerEvent }, kind: Kind, event: TimerEvent): void {
  last[kind] = replaceEvent(last[kind] as TimerEvent, event);
}
