/** The tracepoints of a 6.1 arm64 host, written as the kernel stores them. */
import type { CpuStream } from './dat-writer.js';
import type { Format, Metadata } from './metadata.js';

/** `common_flags` of a record. */
export const irqsOff = 0x01;
export const hardirq = 0x08;

type Sizes = Readonly<Record<string, 1 | 4 | 8 | 16>>;

interface Layout<Fields extends Sizes> {
  readonly name: string;
  readonly id: number;
  /** Of the record in bytes. */
  readonly length: number;
  /** Offset of each field in bytes. */
  readonly at: { readonly [Field in keyof Fields]: number };
}

/**
 * Where a recording's kernel puts the fields of an event.
 *
 * @throws Error when the event or a field is missing or of another size
 */
function layout<const Fields extends Sizes>(
  formats: ReadonlyMap<string, Format>,
  name: string,
  fields: Fields,
): Layout<Fields> {
  const format = formats.get(name);
  if (!format) throw new Error(`expected the format of ${name} in the recording`);
  const at: Record<string, number> = {};
  for (const [field, size] of Object.entries(fields)) {
    const found = format.fields.get(field);
    if (found?.size !== size) throw new Error(`expected ${name}.${field} of ${size} bytes, found ${found?.size}`);
    at[field] = found.offset;
  }
  // A C struct is as long as its last field, rounded up to its largest alignment; char arrays have none.
  const all = [...format.fields.values()];
  const end = Math.max(...all.map(({ offset, size }) => offset + size));
  const alignment = Math.max(4, ...all.map(({ size }) => (size <= 8 ? size : 1)));
  return { name, id: format.id, length: Math.ceil(end / alignment) * alignment, at: at as Layout<Fields>['at'] };
}

export interface Thread {
  readonly pid: number;
  readonly comm: string;
}

/** The trap that a guest took, as `kvm_exit` has it. */
export const exitIrq = 0;
export const exitTrap = 2;

/** `prev_state` of `sched_switch`. */
export const running = 0;
export const sleeping = 1;
export const idleState = 0x80;
export const preempted = 0x100;

const names = ['IPI', 'arch_timer', 'kvm guest vtimer', 'virtio0'] as const;
/** Linux interrupts of the host, as in the recordings. */
export const irqs = {
  reschedule: { irq: 1, name: names.indexOf('IPI') },
  call: { irq: 2, name: names.indexOf('IPI') },
  vtimer: { irq: 12, name: names.indexOf('kvm guest vtimer') },
  archTimer: { irq: 13, name: names.indexOf('arch_timer') },
  virtio: { irq: 18, name: names.indexOf('virtio0') },
} as const;

/** Writes one event a call, at the time and by the thread that `place` names. */
export class Tracepoints {
  /** How many of each event were written. */
  readonly counts = new Map<string, number>();
  /** Events still to be written; further ones are dropped. */
  left: number;
  /** The CPU, time in ns, pid and flags of the next record. */
  stream!: CpuStream;
  time = 0;
  pid = 0;
  flags = 0;

  readonly #counted: Int32Array;
  readonly #layouts;
  readonly #functions: { readonly tick: Address; readonly background: Address; readonly wakeup: Address };
  readonly #irqNames = names.map((name) => Buffer.from(`${name}\0`, 'latin1'));
  readonly #comms = new Map<string, Buffer>();

