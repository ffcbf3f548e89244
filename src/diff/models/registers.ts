import { Ctl, canFire, writableCtl } from '../../events/event.js';
import type { Assumptions } from './assumptions.js';
import { Deadline, type Stimulus } from './stimulus.js';

/** After a deadline that was given up, where it is taken to have been, nanoseconds. */
const beyond = 1_000_000_000;

/** An expiry that shows so much before the deadline is that of another one, nanoseconds. */
const early = 200_000;

/**
 * What is known of the virtual timer that a vcpu's guest programs. The guest writes it in a stay, unseen; records show it
 * later: a save, a probe, an armed background timer, an interrupt, a level. Each such record settles the stays since the
 * one before: the first of them has written what it shows, the others have written nothing.
 */
export class GuestTimer {
  /** CTL without ISTATUS, -1 unknown, and CVAL where `hasCval`. */
  #ctl = -1;
  #cvalHi = 0;
  #cvalLo = 0;
  #hasCval = false;
  #deadline: Deadline | undefined;
  /** A record has shown that the deadline has passed. */
  #passed = false;
  /** Stays were settled by an expiry that may have been of a value that they wrote. */
  #doubtful = false;
  /** What was known before userspace wrote, until a record shows whether the write has lasted. */
  #before: { ctl: number; hi: number; lo: number; hasCval: boolean; deadline: Deadline | undefined } | undefined;
  /** When the timer expired in the stay at hand, which itself must have armed it. */
  #unexplained = Number.NaN;
  /** The first and the last stay since a record showed the timer. */
  #first: Stimulus | undefined;
  #last: Stimulus | undefined;

  constructor(readonly assumptions: Assumptions) {}

