/**
 * A VHE host of Linux 6.1 with six CPUs and two VMs of four vcpus each, simulated.
 *
 * What it records, in which order and how often is taken from recordings of such hosts; a record that KVM's timer code
 * cannot make is not made. A CPU acts in bursts: all records from one interruption of what it runs to the next. The CPU
 * whose next burst is earliest acts next, so memory does not grow with the trace.
 */
import { Burst } from './burst.js';
import type { DatWriter } from './dat-writer.js';
import {
  Cpu,
  cpuCount,
  ctlEnable,
  ctlImask,
  dabtClass,
  hvcClass,
  ms,
  never,
  nextTick,
  nsPerCount,
  redistributor,
  sgiName,
  start,
  sys64Class,
  uart,
  us,
  type Vcpu,
  Vm,
  vcpusPerVm,
  wfxClass,
} from './host-state.js';
import { Kvm } from './kvm.js';
import type { Metadata } from './metadata.js';
import {
  exitIrq,
  exitTrap,
  hardirq,
  idleState,
  irqs,
  irqsOff,
  preempted,
  running,
  sleeping,
  type Thread,
  Tracepoints,
} from './tracepoints.js';

export class Host {
  readonly #writer: DatWriter;
  readonly #cpus: readonly Cpu[];
  readonly #vms: readonly Vm[];
  readonly #burst: Burst;
  readonly #kvm: Kvm;
  /** The VMs whose main thread became runnable in the current burst. */
  #vmmDue: Vm[] = [];

  constructor(writer: DatWriter, metadata: Metadata, events: number) {
    this.#writer = writer;
    this.#burst = new Burst(new Tracepoints(metadata, events));
    this.#cpus = Array.from({ length: cpuCount }, (_, id) => new Cpu(id, start + id * 1_600));
    this.#kvm = new Kvm(this.#burst, this.#cpus);
    this.#vms = [new Vm(0, start), new Vm(1, start)];
    for (const vm of this.#vms) {
      this.#cpus[vm.number * 3]!.vmmTimers.push({ vm, at: start + 20 * ms });
      for (const vcpu of vm.vcpus) this.#place(vcpu, this.#cpus[(vm.number * vcpusPerVm + vcpu.id) % cpuCount]!, start);
    }
  }