  constructor({ formats, address }: Metadata, events: number) {
    this.left = events;
    const of = <const Fields extends Sizes>(name: string, fields: Fields) => layout(formats, name, fields);
    const state = { ctl: 8, cval: 8, timer_idx: 4 } as const;
    this.#layouts = {
      entry: of('kvm_entry', { vcpu_pc: 8 }),
      exit: of('kvm_exit', { ret: 4, esr_ec: 4, vcpu_pc: 8 }),
      setupDebug: of('kvm_arm_setup_debug', { vcpu: 8, guest_debug: 4 }),
      clearDebug: of('kvm_arm_clear_debug', { guest_debug: 4 }),
      setDreg32: of('kvm_arm_set_dreg32', { name: 8, value: 8 }),
      timerMap: of('kvm_get_timer_map', { vcpu_id: 8, direct_vtimer: 4, direct_ptimer: 4, emul_ptimer: 4 }),
      updateIrq: of('kvm_timer_update_irq', { vcpu_id: 8, irq: 4, level: 4 }),
      vgicPending: of('vgic_update_irq_pending', { vcpu_id: 8, irq: 4, level: 1 }),
      save: of('kvm_timer_save_state', state),
      restore: of('kvm_timer_restore_state', state),
      wfx: of('kvm_wfx_arm64', { vcpu_pc: 8, is_wfe: 1 }),
      wakeup: of('kvm_vcpu_wakeup', { ns: 8, waited: 1, valid: 1 }),
      haltPoll: of('kvm_halt_poll_ns', { grow: 1, vcpu_id: 4, new: 4, old: 4 }),
      guestFault: of('kvm_guest_fault', { vcpu_pc: 8, hsr: 8, hxfar: 8, ipa: 8 }),
      mmio: of('kvm_mmio', { type: 4, len: 4, gpa: 8, val: 8 }),
      userspaceExit: of('kvm_userspace_exit', { reason: 4, errno: 4 }),
      handleSysReg: of('kvm_handle_sys_reg', { hsr: 8 }),
      sysAccess: of('kvm_sys_access', {
        vcpu_pc: 8,
        is_write: 1,
        name: 8,
        Op0: 1,
        Op1: 1,
        CRn: 1,
        CRm: 1,
        Op2: 1,
      }),
      hvc: of('kvm_hvc_arm64', { vcpu_pc: 8, r0: 8, imm: 8 }),
      irqEntry: of('irq_handler_entry', { irq: 4, name: 4 }),
      irqExit: of('irq_handler_exit', { irq: 4, ret: 4 }),
      hrtimerStart: of('hrtimer_start', {
        hrtimer: 8,
        function: 8,
        expires: 8,
        softexpires: 8,
        mode: 4,
        was_armed: 1,
      }),
      hrtimerExpire: of('hrtimer_expire_entry', { hrtimer: 8, now: 8, function: 8 }),
      hrtimerCancel: of('hrtimer_cancel', { hrtimer: 8 }),
      schedSwitch: of('sched_switch', {
        prev_comm: 16,
        prev_pid: 4,
        prev_prio: 4,
        prev_state: 8,
        next_comm: 16,
        next_pid: 4,
        next_prio: 4,
      }),
      migrate: of('sched_migrate_task', { comm: 16, pid: 4, prio: 4, orig_cpu: 4, dest_cpu: 4 }),
    };
    this.#counted = new Int32Array(1 + Math.max(...Object.values(this.#layouts).map(({ id }) => id)));
    this.#functions = {
      tick: words(address('tick_sched_timer')),
      background: words(address('kvm_bg_timer_expire')),
      wakeup: words(address('hrtimer_wakeup')),
    };
  }

  /** Moves the counts to {@link counts}. */
  finish(): void {
    for (const { name, id } of Object.values(this.#layouts)) this.counts.set(name, this.#counted[id]!);
  }

  #begin(id: number, length: number): number {
    if (this.left === 0) return -1;
    this.left--;
    this.#counted[id]!++;
    const at = this.stream.reserve(this.time, length);
    const { view } = this.stream;
    view.setUint16(at, id, true);
    view.setUint8(at + 2, this.flags);
    view.setInt32(at + 4, this.pid, true);
    return at;
  }

  /** An unsigned 64-bit field of a whole number that a double holds exactly. */
  #u64(at: number, value: number): void {
    this.stream.view.setUint32(at, value >>> 0, true);
    this.stream.view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
  }

  #address(at: number, value: Address): void {
    this.stream.view.setUint32(at, value.low, true);
    this.stream.view.setUint32(at + 4, value.high, true);
  }

  #i32(at: number, value: number): void {
    this.stream.view.setInt32(at, value, true);
  }

  #comm(at: number, comm: string): void {
    let bytes = this.#comms.get(comm);
    if (!bytes) {
      bytes = Buffer.alloc(16);
      bytes.write(comm, 0, 15, 'latin1');
      this.#comms.set(comm, bytes);
    }
    for (let i = 0; i < 16; i++) this.stream.view.setUint8(at + i, bytes[i]!);
  }

  entry(pc: number): void {
    const { id, length, at } = this.#layouts.entry;
    const record = this.#begin(id, length);
    if (record >= 0) this.#u64(record + at.vcpu_pc, pc);
  }

  exit(ret: number, exceptionClass: number, pc: number): void {
    const { id, length, at } = this.#layouts.exit;
    const record = this.#begin(id, length);
    if (record < 0) return;
    this.#i32(record + at.ret, ret);
    this.#i32(record + at.esr_ec, exceptionClass);
    this.#u64(record + at.vcpu_pc, pc);
  }

  setupDebug(vcpu: Address): void {
    const { id, length, at } = this.#layouts.setupDebug;
    const record = this.#begin(id, length);
    if (record >= 0) this.#address(record + at.vcpu, vcpu);
  }

  clearDebug(): void {
    this.#begin(this.#layouts.clearDebug.id, this.#layouts.clearDebug.length);
  }

  setDreg32(name: Address, value: number): void {
    const { id, length, at } = this.#layouts.setDreg32;
    const record = this.#begin(id, length);
    if (record < 0) return;
    this.#address(record + at.name, name);
    this.#u64(record + at.value, value);
  }

  /** The map of a VHE host: both timers direct. */
  timerMap(vcpu: number): void {
    const { id, length, at } = this.#layouts.timerMap;
    const record = this.#begin(id, length);
    if (record < 0) return;
    this.#u64(record + at.vcpu_id, vcpu);
    this.#i32(record + at.direct_vtimer, 1);
    this.#i32(record + at.direct_ptimer, 0);
    this.#i32(record + at.emul_ptimer, -1);
  }

  updateIrq(vcpu: number, irq: number, level: number): void {
    const { id, length, at } = this.#layouts.updateIrq;
    const record = this.#begin(id, length);
    if (record < 0) return;
    this.#u64(record + at.vcpu_id, vcpu);
    this.#i32(record + at.irq, irq);
    this.#i32(record + at.level, level);
  }

  vgicPending(vcpu: number, irq: number, level: number): void {
    const { id, length, at } = this.#layouts.vgicPending;
    const record = this.#begin(id, length);
    if (record < 0) return;
    this.#u64(record + at.vcpu_id, vcpu);
    this.#i32(record + at.irq, irq);
    this.stream.view.setUint8(record + at.level, level);
  }

  save(context: number, ctl: number, cval: number): void {
    this.#state(this.#layouts.save, context, ctl, cval);
  }

  restore(context: number, ctl: number, cval: number): void {
    this.#state(this.#layouts.restore, context, ctl, cval);
  }

  #state({ id, length, at }: Layout<{ ctl: 8; cval: 8; timer_idx: 4 }>, idx: number, ctl: number, cval: number): void {
    const record = this.#begin(id, length);
    if (record < 0) return;
    this.#u64(record + at.ctl, ctl);
    this.#u64(record + at.cval, cval);
    this.#i32(record + at.timer_idx, idx);
  }

  wfi(pc: number): void {
    const { id, length, at } = this.#layouts.wfx;
    const record = this.#begin(id, length);
    if (record >= 0) this.#u64(record + at.vcpu_pc, pc);
  }

  wakeup(waited: number): void {
    const { id, length, at } = this.#layouts.wakeup;
    const record = this.#begin(id, length);
    if (record < 0) return;
    this.#u64(record + at.ns, waited);
    this.stream.view.setUint8(record + at.waited, 1);
    this.stream.view.setUint8(record + at.valid, 1);
  }

  haltPoll(vcpu: number, grow: boolean): void {
    const { id, length, at } = this.#layouts.haltPoll;
    const record = this.#begin(id, length);
    if (record < 0) return;
    this.stream.view.setUint8(record + at.grow, grow ? 1 : 0);
    this.#i32(record + at.vcpu_id, vcpu);
    this.#i32(record + at.new, grow ? 10000 : 0);
    this.#i32(record + at.old, grow ? 0 : 10000);
  }

  guestFault(pc: number, hsr: number, address: number): void {
    const { id, length, at } = this.#layouts.guestFault;
    const record = this.#begin(id, length);
    if (record < 0) return;
    this.#u64(record + at.vcpu_pc, pc);
    this.#u64(record + at.hsr, hsr);
    this.#u64(record + at.hxfar, address);
    this.#u64(record + at.ipa, Math.floor(address / 4096) * 4096);
  }

  mmioWrite(address: number, value: number): void {
    const { id, length, at } = this.#layouts.mmio;
    const record = this.#begin(id, length);
    if (record < 0) return;
    this.#i32(record + at.type, 2);
    this.#i32(record + at.len, 4);
    this.#u64(record + at.gpa, address);
    this.#u64(record + at.val, value);
  }

  /** `KVM_EXIT_MMIO` */
  userspaceExit(): void {
    const { id, length, at } = this.#layouts.userspaceExit;
    const record = this.#begin(id, length);
    if (record >= 0) this.#i32(record + at.reason, 6);
  }

  handleSysReg(hsr: number): void {
    const { id, length, at } = this.#layouts.handleSysReg;
    const record = this.#begin(id, length);
    if (record >= 0) this.#u64(record + at.hsr, hsr);
  }

  /** A write of ICC_SGI1R_EL1: the guest interrupts another of its vcpus. */
  sgiAccess(pc: number, name: Address): void {
    const { id, length, at } = this.#layouts.sysAccess;
    const record = this.#begin(id, length);
    if (record < 0) return;
    const { view } = this.stream;
    this.#u64(record + at.vcpu_pc, pc);
    view.setUint8(record + at.is_write, 1);
    this.#address(record + at.name, name);
    view.setUint8(record + at.Op0, 3);
    view.setUint8(record + at.CRn, 12);
    view.setUint8(record + at.CRm, 11);
    view.setUint8(record + at.Op2, 5);
  }

  /** A call of PSCI_VERSION. */
  hvc(pc: number): void {
    const { id, length, at } = this.#layouts.hvc;
    const record = this.#begin(id, length);
    if (record < 0) return;
    this.#u64(record + at.vcpu_pc, pc);
    this.#u64(record + at.r0, 0x84000000);
  }

  irqEntry({ irq, name }: { irq: number; name: number }): void {
    const { id, length, at } = this.#layouts.irqEntry;
    const text = this.#irqNames[name]!;
    const record = this.#begin(id, (length + text.length + 3) & ~3);
    if (record < 0) return;
    this.#i32(record + at.irq, irq);
    this.#i32(record + at.name, (text.length << 16) | length);
    for (let i = 0; i < text.length; i++) this.stream.view.setUint8(record + length + i, text[i]!);
  }

  irqExit({ irq }: { irq: number }): void {
    const { id, length, at } = this.#layouts.irqExit;
    const record = this.#begin(id, length);
    if (record < 0) return;
    this.#i32(record + at.irq, irq);
    this.#i32(record + at.ret, 1);
  }

  /** @param expires nanoseconds of CLOCK_MONOTONIC */
  hrtimerStart(timer: Address, callback: Callback, expires: number, slack: number, mode: number, armed: number): void {
    const { id, length, at } = this.#layouts.hrtimerStart;
    const record = this.#begin(id, length);
    if (record < 0) return;
    this.#address(record + at.hrtimer, timer);
    this.#address(record + at.function, this.#functions[callback]);
    this.#u64(record + at.expires, expires);
    this.#u64(record + at.softexpires, expires - slack);
    this.#i32(record + at.mode, mode);
    this.stream.view.setUint8(record + at.was_armed, armed);
  }

  /** @param now nanoseconds of CLOCK_MONOTONIC */
  hrtimerExpire(timer: Address, callback: Callback, now: number): void {
    const { id, length, at } = this.#layouts.hrtimerExpire;
    const record = this.#begin(id, length);
    if (record < 0) return;
    this.#address(record + at.hrtimer, timer);
    this.#u64(record + at.now, now);
    this.#address(record + at.function, this.#functions[callback]);
  }

  hrtimerCancel(timer: Address): void {
    const { id, length, at } = this.#layouts.hrtimerCancel;
    const record = this.#begin(id, length);
    if (record >= 0) this.#address(record + at.hrtimer, timer);
  }

  schedSwitch(prev: Thread, state: number, next: Thread): void {
    const { id, length, at } = this.#layouts.schedSwitch;
    const record = this.#begin(id, length);
    if (record < 0) return;
    this.#comm(record + at.prev_comm, prev.comm);
    this.#i32(record + at.prev_pid, prev.pid);
    this.#i32(record + at.prev_prio, 120);
    this.#u64(record + at.prev_state, state);
    this.#comm(record + at.next_comm, next.comm);
    this.#i32(record + at.next_pid, next.pid);
    this.#i32(record + at.next_prio, 120);
  }

  migrate(thread: Thread, from: number, to: number): void {
    const { id, length, at } = this.#layouts.migrate;
    const record = this.#begin(id, length);
    if (record < 0) return;
    this.#comm(record + at.comm, thread.comm);
    this.#i32(record + at.pid, thread.pid);
    this.#i32(record + at.prio, 120);
    this.#i32(record + at.orig_cpu, from);
    this.#i32(record + at.dest_cpu, to);
  }
}

/** A kernel address; no double holds one. */
export interface Address {
  readonly low: number;
  readonly high: number;
}

/** The function that an hrtimer calls. */
export type Callback = 'tick' | 'background' | 'wakeup';

export function words(address: bigint): Address {
  return { low: Number(address & 0xffffffffn), high: Number(address >> 32n) };
}
