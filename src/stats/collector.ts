import type { VcpuName } from '../check/facts.js';
import type { Naming } from '../check/findings.js';
import type { ObservedTrace, Observer } from '../check/observe.js';
import { isVirtual, type TimerEvent } from '../events/event.js';
import { Kind, kindNames } from '../events/kinds.js';
import type { Machine } from '../machine/machine.js';
import { type Known, somewhere, unknown, type VcpuState, yes } from '../machine/state.js';
import { Cell, Count, Latency, Where } from './cell.js';
import { Deadlines, PendingDeadlines } from './deadlines.js';
import { exitReason } from './reason.js';

/** No such time. */
const never = Number.NaN;

/** What is remembered of a vcpu until the event that ends it. */
export class Clocks {
  readonly deadlines = new PendingDeadlines();
  where = Where.unknown;
  /** Since when it is there, and on which CPU it was last. */
  since = never;
  cpu = -1;
  /** What the machine said of the vcpu when it was placed. */
  inGuest: Known = unknown;
  loadedOn = somewhere;
  blocked: Known = unknown;
  inUserspace = false;
  /** Reason of the exit that is being handled, -1 none. */
  reason = -1;
  exitAt = never;
  interruptAt = never;
  expiryAt = never;
  wakeupAt = never;
  /** The wakeup that the last expiry is for has been seen. */
  woken = false;
  loadAt = never;
  /** Kind of the last event. */
  last: Kind = Kind.lost;
  waitAt = never;
  slept = false;
  /** CLOCK_MONOTONIC deadline of the background timer. */
  deadline = never;
  /** The interrupt at hand raised the level. */
  raised = false;
  /** The virtual timer's level was reported high since the last entry. */
  ticked = false;

  /** The machine has another place for the vcpu than when it was placed. */
  isElsewhere(vcpu: VcpuState): boolean {
    return vcpu.inGuest !== this.inGuest || vcpu.cpu !== this.loadedOn || vcpu.blocked !== this.blocked;
  }

  forget(): void {
    this.reason = -1;
    this.ticked = false;
    this.exitAt = this.interruptAt = this.expiryAt = this.wakeupAt = this.loadAt = this.waitAt = this.deadline = never;
  }
}

/** What an event of a kind is for the collector. */
enum Part {
  /** Nothing, but that the machine may have moved its vcpu. */
  none,
  /** One more of a count (see `counted`), and nothing else. */
  counted,
  measured,
  /** The vcpu may be elsewhere although the machine has the same of it (see `placeOf`). */
  moves,
}

const parts = new Uint8Array(kindNames.length).fill(Part.measured);
for (const kind of [
  Kind.timer_map,
  Kind.vgic_inject,
  Kind.sched_switch,
  Kind.irq_begin,
  Kind.irq_end,
  Kind.timer_callback_end,
  Kind.vcpu_pointer,
  Kind.irq_line,
  Kind.emulate,
])
  parts[kind] = Part.none;
for (const kind of [Kind.load, Kind.put, Kind.put_end, Kind.entry, Kind.userspace_exit]) parts[kind] = Part.moves;

/** Kinds of which an event is one more of a count, and nothing else. */
const counted: ReadonlyMap<Kind, Count> = new Map([
  [Kind.restore, Count.restores],
  [Kind.set_active, Count.activeWrites],
  [Kind.set_cntvoff, Count.offsetWrites],
  [Kind.set_affinity, Count.affinityChanges],
  [Kind.soft_arm, Count.softArmed],
  [Kind.soft_cancel, Count.softCancelled],
  [Kind.soft_expire, Count.softFired],
]);
for (const kind of counted.keys()) parts[kind] = Part.counted;
const countOf = Uint8Array.from(kindNames, (_, kind) => counted.get(kind) ?? 0);

/** Counts and measures what the vcpus of a trace do, in memory that does not grow with the trace. */
export abstract class Collector implements Observer {
  readonly #clocks: Clocks[] = [];
  #deadlines: Deadlines | undefined;

  /** Where to count what a vcpu does on a CPU. */
  protected abstract cell(vcpu: number, cpu: number): Cell;

  /** The largest error of a deadline that was measured from, nanoseconds. */
  get deadlineError(): number {
    return this.#deadlines?.error ?? 0;
  }

  begin(trace: ObservedTrace): void {
    this.#deadlines = new Deadlines(trace.timing);
  }

  event(event: TimerEvent, machine: Machine, vcpu: VcpuState | undefined): void {
    if (vcpu !== undefined && event.cpu >= 0) this.ofVcpu(event, vcpu, this.clocks(vcpu.index));
    else if (event.kind === Kind.lost) this.#lost(event.time, machine);
  }