  /** Names of all threads that the trace shows, by pid. */
  get comms(): Map<number, string> {
    const threads = [...this.#vms.flatMap((vm) => [vm.vmm, ...vm.vcpus]), ...this.#cpus.flatMap((cpu) => cpu.helpers)];
    return new Map(threads.map(({ pid, comm }) => [pid, comm]));
  }

  /** Writes the events, and tells how many of each there are. */
  run(): ReadonlyMap<string, number> {
    while (this.#burst.trace.left > 0) {
      let next = this.#cpus[0]!;
      for (const cpu of this.#cpus) if (cpu.nextAt < next.nextAt) next = cpu;
      this.#act(next);
    }
    this.#burst.trace.finish();
    return this.#burst.trace.counts;
  }

  #act(cpu: Cpu): void {
    this.#burst.cpu = cpu;
    this.#burst.trace.stream = this.#writer.cpus[cpu.id]!;
    cpu.time = Math.max(cpu.time + nsPerCount, cpu.nextAt);
    this.#burst.trace.time = cpu.time;
    if (cpu.mode === 'guest') this.#leaveGuest(cpu.vcpu!);
    else if (cpu.mode === 'user') this.#inUserspace(cpu.vcpu!);
    else this.#inIdle();
    cpu.nextAt = Math.max(this.#nextBurst(cpu), cpu.time + nsPerCount);
  }

  #nextBurst(cpu: Cpu): number {
    let at = cpu.hostDue;
    const { vcpu } = cpu;
    if (cpu.mode === 'idle') for (const waiting of cpu.queue) at = Math.min(at, waiting.readyAt);
    else if (cpu.mode === 'user') at = Math.min(at, vcpu!.userUntil);
    else at = Math.min(at, vcpu!.actsAt, this.#kvm.vtimerAt(vcpu!));
    return at;
  }

  // Interrupts of the host

  /** Handles what is due; `pid` is the interrupted thread. */
  #interrupts(pid: number): { tick: boolean } {
    const cpu = this.#burst.cpu;
    let tick = false;
    if (cpu.ipiAt <= cpu.time) {
      cpu.ipiAt = never;
      const ipi = this.#burst.chance(0.5) ? irqs.reschedule : irqs.call;
      this.#burst.after(4 * us, 12 * us, pid, irqsOff | hardirq).irqEntry(ipi);
      this.#burst.after(4 * us, 30 * us, pid, irqsOff | hardirq).irqExit(ipi);
    }
    if (cpu.virtioAt <= cpu.time) {
      cpu.virtioAt = cpu.time + this.#burst.between(10 * ms, 60 * ms);
      this.#burst.after(2 * us, 8 * us, pid, irqsOff | hardirq).irqEntry(irqs.virtio);
      this.#burst.after(10 * us, 40 * us, pid, irqsOff | hardirq).irqExit(irqs.virtio);
    }
    if (cpu.timersDue) {
      this.#burst.after(3 * us, 10 * us, pid, irqsOff | hardirq).irqEntry(irqs.archTimer);
      const now = this.#burst.monotonic(cpu.time) + 2 * us;
      if (cpu.tickAt <= cpu.time) {
        tick = true;
        this.#burst.after(3 * us, 15 * us, pid, irqsOff | hardirq).hrtimerExpire(cpu.tickTimer, 'tick', now);
        cpu.tickAt = nextTick(cpu.time);
        cpu.tickStopped = false;
        const expires = this.#burst.monotonic(cpu.tickAt);
        this.#burst
          .after(15 * us, 60 * us, pid, irqsOff | hardirq)
          .hrtimerStart(cpu.tickTimer, 'tick', expires, 0, 0, 0);
      }
      for (let i = cpu.armed.length - 1; i >= 0; i--) {
        const vcpu = cpu.armed[i]!;
        if (vcpu.bgExpires > cpu.time) continue;
        this.#kvm.disarm(vcpu);
        this.#burst.after(3 * us, 20 * us, pid, irqsOff | hardirq).hrtimerExpire(vcpu.bgTimer, 'background', now);
        vcpu.bgFiredAt = cpu.time;
        this.#wake(vcpu, pid);
      }
      for (const timer of cpu.vmmTimers) {
        if (timer.at > cpu.time) continue;
        timer.at = never;
        this.#burst.after(3 * us, 20 * us, pid, irqsOff | hardirq).hrtimerExpire(timer.vm.vmmTimer, 'wakeup', now);
        this.#vmmDue.push(timer.vm);
      }
      this.#burst.after(4 * us, 30 * us, pid, irqsOff | hardirq).irqExit(irqs.archTimer);
    }
    return { tick };
  }

  // Threads

  /** `kvm_vcpu_wake_up`: a blocked thread becomes runnable, here or on another CPU. */
  #wake(vcpu: Vcpu, by: number): void {
    if (!vcpu.blocked) return;
    vcpu.blocked = false;
    let target = this.#cpus[vcpu.cpu]!;
    if (target.mode !== 'idle' || target.queue.length > 0 || this.#burst.chance(0.05)) {
      const first = Math.floor(this.#burst.uniform() * cpuCount);
      for (let i = 0; i < cpuCount; i++) {
        const cpu = this.#cpus[(first + i) % cpuCount]!;
        if (cpu.mode !== 'idle' || cpu.queue.length > 0) continue;
        if (this.#burst.chance(0.3)) target = cpu;
        break;
      }
    }
    if (target.id !== vcpu.cpu) {
      this.#burst.after(2 * us, 10 * us, by, this.#burst.trace.flags).migrate(vcpu, vcpu.cpu, target.id);
    }
    this.#place(vcpu, target, this.#burst.cpu.time);
  }

  #place(vcpu: Vcpu, target: Cpu, time: number): void {
    vcpu.readyAt = Math.max(vcpu.readyAt, time);
    vcpu.cpu = target.id;
    target.queue.push(vcpu);
    if (target !== this.#burst.cpu) this.#interrupt(target, vcpu.readyAt);
  }

  /** Sends an interprocessor interrupt. */
  #interrupt(target: Cpu, time: number): void {
    const at = Math.max(time, target.time) + this.#burst.between(4 * us, 20 * us);
    target.ipiAt = Math.min(target.ipiAt, at);
    target.nextAt = Math.min(target.nextAt, target.ipiAt);
  }

  /** The first thread of the queue that is allowed to run, taken out; now and then another CPU's that waits there. */
  #pick(): Vcpu | undefined {
    const cpu = this.#burst.cpu;
    const own = cpu.queue.findIndex((vcpu) => vcpu.readyAt <= cpu.time);
    if (own >= 0) return cpu.queue.splice(own, 1)[0];
    if (!this.#burst.chance(0.15)) return undefined;
    for (const other of this.#cpus) {
      if (other === cpu || other.mode === 'idle') continue;
      const index = other.queue.findIndex((vcpu) => vcpu.readyAt <= cpu.time);
      if (index < 0) continue;
      const vcpu = other.queue.splice(index, 1)[0]!;
      this.#burst.after(5 * us, 15 * us, this.#burst.trace.pid, irqsOff).migrate(vcpu, other.id, cpu.id);
      vcpu.cpu = cpu.id;
      return vcpu;
    }
    return undefined;
  }

  /** The CPU leaves `prev` for the next runnable thread. `put` writes what follows the switch of a loaded vcpu. */
  #schedule(prev: Thread, state: number, put?: () => void): void {
    const cpu = this.#burst.cpu;
    let current = prev;
    let currentState = state;
    let leave = put;
    const switchTo = (next: Thread) => {
      this.#burst.after(10 * us, 40 * us, current.pid, irqsOff).schedSwitch(current, currentState, next);
      leave?.();
      leave = undefined;
      current = next;
    };
    for (const vm of this.#vmmDue.splice(0)) {
      switchTo(vm.vmm);
      this.#runVmm(vm);
      currentState = sleeping;
    }
    if (this.#burst.chance(0.12)) {
      const helper = cpu.helpers[Math.floor(this.#burst.uniform() * cpu.helpers.length)]!;
      switchTo(helper);
      this.#burst.after(10 * us, 60 * us, helper.pid, irqsOff);
      currentState = helper.comm.startsWith('ksoftirqd') ? sleeping : idleState;
    }
    const next = this.#pick();
    if (next) {
      switchTo(next);
      this.#runVcpu(next);
    } else {
      if (current !== cpu.idle) switchTo(cpu.idle);
      cpu.mode = 'idle';
      cpu.vcpu = undefined;
      this.#stopTick();
    }
  }

  /** The VM's main thread emulates its devices, and sleeps again. */
  #runVmm(vm: Vm): void {
    const cpu = this.#burst.cpu;
    for (const vcpu of vm.vcpus) {
      if (!vcpu.blocked || vcpu.canFire) continue;
      vcpu.notified = true;
      this.#burst.after(20 * us, 60 * us, vm.vmm.pid, irqsOff);
      this.#wake(vcpu, vm.vmm.pid);
    }
    const timer = cpu.vmmTimers.find((each) => each.vm === vm)!;
    this.#burst.after(30 * us, 100 * us, vm.vmm.pid, irqsOff);
    timer.at = cpu.time + 50 * ms + this.#burst.between(20 * us, 80 * us);
    const expires = this.#burst.monotonic(timer.at);
    this.#burst.trace.hrtimerStart(vm.vmmTimer, 'wakeup', expires, 50 * us, 1, 0);
  }

  /** The thread goes on where it was switched out. */
  #runVcpu(vcpu: Vcpu): void {
    const cpu = this.#burst.cpu;
    cpu.vcpu = vcpu;
    vcpu.cpu = cpu.id;
    vcpu.scheduledAt = cpu.time;
    if (vcpu.resume === 'user') {
      cpu.mode = 'user';
      vcpu.userUntil = Math.max(vcpu.userUntil, cpu.time + this.#burst.between(10 * us, 60 * us));
      return;
    }
    this.#kvm.load(vcpu);
    if (vcpu.resume === 'wake') {
      if (this.#burst.chance(0.15)) {
        this.#burst.after(8 * us, 30 * us, vcpu.pid, 0).haltPoll(vcpu.id, this.#burst.chance(0.5));
      }
      this.#burst.after(3 * us, 30 * us, vcpu.pid, 0).wakeup(this.#burst.cpu.time - vcpu.blockedAt);
    }
    const waits = cpu.queue.some((each) => each.readyAt <= cpu.time);
    if (waits ? this.#burst.chance(0.3) : this.#burst.chance(0.02)) {
      this.#kvm.interruptBeforePut(vcpu);
      this.#requeue(vcpu, 'enter', () => this.#kvm.put(vcpu, false));
      return;
    }
    this.#kvm.enter(vcpu);
  }

  // Idle

  #inIdle(): void {
    const cpu = this.#burst.cpu;
    this.#interrupts(0);
    const runnable = cpu.queue.some((vcpu) => vcpu.readyAt <= cpu.time) || this.#vmmDue.length > 0;
    if (!runnable && !this.#burst.chance(0.03)) {
      this.#stopTick();
      return;
    }
    if (cpu.tickStopped) {
      cpu.tickStopped = false;
      this.#burst.after(8 * us, 25 * us, 0, irqsOff).hrtimerCancel(cpu.tickTimer);
      cpu.tickAt = nextTick(cpu.time);
      const expires = this.#burst.monotonic(cpu.tickAt);
      this.#burst.after(2 * us, 8 * us, 0, irqsOff).hrtimerStart(cpu.tickTimer, 'tick', expires, 0, 0xa, 0);
    }
    this.#schedule(cpu.idle, running);
  }

