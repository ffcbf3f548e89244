import { U64Map } from '../events/u64.js';

/**
 * What earlier records of a recording tell of later ones: an hrtimer is known by its callback only at its start, and an
 * interrupt by its name only at its entry.
 */
export class Learned {
  /** Which kind of timer an hrtimer pointer is, see `HrtimerClass`. */
  readonly hrtimers = new U64Map<number>();
  /** Linux irq number of the guest timers' PPIs, once their name was seen: irq to context. */
  readonly timerIrqs = new Map<number, number>();
  /**
   * Whether sched_switch records prev_state one letter too far: 1 yes, 0 no, -1 not known yet. The idle thread tells,
   * because it never sleeps.
   */
  statesShifted = -1;
  /** Names that tell the kernel's generation, a set of `TimerName`. */
  names = 0;
}
