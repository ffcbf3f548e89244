import { Context, Ctl, Register, Timer, TimerEvent } from '../events/event.js';
import { Kind, type KindName } from '../events/kinds.js';
import type { Design, KernelFunction, Operate, Role } from '../models/design.js';
import { Execution } from './execution.js';
import { type Fields, writeFields } from './fields.js';
import { type ExitReason, type Guest, GuestView } from './guest.js';
import type { EffectSink, Recorder } from './sink.js';
import {
  type HardTimer,
  hardTimer,
  hardTimers,
  maps,
  SimCpu,
  type SimHost,
  type SimMap,
  type SimPace,
  type SimTimer,
  SimVcpu,
  type SimVm,
  simTimers,
  tick,
} from './state.js';

/** Duration of a record, nanoseconds. What leaves no record takes no time, so that it leaves none in the clock either. */
const defaultRecordTime = 1008;

/** Most interrupts in a row that a storm is let go on for. */
export const longestStorm = 6;

/**
 * A host with concrete values, whose kernel is a design: CPUs with a counter and level-sensitive timer lines, an interrupt
 * controller with an active state and a forwarded flag, a vgic with one list register a timer, hrtimers. What the guest,
 * the scheduler and userspace do is told to it, one thing after the other; it records what a kernel with probes on
 * everything would record, and what the hypervisor's own trace would show of its writes.
 */
export class Simulation {
  /** Nanoseconds. */
  now = 1_000_000;
  /** How much too early hrtimers fire, nanoseconds: CLOCK_MONOTONIC is slewed, the counter is not. */
  slew = 0;
  readonly cpus: SimCpu[];
  readonly vcpus: SimVcpu[] = [];
  /** The forwarded flag of each timer's interrupt, shared by all CPUs. */
  readonly forwarded: Record<HardTimer, boolean>;
  readonly functions: ReadonlyMap<Role, KernelFunction>;
  readonly #event = new TimerEvent();
  readonly #execution: Execution;
  readonly #recordTime: number;
  readonly #cutStorms: boolean;
  readonly #deferWork: boolean;
  #inService = false;
  /** Storms that were cut. */
  stormsCut = 0;

  constructor(
    readonly design: Design,
    readonly host: SimHost,
    readonly record: Recorder,
    readonly sink?: EffectSink,
    { recordTime = defaultRecordTime, cutStorms = false, deferWork = false }: SimPace = {},
  ) {
    this.#recordTime = recordTime;
    this.#cutStorms = cutStorms;
    this.#deferWork = deferWork;
    this.cpus = Array.from({ length: host.cpus }, (_, index) => new SimCpu(index));
    this.functions = new Map(design.functions.map((each) => [each.role, each]));
    this.#execution = new Execution(this);
    // kvm_timer_hyp_init does it once, where there is an active state; the RFC at every load.
    const once = host.activeState && !JSON.stringify(design.functions).includes('"do":"affinity"');
    this.forwarded = { [Timer.ptimer]: once, [Timer.vtimer]: once };
  }

  vm(offset: number): SimVm {
    return { index: new Set(this.vcpus.map(({ vm }) => vm)).size, offset };
  }

  /** A CPU of the host, which has as many as are asked for. */
  cpu(index: number): SimCpu {
    for (let next = this.cpus.length; next <= index; next++) this.cpus.push(new SimCpu(next));
    return this.cpus[index] as SimCpu;
  }

  vcpu(vm: SimVm, id: number): SimVcpu {
    const vcpu = new SimVcpu(this.vcpus.length, vm, id, this.host.nested);
    this.vcpus.push(vcpu);
    return vcpu;
  }

  // --- the clock and the hardware -------------------------------------------

  /** CNTPCT, ticks. */
  get counter(): number {
    return Math.floor(this.now / tick);
  }

