import { Context, defaultPpi, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import type { Host } from '../machine/machine.js';

/** Repetitions of a level that are no accident of what the trace leaves out. */
const enough = 4;

/**
 * What tells the generations of 4.15 to 5.0 apart where no version does (specification §2c): 4.15 lowers the level
 * between entry and exit and never raises it twice, later ones leave lowering to the vgic and raise it again at every
 * interrupt; 5.0 wakes the vcpu from the callback.
 */
export class OldShape {
  /** Threads between kvm_entry and kvm_exit, and all that have entered. */
  readonly #inGuest = new Set<number>();
  readonly #entered = new Set<number>();
  /** Last injected level of the virtual timer by thread. */
  readonly #level = new Map<number, number>();
  #flushes = 0;
  #lowered = 0;
  #repeated = 0;
  #puts = 0;
  /** Writes of CNTVOFF: a VM's offset, and zero. */
  #offsets = 0;
  #zeros = 0;
  /** By CPU: inside the callback of the background timer. */
  readonly #expiring: boolean[] = [];
  wakesDirectly = false;

  event(event: TimerEvent): void {
    switch (event.kind) {
      case Kind.entry:
        this.#inGuest.add(event.pid);
        this.#entered.add(event.pid);
        break;
      case Kind.exit:
        this.#inGuest.delete(event.pid);
        break;
      case Kind.flush:
        this.#flushes++;
        break;
      case Kind.vgic_inject:
        if (event.irq === defaultPpi.vtimer && this.#entered.has(event.pid)) this.#injected(event);
        return;
      case Kind.bg_expire:
        this.#expiring[event.cpu] = true;
        return;
      case Kind.wakeup:
        // A work item's thread is woken there instead.
        if (event.context === Context.task || this.#expiring[event.cpu] !== true) return;
        if (event.hasVcpuPointer || this.#entered.has(event.otherPid)) this.wakesDirectly = true;
        return;
      case Kind.put:
      case Kind.timer_put:
        this.#puts++;
        return;
      case Kind.set_cntvoff:
        if (!event.hasValue) return;
        if (event.valueHi === 0 && event.valueLo === 0) this.#zeros++;
        else this.#offsets++;
        return;
      case Kind.timer_callback_end:
      case Kind.irq_end:
      case Kind.sched_switch:
        break;
      default:
        return;
    }
    this.#expiring[event.cpu] = false;
  }

  /** With a userspace irqchip nothing is injected: then 4.16 and later lower at sync as well. */
  #injected(event: TimerEvent): void {
    const { pid, level } = event;
    if (level === 0 && this.#inGuest.has(pid)) this.#lowered++;
    if (level === 1 && this.#level.get(pid) === 1) this.#repeated++;
    this.#level.set(pid, level);
  }

  /** Why it is 4.15, or undefined. */
  get lowersAtSync(): string | undefined {
    if (this.#flushes > 0) return 'kvm_timer_flush_hwstate is called: 4.15 or earlier';
    return this.#lowered > 0
      ? "the timer's level is lowered between entry and exit, with the vgic in the kernel: 4.15"
      : undefined;
  }

  /** The host, where writes of CNTVOFF are probed: from 4.16 on a put zeroes it on non-VHE only. */
  get host(): Host | undefined {
    if (this.#offsets < enough || this.#puts < enough) return undefined;
    return this.#zeros > 0 ? 'nvhe' : 'vhe';
  }

  /** Why it is later than 4.15, or undefined. */
  get repeatsLevel(): string | undefined {
    return this.#repeated >= enough
      ? 'level 1 is reported again and again without a level 0 in between: 4.16 or later'
      : undefined;
  }
}
