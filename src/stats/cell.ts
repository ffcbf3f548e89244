import { Histogram } from './histogram.js';

/** Where a vcpu can be, as far as the trace shows (specification §0.3, with what `perf kvm stat` tells apart). */
export enum Where {
  /** Not known: before its first event, and after a loss. */
  unknown,
  /** Between entry and exit. */
  guest,
  /** Loaded, in the host, not waiting. */
  host,
  /** Loaded and waiting: polling for a wakeup, or on its way to sleep and back. */
  waiting,
  /** Put while it waits: asleep. */
  asleep,
  /** Put while it could run. */
  preempted,
  /** Outside of KVM_RUN. */
  userspace,
}

/** Names of the places, indexed by `Where`. */
export const whereNames = ['unknown', 'guest', 'host', 'waiting', 'asleep', 'preempted', 'userspace'] as const;

/** What is counted. */
export enum Count {
  entries,
  exits,
  loads,
  puts,
  /** Loads on another CPU than the last one. */
  migrations,
  preemptions,
  wfi,
  /** Waits that ended without a sleep. */
  polls,
  sleeps,
  userspaceExits,
  wakeups,
  saves,
  restores,
  /** Interrupts of the guest's timers that the host took, by where the vcpu was. */
  interruptsInGuest,
  interruptsLoaded,
  interruptsLate,
  /** Interrupts whose handler raised no level. */
  interruptsSpurious,
  levelRaised,
  levelLowered,
  /** Entries before which the virtual timer's level was reported high since the last one: the guest has a tick to take. */
  ticks,
  activeWrites,
  offsetWrites,
  affinityChanges,
  backgroundArmed,
  backgroundCancelled,
  backgroundFired,
  softArmed,
  softCancelled,
  softFired,
}

/** Names of the counts, indexed by `Count`. */
export const countNames: readonly (keyof typeof Count)[] = Object.values(Count).filter(
  (value): value is keyof typeof Count => typeof value === 'string',
);

/** What is measured from one event to another. */
export enum Latency {
  /** A deadline of the guest to the interrupt of its timer, where the deadline is known (see `Deadlines`). */
  deadlineToInterrupt,
  /** The background timer's deadline to its callback: hrtimer_expire_entry's `now` less hrtimer_start's `expires`. */
  deadlineToExpiry,
  /** The callback of the background timer to the wakeup of the thread. */
  expiryToWakeup,
  /** A wakeup to the load. */
  wakeupToLoad,
  /** A load to the entry. */
  loadToEntry,
  /** The interrupt of a guest timer to the entry with which the guest can take it. */
  interruptToEntry,
  /** The background timer's callback to the entry. */
  expiryToEntry,
  /** A deadline, of an interrupt, of the background timer, or passed while the vcpu was put, to the entry. */
  deadlineToEntry,
  /** From one wait's begin to its end. */
  wait,
}

/** Names of the latencies, indexed by `Latency`. */
export const latencyNames: readonly (keyof typeof Latency)[] = Object.values(Latency).filter(
  (value): value is keyof typeof Latency => typeof value === 'string',
);

/** `deadlineToExpiry` as `deadline to expiry`; the kernel's names of exits stay as they are. */
export function words(name: string): string {
  return /^[a-z]/.test(name) ? name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`) : name;
}

/** What one vcpu did on one CPU. */
export class Cell {
  readonly counts = new Float64Array(countNames.length);
  /** By place, how long each stay took. */
  readonly stays: (Histogram | undefined)[] = new Array(whereNames.length).fill(undefined);
  readonly latencies: (Histogram | undefined)[] = new Array(latencyNames.length).fill(undefined);
  /** By reason (see `exitReason`), the time from the exit to the next entry or the end of KVM_RUN. */
  readonly exits = new Map<number, Histogram>();

  stay(where: Where, duration: number): void {
    (this.stays[where] ?? addTo(this.stays, where)).add(duration);
  }

  latency(which: Latency, duration: number): void {
    (this.latencies[which] ?? addTo(this.latencies, which)).add(duration);
  }

  exit(reason: number, duration: number): void {
    let exits = this.exits.get(reason);
    if (exits === undefined) {
      exits = new Histogram();
      this.exits.set(reason, exits);
    }
    exits.add(duration);
  }

  merge(other: Cell): void {
    for (let index = 0; index < this.counts.length; index++) this.counts[index]! += other.counts[index]!;
    mergeAll(this.stays, other.stays);
    mergeAll(this.latencies, other.latencies);
    for (const [reason, histogram] of other.exits) {
      if (histogram.count === 0) continue;
      const own = this.exits.get(reason) ?? new Histogram();
      own.merge(histogram);
      this.exits.set(reason, own);
    }
  }

  /** Forgets everything, and keeps the room for as much again. */
  clear(): void {
    this.counts.fill(0);
    for (const histogram of this.stays) histogram?.clear();
    for (const histogram of this.latencies) histogram?.clear();
    for (const histogram of this.exits.values()) histogram.clear();
  }
}

function addTo(histograms: (Histogram | undefined)[], index: number): Histogram {
  const histogram = new Histogram();
  histograms[index] = histogram;
  return histogram;
}

function mergeAll(own: (Histogram | undefined)[], other: readonly (Histogram | undefined)[]): void {
  other.forEach((histogram, index) => {
    if (histogram === undefined || histogram.count === 0) return;
    own[index] ??= new Histogram();
    own[index].merge(histogram);
  });
}
