import { Timer } from '../events/event.js';
import type { Simulation } from './simulation.js';
import {
  hardTimer,
  hardTimers,
  type SimContext,
  type SimCpu,
  type SimTimer,
  type SimVcpu,
  simTimers,
} from './state.js';

/** Exit code and exception class as kvm_exit prints them; -1 for none. */
export interface ExitReason {
  readonly code: number;
  readonly exceptionClass: number;
}

/** What a guest does between entry and exit. */
export type Guest = (guest: GuestView) => void;

/** Exit codes and classes as kvm_exit prints them. */
export const exits = {
  irq: { code: 0, exceptionClass: -1 },
  wfx: { code: 2, exceptionClass: 0x01 },
  hvc: { code: 2, exceptionClass: 0x16 },
  sysreg: { code: 2, exceptionClass: 0x18 },
} as const;

/** The guest's side of a CPU. */
export class GuestView {
  constructor(
    readonly simulation: Simulation,
    readonly vcpu: SimVcpu,
    readonly cpu: SimCpu,
  ) {}

  /** The counter that the guest reads for its virtual timer. */
  get count(): number {
    return this.simulation.count(this.cpu, Timer.vtimer);
  }

  /** Whether a physical interrupt ends the stay. */
  get interrupted(): boolean {
    const { simulation, cpu } = this;
    return hardTimers.some((timer) => simulation.signalled(cpu, timer)) || simulation.hrtimerDue(cpu);
  }

  /** Writes CVAL and CTL of a timer that it has directly. */
  program(timer: SimTimer, ctl: number, cval: number): void {
    const hardware = this.cpu.timers[hardTimer(timer)];
    hardware.cval = cval + this.simulation.cvalOffset(timer);
    hardware.ctl = ctl;
  }

  /** Takes its pending timer interrupts. @returns those that it has taken */
  acknowledge(): SimTimer[] {
    return simTimers.filter((timer) => {
      const context = this.vcpu.contexts[timer];
      if (context.listRegister !== 'pending' && !this.#isOwn(timer, context)) return false;
      context.listRegister = 'active';
      return true;
    });
  }

  /** A GICv5 guest takes the interrupt of a direct timer from the hardware, and ends it without the host. */
  #isOwn(timer: SimTimer, { listRegister }: SimContext): boolean {
    const { simulation, vcpu, cpu } = this;
    if (simulation.host.gicv5 !== true || !simulation.isDirect(vcpu, timer)) return false;
    return listRegister === 'none' && cpu.active[hardTimer(timer)] && simulation.line(cpu, timer);
  }

  /** Ends an interrupt; that of a direct timer is deactivated in hardware with it. */
  deactivate(timer: SimTimer): void {
    const { simulation, vcpu, cpu } = this;
    const context: SimContext = vcpu.contexts[timer];
    if (context.listRegister !== 'active') return;
    context.listRegister = 'none';
    if (simulation.host.gicv5 !== true && simulation.isMapped(vcpu, timer)) cpu.active[hardTimer(timer)] = false;
  }

  /** Lets time pass until a physical interrupt comes, nanoseconds at most. */
  spend(nanoseconds: number): void {
    const { simulation } = this;
    const end = simulation.now + nanoseconds;
    while (simulation.now < end && !this.interrupted)
      simulation.advance(Math.min(Math.max(2000, nanoseconds / 64), end - simulation.now));
  }

  exit(reason: (typeof exits)[keyof typeof exits]): void {
    this.simulation.exitReason = reason;
  }
}
