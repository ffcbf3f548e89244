/** What the simulated host consists of: its constants, and the state of its CPUs, VMs and vcpus. */
import { type Address, type Thread, words } from './tracepoints.js';

export const cpuCount = 6;
export const vcpusPerVm = 4;

/** Nanoseconds. */
export const us = 1_000;
export const ms = 1_000_000;
export const never = Number.MAX_SAFE_INTEGER;

/** Counter at 62.5 MHz: every time of the trace is a whole number of its ticks. */
export const nsPerCount = 16;
/** The trace clock runs ahead of CLOCK_MONOTONIC, which starts later at boot. */
export const monotonicLag = 96_300_000 - (96_300_000 % nsPerCount);
export const start = 82_596_447_728 - (82_596_447_728 % nsPerCount);
const hostTick = 4 * ms;

export const ctlEnable = 1;
export const ctlImask = 2;
const ctlIstatus = 4;
export const vtimerIrq = 27;
export const ptimerIrq = 30;

/** Exception classes of `kvm_exit`. */
export const wfxClass = 0x01;
export const hvcClass = 0x16;
export const sys64Class = 0x18;
export const dabtClass = 0x24;

export const uart = 0x9000000;
export const redistributor = 0x80a0100;

/** Names whose text the kernel keeps: the debug registers, ICC_SGI1R. */
export const mdcrName = words(0xffffb5ea56beec98n);
export const mdscrName = words(0xffffb5ea56beecd8n);
export const sgiName = words(0xffffb5ea56befe10n);

type Action = 'wfi' | 'uart' | 'gic' | 'sgi' | 'hvc' | 'none';

interface Behaviour {
  /** Of the guest's tick in ns. */
  readonly period: number;
  /** Whether the guest masks its timer in the handler and programs it later, in place of doing so at once. */
  readonly masks: boolean;
  /** Share of each action among those that follow an entry; the rest is computing until an interrupt. */
  readonly shares: readonly (readonly [Action, number])[];
}

const idling = [
  ['wfi', 0.5],
  ['uart', 0.25],
  ['gic', 0.05],
  ['sgi', 0.075],
  ['hvc', 0.06],
] as const;
const working = [
  ['wfi', 0.18],
  ['uart', 0.15],
  ['gic', 0.04],
  ['sgi', 0.06],
  ['hvc', 0.05],
] as const;

const behaviours: readonly Behaviour[] = [
  { period: 10 * ms, masks: false, shares: idling },
  { period: 10 * ms, masks: true, shares: idling },
  { period: 4 * ms, masks: false, shares: working },
  { period: 4 * ms, masks: true, shares: working },
];

export class Vcpu implements Thread {
  readonly pid: number;
  readonly comm: string;
  readonly id: number;
  readonly vm: Vm;
  readonly behaviour: Behaviour;
  readonly pointer: Address;
  readonly bgTimer: Address;
  cpu = 0;
  /** What follows when the thread runs next. */
  resume: 'enter' | 'wake' | 'user' = 'enter';
  /** From when another CPU may run the thread: it was woken, and its put is over. */
  readyAt = 0;
  blocked = false;
  blockedAt = 0;
  /** The CPU on which the background timer is armed, −1 for none, and when it expires or expired. */
  bgCpu = -1;
  bgExpires = 0;
  bgFiredAt = 0;
  ctl = ctlEnable;
  cval: number;
  /** The vgic has the interrupt, and the guest has not yet handled it. */
  pending = false;
  /** Another vcpu or a device interrupts the guest. */
  notified = false;
  pc = 0x40001abc;
  enteredAt = 0;
  /** What the guest does after this entry: handle its interrupt, then act. */
  handlesAt = never;
  handledCtl = 0;
  handledCval = 0;
  action: Action = 'none';
  actsAt = never;
  /** When the thread is done in userspace. */
  userUntil = 0;
  scheduledAt = 0;

  constructor(vm: Vm, id: number, time: number) {
    this.vm = vm;
    this.id = id;
    this.pid = vm.firstPid + id;
    this.comm = `CPU ${id}/KVM`;
    this.behaviour = behaviours[(vm.number + id) % behaviours.length]!;
    const base = 0xffff_0000_0a8e_0000n + BigInt(vm.number * 0x55_0000 + id * 0x25d0);
    this.pointer = words(base);
    this.bgTimer = words(base + 0x1ef8n);
    this.cval = vm.count(time) + Math.round((this.behaviour.period / nsPerCount) * (0.2 + 0.1 * id));
  }

