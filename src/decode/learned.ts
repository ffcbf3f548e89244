import { Context, defaultPpi, Timer, type TimerEvent } from '../events/event.js';
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

/** Nanoseconds for which what a tick has shown holds: the clocks drift apart by half a millisecond a second at most. */
const lately = 100_000_000;

/**
 * What earlier records of a recording tell of later ones: an hrtimer is known by its callback only at its start, and an
 * interrupt by its name only at its entry.
 */
export class Learned {
  /** Which kind of timer an hrtimer pointer is, see `HrtimerClass`. */
  readonly hrtimers = new U64Map<number>();
  /** Linux irq number of the guest timers' PPIs, once their name was seen: irq to context. */
  readonly timerIrqs = new Map<number, number>();
  /** By CPU: Linux irq number that a probe on the handler has shown last. */
  readonly #handled: number[] = [];
  /** By CPU: the memory copy of the registers that the last probed kvm_timer_update_irq was called for. */
  readonly #registers: (Registers | undefined)[] = [];
  /** Linux irq number of the host's own timer; -1 until it was seen. */
  hostTimerIrq = -1;
  /** Least difference of the trace's clock and CLOCK_MONOTONIC that ticks have shown lately, and when; nanoseconds. */
  #ahead = Number.POSITIVE_INFINITY;
  #aheadAt = 0;
  /** A callback of an hrtimer was printed by its name, not by an address without a symbol. */
  namesCallbacks = false;
  /** Names that tell the kernel's generation, a set of `TimerName`. */
  names = 0;

  /** A tick was recorded at `time` of the trace, in an interrupt that began at `now` of CLOCK_MONOTONIC. */
  ticked(time: number, now: number): void {
    if (now <= 0 || (time - now > this.#ahead && time - this.#aheadAt < lately)) return;
    this.#ahead = time - now;
    this.#aheadAt = time;
  }

  /**
   * CLOCK_MONOTONIC at `time` of the trace, at the earliest, as the ticks before it tell; -1 without any.
   * In a guest whose deadlines are the host's ticks, KVM's own timers expire behind them in the same interrupt, with the
   * same `now`, and are recorded late by as much as a tick takes.
   */
  monotonic(time: number): number {
    return time - this.#aheadAt < lately ? Math.max(-1, time - this.#ahead) : -1;
  }

  /**
   * The timer whose interrupt a probe on the handler shows. Where names are not recorded, what the handler reports tells
   * it, and of the other timer's irq that it is another.
   */
  handler(cpu: number, irq: number): number {
    this.#handled[cpu] = irq;
    const known = this.timerIrqs.get(irq);
    if (known !== undefined || irq < 0) return known ?? Timer.unknown;
    for (const timer of this.timerIrqs.values()) {
      if (timer === Timer.vtimer) return Timer.ptimer;
      if (timer === Timer.ptimer) return Timer.vtimer;
    }
    return Timer.unknown;
  }

  /** A soft timer fires: what an interrupt reports next is its callback's. */
  callback(cpu: number): void {
    this.#handled[cpu] = -1;
  }

  /** A level is reported: by the handler, where that is an interrupt's. */
  reported({ cpu, context, irq, level }: TimerEvent): void {
    const handled = this.#handled[cpu] ?? -1;
    if (handled < 0 || context !== Context.hardirq) return;
    this.#handled[cpu] = -1;
    if (level !== 1 || this.timerIrqs.has(handled)) return;
    if (irq === defaultPpi.vtimer) this.timerIrqs.set(handled, Timer.vtimer);
    else if (irq === defaultPpi.ptimer) this.timerIrqs.set(handled, Timer.ptimer);
  }

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
