/**
 * What a replay of a guest on another design has to assume, because the recording does not say it, and how each is
 * told. What follows from records is no assumption.
 */
export const assumptionMeanings = {
  'registers-placed': 'the guest wrote its timer in the first stay after the record that shows it otherwise',
  'deadline-at-expiry': 'no record tells the deadline: it is when a record first shows that it has passed',
  'deadline-beyond': 'the deadline was given up before it passed, and lies beyond that',
  'deadline-unknown': 'no record tells in time when the deadline passes: it is taken to be far ahead',
  'registers-unknown': 'nothing shows what a stay wrote to the timer: it is left as it was',
  'interrupt-taken': 'the guest took its pending interrupt in the stay in which it wrote its timer',
  'spurious-taken': 'the guest took an interrupt that its timer no longer asked for',
  'userspace-write': 'userspace wrote the timer before the load whose restore differs from the last save',
  'write-lost':
    'the recorded kernel lost a write of userspace: a design that keeps it goes on with it, and the guest with its own',
  'counter-write': 'userspace set the counter: the count goes on as it was',
  'physical-timer': 'the guest used its physical timer, which is left out',
  'load-implied': 'the vcpu was loaded on a CPU without a record of it',
  'put-implied': 'the vcpu left a CPU without a record of it',
  'hook-implied': 'the thread slept, or went on, without a record of the blocking hook',
  'ioctl-load': 'a load without an entry was that of an ioctl: later kernels do not load for it',
  'wakeup-given': 'the thread ran again although this design had not woken it: something else did',
  'storm-cut': 'interrupts in a row were cut off: this design would take them on and on',
  'records-lost': 'records were lost: what they held is left out',
} as const;

/** A kind of assumption. */
export type Assumption = keyof typeof assumptionMeanings;

export const assumptionNames = Object.keys(assumptionMeanings) as readonly Assumption[];

/** How often something was assumed, by kind. */
export class Assumptions {
  readonly #counts = new Map<Assumption, number>();

  add(kind: Assumption, count = 1): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + count);
  }

  count(kind: Assumption): number {
    return this.#counts.get(kind) ?? 0;
  }
}
