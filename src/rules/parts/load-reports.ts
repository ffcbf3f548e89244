import { Certainty, Context, Ctl, canFire, type TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { no, type TimerContext, unknown, type VcpuState } from '../../machine/state.js';
import type { RuleContext } from '../context.js';
import { Slots } from '../support.js';

/** Nanoseconds by which a clock may be read beside the truth. */
const tolerance = 50_000;

/**
 * Loads of 5.2 and later report the level of every direct timer before they restore it (kvm_timer_vcpu_load_gic since
 * bae561c0cff7; specification §2d). Finds restores of loads that have not: where the timer has expired,
 * expired-timer-asserted tells of them, otherwise dist-active-at-load.
 */
export class LoadReports {
  readonly #context: RuleContext;
  /** By vcpu: the last timer map of its own thread that found its virtual timer saved. */
  readonly #maps = new Slots();
  /** By vcpu: reports of its thread since that map. */
  readonly #counts: number[] = [];
  /** Loads of 5.1 report nothing, and those of a host without a GIC only the virtual timer. By timer: one has. */
  readonly #reporting: boolean[] = [];
  /** Reports of level 0 and of level 1 are recorded: a filter on the event may leave out either. */
  #hasLow = false;
  #hasHigh = false;

  constructor(context: RuleContext) {
    this.#context = context;
    if (!context.candidates.includes('timer-map')) this.#reporting.push(true, true, true, true);
  }

  /** kvm_get_timer_map: between a save and a restore it belongs to a put or load, and not to a trapped access. */
  mapped(event: TimerEvent): void {
    if (event.vcpu < 0 || event.context === Context.hardirq) return;
    if (this.#context.machine.vcpu(event.vcpu).vtimer.loaded !== no) return;
    this.#maps.set(event.vcpu, event);
    this.#counts[event.vcpu] = 0;
  }

  /** kvm_timer_update_irq. */
  reported({ vcpu, context }: TimerEvent): void {
    if (vcpu >= 0 && context !== Context.hardirq) this.#counts[vcpu] = (this.#counts[vcpu] ?? 0) + 1;
  }

  /**
   * timer_restore_state, before the model applies it.
   *
   * @returns the event with which the load began, if it has not reported the level of the timer that is restored
   */
  missing(restore: TimerEvent): TimerEvent | undefined {
    const { machine } = this.#context;
    if (restore.vcpu < 0 || restore.timer < 0) return undefined;
    const vcpu = machine.vcpu(restore.vcpu);
    const state = vcpu.contexts[restore.timer] as TimerContext;
    const { update } = state;
    if (update.level === 0) this.#hasLow = true;
    else if (update.level === 1) this.#hasHigh = true;
    const begin = this.#beginOf(restore, vcpu, state);
    if (begin === undefined) return undefined;
    if (update.serial > begin.serial) {
      this.#reporting[restore.timer] = true;
      return undefined;
    }
    if (!state.saveValid || state.level === unknown || state.loaded !== no || vcpu.unseen) return undefined;
    // A CPU's reports may not be recorded, and one that cannot be given to a timer may be the one.
    const other = machine.cpu(restore.cpu).last[Kind.update_irq];
    if (other.serial === 0) return undefined;
    if (other.serial > begin.serial && (other.vcpu < 0 || other.timer < 0)) return undefined;
    if (this.#hasEnough(begin, vcpu)) return undefined;
    return this.#reporting[restore.timer] === true && this.#isRecorded(begin, restore) ? begin : undefined;
  }

  /** As many reports as direct timers: one had the interrupt of another, of which timer-identity-consistent tells. */
  #hasEnough(begin: TimerEvent, { index, directPtimer }: VcpuState): boolean {
    const map = this.#maps.get(index);
    const direct = directPtimer >= 0 ? 2 : 1;
    return map !== undefined && map.serial >= begin.serial && (this.#counts[index] as number) >= direct;
  }

  /** Whether the timer that is restored had expired when its load began, and can fire. */
  isExpired(begin: TimerEvent, restore: TimerEvent): boolean {
    return this.#expired(begin, restore) === 1;
  }

  /**
   * The load that a restore belongs to, by its first record: a probe, or the timer map. A load that no probe shows is
   * derived from its restore, as that of a trapped access since 6.3 would be, which saves, restores and reports nothing.
   */
  #beginOf(restore: TimerEvent, vcpu: VcpuState, { save }: TimerContext): TimerEvent | undefined {
    const load = vcpu.last[Kind.load];
    const begin = load.certainty === Certainty.recorded ? load : this.#maps.get(restore.vcpu);
    return begin !== undefined && begin.serial > save.serial && begin.cpu === restore.cpu ? begin : undefined;
  }

  /** Whether the report that is missing would have been recorded, as far as its level is known. */
  #isRecorded(begin: TimerEvent, restore: TimerEvent): boolean {
    const expired = this.#expired(begin, restore);
    return (this.#hasLow || expired === 1) && (this.#hasHigh || expired === 0);
  }

  /** @returns 1 or 0, -1 where it is not known */
  #expired(begin: TimerEvent, restore: TimerEvent): number {
    if (restore.ctl < 0 || !restore.hasCval) return -1;
    if (!canFire(restore.ctl)) return 0;
    const { machine, timing } = this.#context;
    const { writable } = machine.vcpu(restore.vcpu).contexts[restore.timer] as TimerContext;
    // Userspace may set the counter back, and leaves ISTATUS as the save has found it.
    if ((restore.ctl & Ctl.istatus) !== 0 && writable === no) return 1;
    const { vcpu, timer, cvalHi, cvalLo } = restore;
    if (timing.passed(vcpu, timer, cvalHi, cvalLo, begin.time - tolerance) === 1) return 1;
    return timing.passed(vcpu, timer, cvalHi, cvalLo, restore.time + tolerance) === 0 ? 0 : -1;
  }
}
