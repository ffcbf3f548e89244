import type { TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';

/** Repetitions that are no accident: a vcpu is loaded and put by each of the ioctls that set it up. */
const enough = 2;

/**
 * What tells the RFC of December 2016, which was never released and calls itself by its base's version (specification
 * §2b): loads set the forwarded flag of the timer's interrupt and puts clear it, and the handler of that interrupt, which
 * the world switch of 4.14 and earlier never lets run, raises the level.
 */
export class RfcShape {
  /** Threads that have loaded or put a vcpu. */
  readonly #vcpuThreads = new Set<number>();
  /** The irqs that such threads have set the vcpu of, and how often they have cleared it again. */
  readonly #forwarded = new Set<number>();
  #cleared = 0;
  /** By CPU: inside the handler of a guest timer's interrupt. */
  readonly #handling: boolean[] = [];
  #handled = 0;
  #raised = 0;
  #raisedElsewhere = 0;

  event(event: TimerEvent): void {
    switch (event.kind) {
      case Kind.load:
      case Kind.put:
      case Kind.timer_load:
      case Kind.timer_put:
        this.#vcpuThreads.add(event.pid);
        return;
      case Kind.set_affinity:
        // GICv4 forwards other interrupts at every load as well, but does not take them from the vcpu at a put.
        if (!this.#vcpuThreads.has(event.pid)) return;
        if (event.level === 1) this.#forwarded.add(event.irq);
        else if (this.#forwarded.has(event.irq)) this.#cleared++;
        return;
      case Kind.vtimer_irq:
        this.#handling[event.cpu] = true;
        this.#handled++;
        return;
      case Kind.vtimer_irq_end:
      case Kind.irq_begin:
      case Kind.exit:
      case Kind.sched_switch:
        this.#handling[event.cpu] = false;
        return;
      case Kind.update_irq:
        if (event.level !== 1) return;
        if (this.#handling[event.cpu] === true) this.#raised++;
        else this.#raisedElsewhere++;
        return;
      default:
    }
  }

  /** Puts take from the timer's interrupt the vcpu that loads have given it. */
  get clearsAtPut(): boolean {
    return this.#cleared >= enough;
  }

  /** The interrupt's handler runs and raises levels, or runs where levels are not recorded. */
  get handlerWorks(): boolean {
    return this.#raised >= enough || (this.#raised + this.#raisedElsewhere === 0 && this.#handled > enough);
  }

  /** Levels are raised outside the handler, as flush and sync of the world switch do. */
  get raisesElsewhere(): boolean {
    return this.#raisedElsewhere >= enough;
  }
}
