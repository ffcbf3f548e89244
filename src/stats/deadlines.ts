import { Ctl, canFire, Timer, type TimerEvent } from '../events/event.js';
import { no, type TimerContext, type VcpuState, yes } from '../machine/state.js';
import type { Timing } from '../timing/timing.js';
import { type Cell, Latency } from './cell.js';

/** What is remembered of a vcpu between a deadline and the entry after it; times of the trace, NaN for none. */
export class PendingDeadlines {
  /** The earliest deadline that has passed since the last entry. */
  deadline = Number.NaN;
  /** An interrupt whose deadline a save has yet to show, and its timer. */
  interruptAt = Number.NaN;
  timer: number = Timer.none;
  /** Serial of the restore whose deadline has been measured from: a storm of interrupts is one, and late only once. */
  restore = 0;

  /** Records were lost: nothing that was under way is measured. */
  forget(): void {
    this.deadline = this.interruptAt = Number.NaN;
  }

  /** A deadline has passed: of several the earliest counts. */
  passed(deadline: number): void {
    if (!(this.deadline <= deadline)) this.deadline = deadline;
  }
}

/**
 * Measures from the deadlines of the guest's timers. Of the background timer the records tell its deadline themselves.
 * That of an interrupt is the CVAL in the hardware: known where the guest has not run since the restore, or where the
 * registers are saved before it runs again, and only where the counter is known well enough (`Timing.deadline`).
 * Everything else the guest may have programmed in between: it is not measured. Events come after the model has applied
 * them.
 */
export class Deadlines {
  /** The largest error of a deadline that was measured from, nanoseconds. */
  error = 0;
  readonly #timing: Timing;

  constructor(timing: Timing) {
    this.#timing = timing;
  }

  /** The background timer's callback ran. @param late nanoseconds that it began after its deadline */
  expired(event: TimerEvent, late: number, pending: PendingDeadlines): void {
    pending.passed(event.time - late);
  }

  /** The host took an interrupt of a guest's timer. */
  interrupted(event: TimerEvent, vcpu: VcpuState, pending: PendingDeadlines, cell: Cell): void {
    const { timer } = event;
    if (timer !== Timer.vtimer && timer !== Timer.ptimer) return;
    const context = vcpu.contexts[timer] as TimerContext;
    if (context.loaded !== yes) return;
    if (context.enteredSinceRestore !== no) {
      if (Number.isNaN(pending.interruptAt)) pending.interruptAt = event.time;
      pending.timer = timer;
    } else if (
      context.restoredCvalKnown &&
      canFire(context.restoredCtl) &&
      pending.restore !== context.restore.serial
    ) {
      pending.restore = context.restore.serial;
      this.#measure(event, timer, context.restoredCvalHi, context.restoredCvalLo, event.time, pending, cell);
    }
  }

  /** The registers were saved as the guest has left them, the deadline of the interrupt among them. */
  saved(event: TimerEvent, pending: PendingDeadlines, cell: Cell): void {
    const { interruptAt } = pending;
    if (Number.isNaN(interruptAt) || pending.timer !== event.timer) return;
    pending.interruptAt = Number.NaN;
    const fired = (event.ctl & (Ctl.enable | Ctl.istatus)) === (Ctl.enable | Ctl.istatus);
    if (event.hasCval && event.ctl >= 0 && fired)
      this.#measure(event, event.timer, event.cvalHi, event.cvalLo, interruptAt, pending, cell);
  }

  /** The level was raised: where a load found that the timer had expired while the vcpu was put. */
  raised(event: TimerEvent, vcpu: VcpuState, pending: PendingDeadlines): void {
    const { timer } = event;
    if (timer !== Timer.vtimer && timer !== Timer.ptimer) return;
    const context = vcpu.contexts[timer] as TimerContext;
    if (!Number.isNaN(pending.deadline) || context.loaded !== no || !context.saveValid || !canFire(context.ctl)) return;
    const { save } = context;
    if (!save.hasCval) return;
    const deadline = this.#timing.deadline(event.vcpu, timer, save.cvalHi, save.cvalLo);
    // Expired before the save: it was no event of this wait.
    if (deadline >= save.time && deadline <= event.time) this.#known(pending, deadline);
  }

  /** The guest was entered. */
  entered(event: TimerEvent, pending: PendingDeadlines, cell: Cell): void {
    if (!Number.isNaN(pending.deadline)) cell.latency(Latency.deadlineToEntry, event.time - pending.deadline);
    pending.deadline = pending.interruptAt = Number.NaN;
  }

  /** @param time when the interrupt was taken */
  #measure(
    event: TimerEvent,
    timer: number,
    hi: number,
    lo: number,
    time: number,
    pending: PendingDeadlines,
    cell: Cell,
  ): void {
    const deadline = this.#timing.deadline(event.vcpu, timer, hi, lo);
    // An interrupt before its deadline belongs to another one.
    if (!(time - deadline >= -this.#timing.deadlineError)) return;
    cell.latency(Latency.deadlineToInterrupt, time - deadline);
    this.#known(pending, deadline);
  }

  #known(pending: PendingDeadlines, deadline: number): void {
    if (this.#timing.deadlineError > this.error) this.error = this.#timing.deadlineError;
    pending.passed(deadline);
  }
}