  /** A stay has ended, of which no record shows yet what it wrote. @param expired that it did is why it ended */
  stay(stimulus: Stimulus, expired: boolean): void {
    if (expired) {
      if (!Number.isNaN(this.#unexplained)) {
        this.#armed(stimulus, this.#unexplained);
        this.#passed = true;
      }
      this.#unexplained = Number.NaN;
      return;
    }
    stimulus.open = true;
    if (this.#first === undefined || this.#first.given) this.#first = stimulus;
    else stimulus.open = false;
    this.#last = stimulus;
  }

  /** A stay has ended in which the timer went on to fire: it was left alone, or fires anew. */
  stayed(): void {
    this.#doubtful = true;
  }

  /** Nothing is known any more; stays that wait will not be known. */
  forget(): void {
    this.#settle();
    this.#ctl = -1;
    this.#hasCval = false;
    this.#deadline = undefined;
  }

  /**
   * A record shows the registers.
   *
   * @param ctl with ISTATUS, as it was read
   * @param since when it has expired at the latest, if ISTATUS says that it has, nanoseconds
   * @param time of the record, nanoseconds
   * @returns what userspace must have written, when no stay can have; undefined otherwise
   */
  shown(ctl: number, hi: number, lo: number, since: number, time: number): Deadline | 'off' | undefined {
    const written = ctl & writableCtl;
    if (this.#lost(time, ctl, hi, lo)) return undefined;
    const expired = (ctl & Ctl.istatus) !== 0 && canFire(ctl);
    const sameValue = this.#hasCval && hi === this.#cvalHi && lo === this.#cvalLo;
    if (written === this.#ctl && (sameValue || (!canFire(ctl) && !this.#hasCval))) {
      this.#settle();
      if (expired) this.#expire(since);
      this.#remember(written, hi, lo);
      return undefined;
    }
    const stay = this.#writer();
    // Placed by its expiry, of which only now a record shows the registers.
    if (stay === undefined && written === this.#ctl && (!this.#hasCval || this.#doubtful)) {
      this.#remember(written, hi, lo);
      if (expired) this.#expire(since);
      return undefined;
    }
    const isFirst = this.#ctl < 0 && this.#deadline === undefined;
    this.#giveUp(time);
    this.#deadline = canFire(ctl) ? new Deadline() : undefined;
    this.#passed = false;
    if (expired) this.#expire(since);
    this.#remember(written, hi, lo);
    if (stay !== undefined) {
      if (this.#first !== this.#last) this.assumptions.add('registers-placed');
      stay.program(written, this.#deadline);
      this.#settle();
      return undefined;
    }
    // Of a vcpu of which nothing was known before, this is how it begins.
    return isFirst && !canFire(ctl) ? undefined : (this.#deadline ?? 'off');
  }

  /**
   * A record shows that the timer has expired.
   *
   * @param time the latest that it can have been, nanoseconds
   * @param inGuest in a stay that has not ended
   */
  expired(time: number, inGuest: boolean): void {
    const deadline = this.#deadline;
    // Unless it is too early for that: then a stay has moved the deadline.
    if (deadline !== undefined && !this.#passed && !(deadline.time > time + early)) {
      this.#doubtful ||= this.#first !== undefined;
      this.#expire(time);
      this.#settle();
      return;
    }
    const stay = this.#writer();
    if (stay === undefined && !inGuest) {
      // Earlier than was thought: no stay has moved it.
      if (deadline !== undefined) this.#passed = true;
      return;
    }
    this.assumptions.add('deadline-at-expiry');
    if (stay === undefined) {
      this.#unexplained = time;
      return;
    }
    if (this.#first !== this.#last) this.assumptions.add('registers-placed');
    this.#armed(stay, Math.max(time, stay.time));
    this.#passed = true;
  }

  /** The level that is still high says that the deadline has passed, and that no stay has moved it since. */
  stillHigh(time: number): void {
    if (this.#first !== undefined) this.#settle();
    else if (this.#deadline !== undefined && !this.#passed) this.#expire(time);
  }

  /** A record shows when the timer will expire, nanoseconds. */
  armed(time: number): void {
    const deadline = this.#deadline;
    if (deadline !== undefined && Number.isNaN(deadline.time)) {
      this.#doubtful ||= this.#first !== undefined;
      deadline.time = time;
      this.#settle();
      return;
    }
    const stay = this.#writer();
    if (stay === undefined) return;
    if (this.#first !== this.#last) this.assumptions.add('registers-placed');
    this.#armed(stay, Math.max(time, stay.time));
  }

  /** Userspace has written a register. @returns what the write stands for */
  userWrite(
    ctl: number | undefined,
    hi: number,
    lo: number,
    time: number,
  ): { ctl: number; deadline: Deadline | undefined } {
    this.#settle();
    if (this.#before === undefined)
      this.#before = {
        ctl: this.#ctl,
        hi: this.#cvalHi,
        lo: this.#cvalLo,
        hasCval: this.#hasCval,
        deadline: this.#deadline,
      };
    else this.#giveUp(time);
    const written = ctl ?? this.#ctl;
    const same = ctl !== undefined && canFire(this.#ctl) && canFire(ctl);
    if (!same) {
      this.#deadline = canFire(written) ? new Deadline() : undefined;
      this.#passed = false;
    }
    if (ctl === undefined) this.#remember(written, hi, lo);
    else this.#ctl = written;
    return { ctl: written, deadline: this.#deadline };
  }

  /**
   * After a write of userspace the first record that shows the registers tells whether it has lasted: kernels that lose it
   * show what was there before. @returns whether they do
   */
  #lost(time: number, ctl: number, hi: number, lo: number): boolean {
    const before = this.#before;
    this.#before = undefined;
    if (before === undefined) return false;
    const lost = before.hasCval && before.ctl === (ctl & writableCtl) && before.hi === hi && before.lo === lo;
    const kept = this.#ctl === (ctl & writableCtl) && this.#cvalHi === hi && this.#cvalLo === lo;
    if (!lost || kept || this.#writer() !== undefined) {
      if (before.deadline !== undefined && before.deadline !== this.#deadline && Number.isNaN(before.deadline.time))
        before.deadline.time = time + beyond;
      return false;
    }
    this.assumptions.add('write-lost');
    if (before.deadline !== this.#deadline) this.#giveUp(time);
    this.#deadline = before.deadline;
    this.#passed = before.deadline !== undefined && before.deadline.time <= time;
    this.#remember(before.ctl, hi, lo);
    return true;
  }

  #armed(stay: Stimulus, time: number): void {
    this.#deadline = new Deadline();
    this.#passed = false;
    this.#deadline.time = time;
    this.#ctl = Ctl.enable;
    this.#hasCval = false;
    stay.program(Ctl.enable, this.#deadline);
    this.#settle();
  }

  #expire(time: number): void {
    if (this.#deadline === undefined) return;
    this.#passed = true;
    if (!Number.isNaN(this.#deadline.time)) return;
    this.assumptions.add('deadline-at-expiry');
    this.#deadline.time = time;
  }

  /** The timer was written anew: its deadline never came. */
  #giveUp(time: number): void {
    const deadline = this.#deadline;
    if (deadline === undefined || !Number.isNaN(deadline.time)) return;
    this.assumptions.add('deadline-beyond');
    deadline.time = time + beyond;
  }

  #remember(ctl: number, hi: number, lo: number): void {
    this.#ctl = ctl;
    this.#cvalHi = hi;
    this.#cvalLo = lo;
    this.#hasCval = true;
    this.#doubtful = false;
  }

  /** The stay that may have written the timer: the first that still waits. */
  #writer(): Stimulus | undefined {
    if (this.#first !== undefined && !this.#first.given) return this.#first;
    return this.#last !== undefined && !this.#last.given ? this.#last : undefined;
  }

  #settle(): void {
    if (this.#first !== undefined) this.#first.open = false;
    this.#first = undefined;
    this.#last = undefined;
  }
}