  /** When the timer condition is met, in ns of the trace. */
  get deadline(): number {
    return this.vm.time(this.cval);
  }

  /** The control register as it reads. */
  ctlAt(time: number): number {
    return this.ctl & ctlEnable && this.deadline <= time ? this.ctl | ctlIstatus : this.ctl;
  }

  get canFire(): boolean {
    return (this.ctl & (ctlEnable | ctlImask)) === ctlEnable;
  }

  fires(time: number): boolean {
    return this.canFire && this.deadline <= time;
  }
}

export class Vm {
  readonly number: number;
  readonly firstPid: number;
  readonly vmm: Thread;
  readonly vmmTimer: Address;
  readonly vcpus: readonly Vcpu[];
  readonly #cntvoff: number;

  constructor(number: number, time: number) {
    this.number = number;
    this.firstPid = 361 + 100 * number;
    this.vmm = { pid: this.firstPid - 1, comm: 'vmm' };
    this.vmmTimer = words(0xffff_8000_08e0_3aa0n + BigInt(number * 0x8000));
    this.#cntvoff = time / nsPerCount - 2_000_000 - 400_000 * number;
    this.vcpus = Array.from({ length: vcpusPerVm }, (_, id) => new Vcpu(this, id, time));
  }

  count(time: number): number {
    return time / nsPerCount - this.#cntvoff;
  }

  time(count: number): number {
    return (count + this.#cntvoff) * nsPerCount;
  }
}

/** What a CPU does between bursts. */
type Mode = 'idle' | 'guest' | 'user';

export class Cpu {
  readonly id: number;
  readonly tickTimer: Address;
  readonly idle: Thread;
  readonly helpers: readonly Thread[];
  /** Of the last record. */
  time: number;
  /** Of the next burst. */
  nextAt: number;
  mode: Mode = 'idle';
  vcpu: Vcpu | undefined;
  readonly queue: Vcpu[] = [];
  tickAt: number;
  tickStopped = false;
  /** An interprocessor interrupt arrives; `never` for none. */
  ipiAt = never;
  /** A device's interrupt arrives. */
  virtioAt: number;
  /** VMs whose main thread's timer is armed here. */
  readonly vmmTimers: { readonly vm: Vm; at: number }[] = [];
  /** Threads that block on this CPU's clock. */
  readonly armed: Vcpu[] = [];

  constructor(id: number, time: number) {
    this.id = id;
    this.time = time;
    this.nextAt = time;
    this.tickTimer = words(0xffff_0000_bf98_fa18n + BigInt(id * 0x1_f000));
    this.idle = { pid: 0, comm: `swapper/${id}` };
    this.helpers = [
      { pid: 14, comm: 'rcu_sched' },
      { pid: 16 + id, comm: `kworker/${id}:1` },
      { pid: 24 + id, comm: `ksoftirqd/${id}` },
    ];
    this.tickAt = nextTick(time);
    this.virtioAt = time + id * 3 * ms;
  }

  /** When the host is interrupted next by what is not the guest's. */
  get hostDue(): number {
    let at = Math.min(this.tickAt, this.ipiAt, this.virtioAt);
    for (const vcpu of this.armed) at = Math.min(at, vcpu.bgExpires);
    for (const timer of this.vmmTimers) at = Math.min(at, timer.at);
    return at;
  }

  /** Whether a timer of the host has expired by the CPU's time. */
  get timersDue(): boolean {
    if (this.tickAt <= this.time) return true;
    for (const vcpu of this.armed) if (vcpu.bgExpires <= this.time) return true;
    for (const timer of this.vmmTimers) if (timer.at <= this.time) return true;
    return false;
  }
}

/** The host's tick is at whole multiples of 4 ms of CLOCK_MONOTONIC. */
export function nextTick(time: number): number {
  return (Math.floor((time - monotonicLag) / hostTick) + 1) * hostTick + monotonicLag;
}