  /** The counter that a timer of a CPU compares with: at EL2 the physical one has no offset. */
  count(cpu: SimCpu, timer: SimTimer): number {
    return hardTimer(timer) === Timer.vtimer ? this.counter - cpu.cntvoff : this.counter;
  }

  /** CTL as it is read: with ISTATUS. */
  readCtl(cpu: SimCpu, timer: SimTimer): number {
    const { ctl, cval } = cpu.timers[hardTimer(timer)];
    const met = (ctl & Ctl.enable) !== 0 && this.count(cpu, timer) >= cval;
    return (ctl & (Ctl.enable | Ctl.imask)) | (met ? Ctl.istatus : 0);
  }

  /** The timer's output line. */
  line(cpu: SimCpu, timer: SimTimer): boolean {
    return this.readCtl(cpu, timer) === (Ctl.enable | Ctl.istatus);
  }

  /** The counter of a vcpu's timer context. */
  contextCount(vcpu: SimVcpu, timer: SimTimer): number {
    return this.counter - (hardTimer(timer) === Timer.vtimer ? vcpu.vm.offset : this.physicalOffset);
  }

  /** Ticks that CVAL of a context in memory, as its guest sees it, is behind that of the hardware. */
  cvalOffset(timer: SimTimer): number {
    return hardTimer(timer) === Timer.ptimer ? this.physicalOffset : 0;
  }

  get physicalOffset(): number {
    return this.host.physicalOffset ?? 0;
  }

  /** The physical counter has an offset that the hardware cannot apply: its timer traps. */
  get trapsPhysical(): boolean {
    return this.physicalOffset !== 0 && this.host.cntpoff !== true;
  }

  /** Time passes on all CPUs, stopping at whatever becomes due; nanoseconds. */
  advance(nanoseconds: number): void {
    const end = this.now + nanoseconds;
    for (let next = this.#nextDue(); next < end; next = this.#nextDue()) {
      this.now = next;
      this.#serviceAll();
    }
    this.now = Math.max(this.now, end);
    this.#serviceAll();
  }