  /** An idle CPU needs no tick until its next timer. */
  #stopTick(): void {
    const cpu = this.#burst.cpu;
    if (cpu.tickStopped || !this.#burst.chance(0.2)) return;
    cpu.tickStopped = true;
    cpu.tickAt = nextTick(cpu.time + this.#burst.between(250 * ms, 1_000 * ms));
    const expires = this.#burst.monotonic(cpu.tickAt);
    this.#burst.after(25 * us, 70 * us, 0, irqsOff).hrtimerStart(cpu.tickTimer, 'tick', expires, 0, 0xa, 1);
  }

  // KVM

  #leaveGuest(vcpu: Vcpu): void {
    const cpu = this.#burst.cpu;
    const vtimer = this.#kvm.vtimerAt(vcpu) <= cpu.time;
    const host = cpu.hostDue <= cpu.time;
    const acts = vcpu.actsAt <= cpu.time;
    this.#kvm.guestRan(vcpu);
    if (acts && !vtimer && !host) {
      this.#guestActs(vcpu);
      return;
    }
    this.#burst.after(10 * us, 30 * us, vcpu.pid, irqsOff).clearDebug();
    const { tick } = host ? this.#interrupts(vcpu.pid) : { tick: false };
    if (vtimer) this.#kvm.vtimerInterrupt(vcpu);
    this.#burst.after(3 * us, 9 * us, vcpu.pid, 0).exit(exitIrq, 0, vcpu.pc);
    if (this.#reschedules(vcpu, tick)) {
      this.#kvm.interruptBeforePut(vcpu);
      this.#requeue(vcpu, 'enter', () => this.#kvm.put(vcpu, false));
    } else {
      this.#kvm.enter(vcpu);
    }
  }