  /** What is remembered of a vcpu. */
  clocks(vcpu: number): Clocks {
    while (this.#clocks.length <= vcpu) this.#clocks.push(new Clocks());
    return this.#clocks[vcpu]!;
  }

  /** As `event`, where what is remembered of its vcpu is at hand. */
  ofVcpu(event: TimerEvent, vcpu: VcpuState, clocks: Clocks): void {
    const part = parts[event.kind] as Part;
    if (part >= Part.measured) return this.#measure(event, vcpu, clocks, part);
    if (part === Part.counted) this.cell(event.vcpu, event.cpu).counts[countOf[event.kind]!]!++;
    clocks.last = event.kind;
    if (clocks.isElsewhere(vcpu)) this.#place(event, vcpu, clocks);
  }

  end(time: number): void {
    this.#clocks.forEach((clocks, vcpu) => {
      if (time > clocks.since) this.#leave(vcpu, clocks, time - clocks.since);
    });
  }

  /** The event may have brought the vcpu to another place. */
  #place(event: TimerEvent, vcpu: VcpuState, clocks: Clocks): void {
    const cell = this.cell(event.vcpu, event.cpu);
    clocks.inGuest = vcpu.inGuest;
    clocks.loadedOn = vcpu.cpu;
    clocks.blocked = vcpu.blocked;
    const where = placeOf(vcpu, clocks);
    if (where === clocks.where) return;
    // KVM_RUN puts the vcpu before it says that it ends: that was no preemption.
    const isEnd = clocks.where === Where.preempted && where === Where.userspace;
    if (isEnd) {
      clocks.where = where;
      return;
    }
    this.#leave(event.vcpu, clocks, event.time - clocks.since);
    if (where === Where.asleep) {
      cell.counts[Count.sleeps]!++;
      clocks.slept = true;
    }
    clocks.where = where;
    clocks.since = event.time;
    clocks.cpu = event.cpu;
  }

  #measure(event: TimerEvent, vcpu: VcpuState, clocks: Clocks, part: Part): void {
    const cell = this.cell(event.vcpu, event.cpu);
    const { counts } = cell;
    // What is passed on is how long something took: a small integer mostly, whereas V8 allocates a time.
    const { time } = event;
    switch (event.kind) {
      case Kind.entry:
        counts[Count.entries]!++;
        if (clocks.ticked) counts[Count.ticks]!++;
        clocks.ticked = false;
        if (clocks.reason >= 0) cell.exit(clocks.reason, time - clocks.exitAt);
        if (!Number.isNaN(clocks.loadAt)) cell.latency(Latency.loadToEntry, time - clocks.loadAt);
        if (!Number.isNaN(clocks.interruptAt)) cell.latency(Latency.interruptToEntry, time - clocks.interruptAt);
        if (!Number.isNaN(clocks.expiryAt)) cell.latency(Latency.expiryToEntry, time - clocks.expiryAt);
        clocks.reason = -1;
        clocks.loadAt = clocks.interruptAt = clocks.expiryAt = clocks.wakeupAt = never;
        clocks.inUserspace = false;
        this.#deadlines?.entered(event, clocks.deadlines, cell);
        break;
      case Kind.exit:
        counts[Count.exits]!++;
        clocks.reason = exitReason(event.exitCode, event.exceptionClass);
        clocks.exitAt = time;
        break;
      case Kind.load:
        counts[Count.loads]!++;
        if (clocks.cpu >= 0 && clocks.cpu !== event.cpu && clocks.where !== Where.unknown) counts[Count.migrations]!++;
        if (!Number.isNaN(clocks.wakeupAt)) cell.latency(Latency.wakeupToLoad, time - clocks.wakeupAt);
        clocks.wakeupAt = never;
        clocks.loadAt = time;
        clocks.inUserspace = false;
        break;
      case Kind.put:
        counts[Count.puts]!++;
        clocks.loadAt = never;
        break;
      case Kind.wfx:
        if (event.level !== 1) counts[Count.wfi]!++;
        break;
      case Kind.schedule:
        if (Number.isNaN(clocks.waitAt)) clocks.waitAt = time;
        clocks.slept = false;
        break;
      case Kind.unschedule:
      case Kind.halt_end:
        if (Number.isNaN(clocks.waitAt)) break;
        if (!clocks.slept) counts[Count.polls]!++;
        cell.latency(Latency.wait, time - clocks.waitAt);
        clocks.waitAt = never;
        break;
      case Kind.userspace_exit:
        counts[Count.userspaceExits]!++;
        if (clocks.reason >= 0) cell.exit(clocks.reason, time - clocks.exitAt);
        clocks.reason = -1;
        clocks.waitAt = never;
        clocks.inUserspace = true;
        break;
      case Kind.wakeup:
        counts[Count.wakeups]!++;
        // Some kernels record one wakeup two or three times.
        if (!clocks.woken && !Number.isNaN(clocks.expiryAt))
          cell.latency(Latency.expiryToWakeup, time - clocks.expiryAt);
        clocks.woken = true;
        if (clocks.where === Where.asleep && Number.isNaN(clocks.wakeupAt)) clocks.wakeupAt = time;
        break;
      case Kind.save:
        counts[Count.saves]!++;
        this.#deadlines?.saved(event, clocks.deadlines, cell);
        break;
      case Kind.vtimer_irq:
        counts[
          vcpu.inGuest === yes ? Count.interruptsInGuest : vcpu.cpu >= 0 ? Count.interruptsLoaded : Count.interruptsLate
        ]!++;
        if (Number.isNaN(clocks.interruptAt)) clocks.interruptAt = time;
        clocks.raised = false;
        this.#deadlines?.interrupted(event, vcpu, clocks.deadlines, cell);
        break;
      case Kind.vtimer_irq_end:
        if (!clocks.raised) counts[Count.interruptsSpurious]!++;
        break;
      case Kind.update_irq:
        counts[event.level === 1 ? Count.levelRaised : Count.levelLowered]!++;
        clocks.raised ||= event.level === 1;
        clocks.ticked ||= event.level === 1 && isVirtual(event.timer);
        if (event.level === 1) this.#deadlines?.raised(event, vcpu, clocks.deadlines);
        break;
      case Kind.bg_arm:
        // hrtimer_cancel also tells that a timer leaves its queue to expire, or to be started anew (specification §0.5).
        if (clocks.last === Kind.bg_cancel) counts[Count.backgroundCancelled]!--;
        counts[Count.backgroundArmed]!++;
        clocks.deadline = event.expires;
        break;
      case Kind.bg_cancel:
        counts[Count.backgroundCancelled]!++;
        break;
      case Kind.bg_expire:
        if (clocks.last === Kind.bg_cancel) counts[Count.backgroundCancelled]!--;
        counts[Count.backgroundFired]!++;
        clocks.expiryAt = time;
        clocks.woken = false;
        if (event.expires >= 0 && clocks.deadline >= 0) {
          cell.latency(Latency.deadlineToExpiry, event.expires - clocks.deadline);
          this.#deadlines?.expired(event, event.expires - clocks.deadline, clocks.deadlines);
        }
        clocks.deadline = never;
        break;
      default:
    }
    clocks.last = event.kind;
    if (part === Part.moves || clocks.isElsewhere(vcpu)) this.#place(event, vcpu, clocks);
  }

  /** What was under way when records were lost is not measured. */
  #lost(time: number, machine: Machine): void {
    this.#clocks.forEach((clocks, index) => {
      clocks.deadlines.forget();
      const where = placeOf(machine.vcpu(index), clocks);
      if (where !== Where.unknown) return;
      this.#leave(index, clocks, time - clocks.since);
      clocks.forget();
      clocks.where = Where.unknown;
      clocks.inGuest = unknown;
      clocks.loadedOn = somewhere;
      clocks.blocked = unknown;
      clocks.since = time;
    });
  }

  /** The vcpu leaves the place where it is. @param duration how long it was there */
  #leave(vcpu: number, clocks: Clocks, duration: number): void {
    if (clocks.cpu < 0 || Number.isNaN(duration)) return;
    const cell = this.cell(vcpu, clocks.cpu);
    cell.stay(clocks.where, duration);
    if (clocks.where === Where.preempted) cell.counts[Count.preemptions]!++;
  }
}

