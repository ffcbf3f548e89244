import { defaultPpi, type TimerEvent } from '../events/event.js';
import { U64Map } from '../events/u64.js';

/** The registers of a virtual timer, and whose thread showed them. */
interface Registers {
  pid: number;
  vcpuId: number;
  ctl: number;
  hasCval: boolean;
  cvalHi: number;
  cvalLo: number;
}

/**
 * What earlier records of a recording tell of later ones: an hrtimer is known by its callback only at its start, and an
 * interrupt by its name only at its entry.
 */
export class Learned {
  /** Which kind of timer an hrtimer pointer is, see `HrtimerClass`. */
  readonly hrtimers = new U64Map<number>();
  /** Linux irq number of the guest timers' PPIs, once their name was seen: irq to context. */
  readonly timerIrqs = new Map<number, number>();
  /** By CPU: the memory copy of the registers that the last probed kvm_timer_update_irq was called for. */
  readonly #registers: (Registers | undefined)[] = [];
  /** Linux irq number of the host's own timer; -1 until it was seen. */
  hostTimerIrq = -1;
  /** A callback of an hrtimer was printed by its name, not by an address without a symbol. */
  namesCallbacks = false;
  /** Names that tell the kernel's generation, a set of `TimerName`. */
  names = 0;

  /** Keeps the registers that the entry of kvm_timer_update_irq shows, for its tracepoint. */
  registers({ cpu, pid, vcpuId, ctl, hasCval, cvalHi, cvalLo }: TimerEvent): void {
    if (ctl >= 0) this.#registers[cpu] = { pid, vcpuId, ctl, hasCval, cvalHi, cvalLo };
  }

  /** Gives the tracepoint's event the registers that the entry of the function around it has shown. */
  fillRegisters(event: TimerEvent): void {
    const shown = this.#registers[event.cpu];
    if (shown === undefined) return;
    this.#registers[event.cpu] = undefined;
    // The probe looks where the virtual timer's registers are, whichever timer the call is for.
    if (shown.pid !== event.pid || shown.vcpuId !== event.vcpuId || event.irq === defaultPpi.ptimer) return;
    event.ctl = shown.ctl;
    event.hasCval = shown.hasCval;
    event.cvalHi = shown.cvalHi;
    event.cvalLo = shown.cvalLo;
  }
}