  /** Whether another thread takes the CPU: one that was woken, or one whose turn the tick finds. */
  #reschedules(vcpu: Vcpu, tick: boolean): boolean {
    const cpu = this.#burst.cpu;
    if (this.#vmmDue.length > 0) return true;
    const waits = cpu.queue.some((each) => each.readyAt <= cpu.time);
    if (!waits) return tick && this.#burst.chance(0.04);
    return tick || cpu.time - vcpu.scheduledAt > ms;
  }

  /** The thread stays runnable, and has to wait. */
  #requeue(vcpu: Vcpu, resume: 'enter' | 'user', put?: () => void): void {
    const cpu = this.#burst.cpu;
    vcpu.resume = resume;
    vcpu.readyAt = never;
    const state = this.#burst.chance(0.3) ? preempted : running;
    this.#schedule(vcpu, state, () => {
      put?.();
      vcpu.readyAt = cpu.time;
      cpu.queue.push(vcpu);
    });
  }

  /** The guest exits by an action of its own. */
  #guestActs(vcpu: Vcpu): void {
    const cpu = this.#burst.cpu;
    const { action } = vcpu;
    const { period, masks } = vcpu.behaviour;
    if ((vcpu.ctl & ctlImask || vcpu.ctl === 0) && !vcpu.pending && (action === 'wfi' || action === 'hvc')) {
      vcpu.ctl = ctlEnable;
      vcpu.cval = vcpu.vm.count(cpu.time) + period / nsPerCount;
    }
    // An idle guest with nothing to wait for may stop its tick.
    if (action === 'wfi' && !vcpu.pending && this.#burst.chance(masks ? 0.06 : 0.02)) vcpu.ctl = 0;
    // It does not sleep for less than it takes to sleep.
    if (action === 'wfi' && vcpu.canFire && vcpu.deadline < cpu.time + 400 * us) {
      vcpu.action = 'none';
      vcpu.actsAt = never;
      return;
    }

    const { pid, pc } = vcpu;
    this.#burst.after(10 * us, 35 * us, pid, irqsOff).clearDebug();
    const after = () => this.#burst.after(2 * us, 8 * us, pid, 0);
    switch (action) {
      case 'wfi':
        after().exit(exitTrap, wfxClass, pc);
        after().wfi(pc);
        vcpu.resume = 'wake';
        vcpu.blockedAt = cpu.time;
        vcpu.notified = false;
        this.#schedule(vcpu, sleeping, () => {
          this.#kvm.put(vcpu, true);
          vcpu.blocked = true;
        });
        return;
      case 'uart':
        after().exit(exitTrap, dabtClass, pc);
        after().guestFault(pc, 0x93820045, uart);
        this.#burst.after(5 * us, 15 * us, pid, 0).mmioWrite(uart, Math.floor(this.#burst.uniform() * 0x140));
        this.#kvm.interruptBeforePut(vcpu);
        this.#kvm.put(vcpu, false);
        this.#burst.after(3 * us, 9 * us, pid, 0).userspaceExit();
        cpu.mode = 'user';
        vcpu.resume = 'user';
        vcpu.userUntil = cpu.time + this.#burst.between(30 * us, 120 * us);
        return;
      case 'gic':
        after().exit(exitTrap, dabtClass, pc);
        after().guestFault(pc, 0x93820045, redistributor);
        after().mmioWrite(redistributor, 1 << Math.floor(this.#burst.uniform() * 16));
        break;
      case 'sgi':
        after().exit(exitTrap, sys64Class, pc);
        after().handleSysReg(0x623a3016);
        after().sgiAccess(pc, sgiName);
        this.#notify(vcpu);
        break;
      default:
        after().exit(exitTrap, hvcClass, pc);
        after().hvc(pc);
    }
    this.#kvm.enter(vcpu);
  }

  /** The guest interrupts another of its vcpus. */
  #notify(vcpu: Vcpu): void {
    const cpu = this.#burst.cpu;
    const others = vcpu.vm.vcpus.filter((each) => each !== vcpu);
    const target = others[Math.floor(this.#burst.uniform() * others.length)]!;
    target.notified = true;
    const running = this.#cpus[target.cpu]!;
    if (target.blocked) this.#wake(target, vcpu.pid);
    else if (running !== cpu && running.mode === 'guest' && running.vcpu === target) this.#interrupt(running, cpu.time);
  }

  #inUserspace(vcpu: Vcpu): void {
    const cpu = this.#burst.cpu;
    if (cpu.hostDue <= cpu.time) {
      const { tick } = this.#interrupts(vcpu.pid);
      if (this.#reschedules(vcpu, tick)) {
        this.#requeue(vcpu, 'user');
        return;
      }
    }
    if (vcpu.userUntil > cpu.time) return;
    this.#kvm.load(vcpu);
    this.#kvm.enter(vcpu);
  }
}
