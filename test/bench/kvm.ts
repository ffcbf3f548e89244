import type { Burst } from './burst.js';
import {
  type Cpu,
  ctlEnable,
  ctlImask,
  mdcrName,
  mdscrName,
  never,
  nsPerCount,
  ptimerIrq,
  us,
  type Vcpu,
  vtimerIrq,
} from './host-state.js';
import { hardirq, irqs, irqsOff } from './tracepoints.js';

/** KVM's timer code on the CPU that acts, and what the guest does with its timer there. */
export class Kvm {
  readonly #burst: Burst;
  readonly #cpus: readonly Cpu[];

  constructor(burst: Burst, cpus: readonly Cpu[]) {
    this.#burst = burst;
    this.#cpus = cpus;
  }

  /** `kvm_arch_timer_handler` */
  vtimerInterrupt(vcpu: Vcpu): void {
    this.#burst.after(2 * us, 8 * us, vcpu.pid, irqsOff | hardirq).irqEntry(irqs.vtimer);
    this.#burst.after(us, 3 * us, vcpu.pid, irqsOff | hardirq).timerMap(vcpu.id);
    this.#updateIrq(vcpu, vtimerIrq, 1, irqsOff | hardirq);
    this.#burst.after(2 * us, 6 * us, vcpu.pid, irqsOff | hardirq).irqExit(irqs.vtimer);
    vcpu.pending = true;
  }

