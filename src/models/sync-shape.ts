import { defaultPpi, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';

/** Levels lowered by syncs after an exit that tell. */
const enoughLowered = 4;

/** For so many of them one report may be unlike those of a sync: lost records and interrupts leave a few. */
const syncsPerOther = 8;

/** Where levels are reported, which tells kernels that sync the timer after every exit from later ones. */
export class SyncShape {
  /** By CPU: the thread whose exit was its last event. */
  readonly #exited: number[] = [];
  #loweredAfterExit = 0;
  /** Levels that are lowered elsewhere, or reported twice in a row: no sync of 4.14 or earlier does. */
  #reportedElse = 0;
  /** Last level of a thread's virtual and physical timer. */
  readonly #levels: [Map<number, number>, Map<number, number>] = [new Map(), new Map()];
  #loweredAgain = 0;
  /** A guest timer's interrupt was handled. */
  #handled = false;
  #entries = 0;

  event(event: TimerEvent): void {
    switch (event.kind) {
      case Kind.entry:
        this.#entries++;
        this.#exited[event.cpu] = -1;
        return;
      case Kind.exit:
        this.#exited[event.cpu] = event.pid;
        return;
      case Kind.update_irq:
        if (event.pid >= 0) this.#reported(event);
        return;
      case Kind.vtimer_irq:
        this.#handled = true;
        return;
      case Kind.sync:
      case Kind.vgic_inject:
        return;
      default:
        this.#exited[event.cpu] = -1;
    }
  }

  #reported(event: TimerEvent): void {
    const { pid, level, irq } = event;
    if (level === 0 && this.#exited[event.cpu] === pid) this.#loweredAfterExit++;
    else if (level === 0) this.#reportedElse++;
    const levels = this.#levels[irq === defaultPpi.ptimer ? 1 : 0];
    if (levels.get(pid) === level) {
      this.#reportedElse++;
      if (irq === defaultPpi.ptimer && level === 0) this.#loweredAgain++;
    }
    levels.set(pid, level);
  }

  /** Guest entries so far. */
  get entries(): number {
    return this.#entries;
  }

  /** Level 0 of the physical timer came twice in a row, which loads since 5.1 report on VHE and none before does. */
  get repeatsLowered(): boolean {
    return this.#loweredAgain > 0;
  }

  /**
   * Syncs print after kvm_exit only up to 4.14 (specification §0.5, point 5); later ones lower no level or do it before.
   * So would a load, where nothing between it and the exit is recorded, but that also repeats a level.
   */
  get followsExits(): boolean {
    if (this.#loweredAfterExit < Math.max(enoughLowered, syncsPerOther * this.#reportedElse)) return false;
    // Without entries a sync before the exit looks like one after the exit before. Up to 4.14 no handler ever runs.
    return this.#entries >= this.#loweredAfterExit && !this.#handled;
  }
}