/** Counts and measures by vcpu and CPU. */
export class CellCollector extends Collector {
  /** By vcpu and CPU. */
  readonly cells: Cell[][] = [];
  /** By vcpu, who it is; known at the end. */
  names: readonly (VcpuName | null)[] = [];
  readonly #naming: Naming;

  constructor(naming: Naming) {
    super();
    this.#naming = naming;
  }

  override end(time: number): void {
    super.end(time);
    this.names = this.cells.map((_, vcpu) => this.#naming.vcpu(vcpu));
  }

  protected override cell(vcpu: number, cpu: number): Cell {
    while (this.cells.length <= vcpu) this.cells.push([]);
    const cells = this.cells[vcpu]!;
    cells[cpu] ??= new Cell();
    return cells[cpu];
  }
}

/** Where the machine says that a vcpu is. A put that has begun may have ended at any time before the next load. */
function placeOf(vcpu: VcpuState, clocks: Clocks): Where {
  if (vcpu.inGuest === yes) return Where.guest;
  if (vcpu.cpu >= 0 && !vcpu.putting) return vcpu.blocked === yes ? Where.waiting : Where.host;
  if (vcpu.cpu === somewhere) return Where.unknown;
  if (clocks.inUserspace) return Where.userspace;
  return vcpu.blocked === yes ? Where.asleep : Where.preempted;
}