  /** The next time from now on at which an hrtimer or a timer's line is due. */
  #nextDue(): number {
    let due = Number.POSITIVE_INFINITY;
    const consider = (time: number) => {
      if (time > this.now && time < due) due = time;
    };
    for (const { bg, contexts } of this.vcpus) {
      if (bg.armed) consider(bg.expires - this.slew);
      for (const timer of simTimers) {
        const { soft } = contexts[timer];
        if (soft.armed) consider(soft.expires - this.slew);
      }
    }
    for (const cpu of this.cpus)
      for (const timer of hardTimers) {
        const { ctl, cval } = cpu.timers[timer];
        if ((ctl & (Ctl.enable | Ctl.imask)) !== Ctl.enable) continue;
        consider((cval + (timer === Timer.vtimer ? cpu.cntvoff : 0)) * tick);
      }
    return due;
  }

  #serviceAll(): void {
    for (const cpu of this.cpus) this.service(cpu);
  }

  /** Takes the interrupts that are signalled to a CPU, if it takes any now. */
  service(cpu: SimCpu): void {
    if (cpu.irqsOff > 0 || cpu.inInterrupt) return;
    if (this.#deferWork && !this.#execution.busy) for (const vcpu of this.vcpus) this.#work(cpu, vcpu);
    this.#serviceHrtimers(cpu);
    for (let storm = this.#cutStorms ? cpu.storm : 0; storm < longestStorm; storm++) {
      const timer = hardTimers.find((each) => this.signalled(cpu, each));
      if (timer === undefined) break;
      this.#interrupt(cpu, timer);
      cpu.storm = storm + 1;
      if (this.#cutStorms && cpu.storm === longestStorm) this.stormsCut++;
    }
    if (!hardTimers.some((each) => this.signalled(cpu, each))) cpu.storm = 0;
  }

  /** Whether the interrupt controller signals a timer's interrupt to its CPU. */
  signalled(cpu: SimCpu, timer: HardTimer): boolean {
    return this.line(cpu, timer) && !cpu.active[timer] && !cpu.masked[timer];
  }

  #interrupt(cpu: SimCpu, timer: HardTimer): void {
    cpu.active[timer] = true;
    cpu.inInterrupt = true;
    const own = (cpu.running && this.directOf(cpu.running, timer)) ?? timer;
    this.emit('vtimer_irq', cpu, cpu.running, { timer: own });
    this.#execution.call('irq', { cpu, vcpu: cpu.running, timer: own });
    this.emit('vtimer_irq_end', cpu, cpu.running, { timer: own });
    cpu.inInterrupt = false;
    // The end of interrupt deactivates, unless that is left to the guest.
    if (!this.forwarded[timer]) cpu.active[timer] = false;
  }

  /** Whether an hrtimer is due, of those that fire on a CPU. */
  hrtimerDue(cpu: SimCpu): boolean {
    return this.vcpus.some((vcpu) => this.#firesOn(vcpu, cpu) && this.#dueOf(vcpu) !== undefined);
  }

  /** A loaded vcpu's timer fires on its CPU, any other on whichever comes first. */
  #firesOn(vcpu: SimVcpu, cpu: SimCpu): boolean {
    return vcpu.cpu < 0 || vcpu.cpu === cpu.index;
  }

  /** The timer of a vcpu that is due; `Timer.none` is the background timer. */
  #dueOf({ bg, contexts }: SimVcpu): SimTimer | Timer.none | undefined {
    const by = this.now + this.slew;
    if (bg.expires <= by) return Timer.none;
    return simTimers.find((timer) => contexts[timer].soft.expires <= by);
  }

  #serviceHrtimers(cpu: SimCpu): void {
    if (this.#inService) return;
    for (const vcpu of this.vcpus) {
      if (!this.#firesOn(vcpu, cpu)) continue;
      const due = this.#dueOf(vcpu);
      if (due === Timer.none) this.#expire(cpu, vcpu, 'bg_expire', Timer.unknown, vcpu.bg);
      else if (due !== undefined) this.#expire(cpu, vcpu, 'soft_expire', due, vcpu.contexts[due].soft);
    }
  }

  #expire(
    cpu: SimCpu,
    vcpu: SimVcpu,
    role: 'bg_expire' | 'soft_expire',
    timer: Timer,
    hrtimer: { expires: number; pointer: number },
  ): void {
    this.#inService = true;
    cpu.inInterrupt = true;
    hrtimer.expires = Number.NaN;
    const hrtimerAt = { timer, pointer: hrtimer.pointer };
    this.emit(role, cpu, vcpu, { ...hrtimerAt, expires: this.now });
    this.#execution.operands.inBackground = role === 'bg_expire';
    this.#execution.call(role, { cpu, vcpu, timer: timer === Timer.unknown ? Timer.vtimer : (timer as SimTimer) });
    this.emit('timer_callback_end', cpu, vcpu, hrtimerAt);
    cpu.inInterrupt = false;
    this.#inService = false;
    if (!this.#deferWork || !this.#execution.busy) this.#work(cpu, vcpu);
  }

  /** A worker thread runs the work item of a vcpu, if it is queued. */
  #work(cpu: SimCpu, vcpu: SimVcpu): void {
    if (!vcpu.workQueued) return;
    vcpu.workQueued = false;
    const { pid } = cpu;
    cpu.pid = 20 + cpu.index;
    this.#execution.call('bg_work', { cpu, vcpu, timer: Timer.vtimer });
    cpu.pid = pid;
  }

  // --- records --------------------------------------------------------------

  /** Records an event, which takes its time. */
  emit(kind: KindName, cpu: SimCpu, vcpu: SimVcpu | undefined, fields: Fields = {}): void {
    this.now += this.#recordTime;
    const event = this.#event.clear();
    event.hasDetails = true;
    event.kind = Kind[kind];
    event.time = this.now;
    event.cpu = cpu.index;
    event.pid = cpu.pid;
    event.context = cpu.inInterrupt ? Context.hardirq : Context.task;
    if (vcpu !== undefined) {
      event.vm = vcpu.vm.index;
      event.vcpuId = vcpu.id;
    }
    writeFields(event, kind, fields, this.host.gicv5 === true);
    if (kind === 'timer_map' && vcpu !== undefined) {
      const map = this.mapOf(vcpu);
      event.directVtimer = map.directVtimer;
      event.directPtimer = map.directPtimer ?? Timer.none;
      event.emulPtimer = map.emulPtimer ?? Timer.none;
      if (this.#showsEmulVtimer) event.emulVtimer = map.emulVtimer ?? Timer.none;
    }
    this.record(event);
    this.service(cpu);
  }

  get #showsEmulVtimer(): boolean {
    return this.design.id === 'offset' || this.design.id === 'stateless-level';
  }

  /** An operation has been done: interrupts may come right after it. */
  operated(operation: Operate, role: Role, cpu: SimCpu, vcpu: SimVcpu | undefined): void {
    this.sink?.effect(operation, role, cpu, vcpu);
    this.service(cpu);
  }

  // --- what happens to a vcpu -------------------------------------------------

  call(role: Role, cpu: SimCpu, vcpu: SimVcpu, timer: SimTimer = Timer.vtimer): void {
    this.#execution.call(role, { cpu, vcpu, timer });
  }

  has(role: Role): boolean {
    return this.functions.has(role);
  }

  /** vcpu_load of an ioctl. */
  load(vcpu: SimVcpu, cpu: SimCpu): void {
    cpu.pid = vcpu.pid;
    this.call('load', cpu, vcpu);
    this.service(cpu);
  }

  /** vcpu_put of an ioctl. */
  put(vcpu: SimVcpu, cpu: SimCpu): void {
    this.call('put', cpu, vcpu);
    this.service(cpu);
  }

  /** The scheduler takes the thread off its CPU: the notifier runs with interrupts off, after sched_switch. */
  scheduleOut(vcpu: SimVcpu, cpu: SimCpu, sleeping: boolean, next = 0): void {
    cpu.irqsOff++;
    this.emit('sched_switch', cpu, vcpu, { otherPid: next, sleeping });
    this.call('put', cpu, vcpu);
    vcpu.asleep = sleeping;
    cpu.pid = next;
    cpu.irqsOff--;
    this.service(cpu);
  }

  /** The scheduler brings the thread to a CPU. */
  scheduleIn(vcpu: SimVcpu, cpu: SimCpu): void {
    vcpu.asleep = false;
    this.emit('sched_switch', cpu, undefined, { otherPid: vcpu.pid, sleeping: false });
    this.load(vcpu, cpu);
  }

  /** One trip into the guest; `guest` says what it does there. */
  run(vcpu: SimVcpu, cpu: SimCpu, guest: Guest): void {
    const execution = this.#execution;
    execution.guest = () => this.#guest(vcpu, cpu, guest);
    this.call('run', cpu, vcpu);
    this.#endTrip(vcpu);
    this.service(cpu);
  }

  /** What the guest has not taken is no longer in a list register: the line decides again. */
  #endTrip(vcpu: SimVcpu): void {
    for (const timer of simTimers) {
      const context = vcpu.contexts[timer];
      if (context.listRegister === 'pending') context.listRegister = 'none';
    }
  }

  /** The first half of a trip, where others act while the guest runs: up to the statement that lets it run. */
  enter(vcpu: SimVcpu, cpu: SimCpu): void {
    this.#execution.half({ cpu, vcpu, timer: Timer.vtimer }, 'before');
    this.#beginStay(vcpu);
  }

  /** The second half: from the statement that let the guest run. @param reason why it was left */
  leave(vcpu: SimVcpu, cpu: SimCpu, reason: ExitReason): void {
    this.exitReason = reason;
    vcpu.inGuest = false;
    this.#execution.half({ cpu, vcpu, timer: Timer.vtimer }, 'after');
    this.#endTrip(vcpu);
    this.service(cpu);
  }

  /** What ended the last stay in the guest. */
  exitReason: ExitReason = { code: 0, exceptionClass: -1 };

  #guest(vcpu: SimVcpu, cpu: SimCpu, guest: Guest): void {
    this.#beginStay(vcpu);
    this.exitReason = { code: 0, exceptionClass: -1 };
    guest(new GuestView(this, vcpu, cpu));
    vcpu.inGuest = false;
  }

  /** The vgic puts what is pending into the list registers. */
  #beginStay(vcpu: SimVcpu): void {
    for (const timer of simTimers) {
      const context = vcpu.contexts[timer];
      if (!context.line || context.listRegister !== 'none') continue;
      context.listRegister = 'pending';
      // A mapped level-sensitive interrupt is sampled again when it is taken back.
      if (this.design.vgicSamplesLine && this.isMapped(vcpu, timer)) context.line = false;
    }
    vcpu.inGuest = true;
  }

  /** Whether a timer's virtual interrupt is tied to the physical one. */
  isMapped(vcpu: SimVcpu, timer: SimTimer): boolean {
    return this.host.inKernelIrqchip && this.isDirect(vcpu, timer);
  }

  /** Whether the hardware holds a timer while its vcpu is loaded. */
  isDirect(vcpu: SimVcpu, timer: SimTimer): boolean {
    return this.directOf(vcpu, hardTimer(timer)) === timer;
  }

  /** The context that a vcpu has in a hardware timer. */
  directOf(vcpu: SimVcpu, timer: HardTimer): SimTimer | undefined {
    const { directVtimer, directPtimer } = this.mapOf(vcpu);
    return timer === Timer.vtimer ? directVtimer : directPtimer;
  }

  /** kvm_get_timer_map; before it, only the virtual timer is direct. */
  mapOf({ inHypervisor }: SimVcpu): SimMap {
    if (this.host.nested === true) return inHypervisor ? maps.hypervisor : maps.nestedGuest;
    return this.host.host === 'vhe' && this.functions.has('load_irq') ? maps.vhe : maps.nvhe;
  }

  /** Wakes a vcpu's thread, if it sleeps. */
  wake(vcpu: SimVcpu, cpu: SimCpu): void {
    if (!vcpu.asleep) return;
    vcpu.asleep = false;
    this.emit('wakeup', cpu, undefined, { otherPid: vcpu.pid });
  }

  /** KVM_SET_ONE_REG: up to 4.15 with the vcpu loaded. @param value of a register, or the count to set */
  userWrite(vcpu: SimVcpu, cpu: SimCpu, timer: SimTimer, register: Register, value: number): void {
    const loads = this.loadsForIoctls;
    cpu.pid = vcpu.pid;
    if (loads) this.load(vcpu, cpu);
    this.write(vcpu, cpu, timer, register, value);
    if (loads) this.put(vcpu, cpu);
  }

  /** The write itself, by an ioctl that has done whatever comes before it. */
  write(vcpu: SimVcpu, cpu: SimCpu, timer: SimTimer, register: Register, value: number): void {
    this.#execution.operands.written = { register, value, write: true };
    this.call(register === Register.cnt ? 'user_offset' : 'user_write', cpu, vcpu, timer);
  }

  get loadsForIoctls(): boolean {
    return ['world-switch', 'rfc-load-put', 'load-put-4.15'].includes(this.design.id);
  }

  /** A trapped access to a timer register, between exit and the next entry. */
  trappedAccess(vcpu: SimVcpu, cpu: SimCpu, timer: SimTimer, register: Register, value: number, write = true): void {
    this.#execution.operands.written = { register, value, write };
    this.call('trapped_access', cpu, vcpu, timer);
  }
}