  /** `kvm_timer_update_irq` */
  #updateIrq(vcpu: Vcpu, irq: number, level: number, flags: number): void {
    this.#burst.after(us, 4 * us, vcpu.pid, flags).updateIrq(vcpu.id, irq, level);
    this.#burst.after(us, 3 * us, vcpu.pid, flags).vgicPending(vcpu.id, irq, level);
  }

  /** `kvm_timer_vcpu_load` */
  load(vcpu: Vcpu): void {
    const cpu = this.#burst.cpu;
    this.#burst.after(10 * us, 30 * us, vcpu.pid, 0).timerMap(vcpu.id);
    const level = vcpu.fires(cpu.time) ? 1 : 0;
    // Cancelling waits for a callback that runs, and then has nothing to cancel.
    cpu.time = Math.max(cpu.time, vcpu.bgFiredAt);
    this.#updateIrq(vcpu, vtimerIrq, level, 0);
    this.#burst.after(5 * us, 20 * us, vcpu.pid, 0);
    this.#updateIrq(vcpu, ptimerIrq, 0, 0);
    if (vcpu.bgCpu >= 0) {
      this.disarm(vcpu);
      this.#burst.after(3 * us, 9 * us, vcpu.pid, irqsOff).hrtimerCancel(vcpu.bgTimer);
    }
    this.#burst.after(3 * us, 10 * us, vcpu.pid, irqsOff).restore(1, vcpu.ctl, vcpu.cval);
    this.#burst.after(us, 5 * us, vcpu.pid, irqsOff).restore(0, 0, 0);
    vcpu.ctl &= ctlEnable | ctlImask;
    vcpu.pending = level === 1;
  }

  /** `kvm_timer_vcpu_put` */
  put(vcpu: Vcpu, blocking: boolean): void {
    const cpu = this.#burst.cpu;
    this.#burst.after(3 * us, 8 * us, vcpu.pid, irqsOff).timerMap(vcpu.id);
    this.#burst.after(2 * us, 5 * us, vcpu.pid, irqsOff);
    vcpu.ctl = vcpu.ctlAt(cpu.time);
    this.#burst.trace.save(1, vcpu.ctl, vcpu.cval);
    this.#burst.after(us, 5 * us, vcpu.pid, irqsOff).save(0, 0, 0);
    if (blocking) {
      this.#burst.after(us, 3 * us, vcpu.pid, irqsOff).timerMap(vcpu.id);
      if (vcpu.canFire) {
        vcpu.bgCpu = cpu.id;
        vcpu.bgExpires = vcpu.deadline;
        cpu.armed.push(vcpu);
        const expires = this.#burst.monotonic(vcpu.bgExpires);
        this.#burst
          .after(5 * us, 12 * us, vcpu.pid, irqsOff)
          .hrtimerStart(vcpu.bgTimer, 'background', expires, 0, 8, 0);
      }
    }
    vcpu.readyAt = cpu.time;
  }

  disarm(vcpu: Vcpu): void {
    const { armed } = this.#cpus[vcpu.bgCpu]!;
    armed.splice(armed.indexOf(vcpu), 1);
    vcpu.bgCpu = -1;
  }

  /** The timer of a loaded vcpu interrupts the host like any other. */
  interruptBeforePut(vcpu: Vcpu): void {
    if (vcpu.fires(this.#burst.cpu.time) && !vcpu.pending) this.vtimerInterrupt(vcpu);
  }

  enter(vcpu: Vcpu): void {
    const cpu = this.#burst.cpu;
    this.#burst.after(4 * us, 20 * us, vcpu.pid, irqsOff).setupDebug(vcpu.pointer);
    this.#burst.after(us, 2 * us, vcpu.pid, irqsOff).setDreg32(mdcrName, 0x84e66);
    this.#burst.after(us, 3 * us, vcpu.pid, irqsOff).setDreg32(mdscrName, 0);
    this.#burst.after(us, 3 * us, vcpu.pid, irqsOff).entry(vcpu.pc);
    cpu.mode = 'guest';
    vcpu.resume = 'enter';
    vcpu.enteredAt = cpu.time;
    this.#plan(vcpu);
  }

  /** What the guest will do if nothing interrupts it. */
  #plan(vcpu: Vcpu): void {
    const { period, masks, shares } = vcpu.behaviour;
    let from = this.#burst.cpu.time;
    vcpu.handlesAt = never;
    if (vcpu.pending || (vcpu.notified && vcpu.ctl === 0)) {
      vcpu.handlesAt = from + this.#burst.between(3 * us, 15 * us);
      from = vcpu.handlesAt;
      vcpu.handledCtl = masks && vcpu.pending ? ctlEnable | ctlImask : ctlEnable;
      vcpu.handledCval = vcpu.handledCtl & ctlImask ? vcpu.cval : vcpu.vm.count(from) + period / nsPerCount;
    }
    let draw = this.#burst.uniform();
    vcpu.action = 'none';
    vcpu.actsAt = never;
    for (const [action, share] of shares) {
      draw -= share;
      if (draw >= 0) continue;
      vcpu.action = action;
      vcpu.actsAt = from + this.#burst.between(15 * us, 120 * us);
      break;
    }
    // A guest that has masked its timer programs it again before it computes for long.
    const masked = vcpu.handlesAt === never ? vcpu.ctl : vcpu.handledCtl;
    if (vcpu.action === 'none' && (masked & (ctlEnable | ctlImask)) !== ctlEnable) {
      vcpu.action = 'wfi';
      vcpu.actsAt = from + this.#burst.between(30 * us, 400 * us);
    }
  }

  /** What the guest did until now. */
  guestRan(vcpu: Vcpu): void {
    const { time } = this.#burst.cpu;
    vcpu.pc = 0x40001c00 + 4 * Math.floor(this.#burst.uniform() * 0x240);
    if (vcpu.handlesAt > time) return;
    vcpu.handlesAt = never;
    vcpu.pending = false;
    vcpu.notified = false;
    vcpu.ctl = vcpu.handledCtl;
    vcpu.cval = vcpu.handledCval;
  }

  /** When the guest's timer interrupts the CPU, as the guest will have programmed it. */
  vtimerAt(vcpu: Vcpu): number {
    if (vcpu.handlesAt !== never) {
      const fires = (vcpu.handledCtl & (ctlEnable | ctlImask)) === ctlEnable;
      return fires ? Math.max(vcpu.vm.time(vcpu.handledCval), vcpu.handlesAt) : never;
    }
    return vcpu.canFire && !vcpu.pending ? vcpu.deadline : never;
  }
}
