import { Context, isGicv5Ppi, Timer, type TimerEvent } from '../events/event.js';
import { Kind, kindNames } from '../events/kinds.js';
import type { Machine } from '../machine/machine.js';
import { nowhere, type VcpuState } from '../machine/state.js';
import type { Design } from '../models/design.js';
import { Field, know, nothingKnown } from './key.js';
import { keyOfVcpu } from './known.js';
import { OpenEpisodes } from './open.js';
import { Run } from './situation.js';
import { type EpisodeSink, none, type Slot, type VcpuSlot } from './slots.js';
import { isEffect, symbolOfEvent } from './symbols.js';
import { ThreadEpisodes, threadKinds } from './thread.js';
import type { Trie } from './trie.js';

/** What a kind's records mean for episodes. */
enum Part {
  /** Not known: no event of the kind has been seen. */
  unseen,
  /** Nothing: what belongs to the episode of an interrupt, or comes between. */
  none,
  /** No interrupt's episode goes on. */
  other,
  interrupt,
  effect,
  thread,
  /** A thread's record that only ends what is under way: mostly nothing is. */
  stop,
  /** A timer map: it is read within the handler of an interrupt, too. */
  map,
  lost,
}

const parts = new Uint8Array(kindNames.length).fill(Part.other);
for (const kind of [
  Kind.timer_callback_end,
  Kind.wakeup,
  Kind.vgic_inject,
  Kind.irq_begin,
  Kind.irq_end,
  Kind.expiry_work,
  Kind.vcpu_pointer,
  Kind.irq_line,
])
  parts[kind] = Part.none;
for (const kind of [Kind.vtimer_irq, Kind.bg_expire, Kind.soft_expire]) parts[kind] = Part.interrupt;
for (const kind of threadKinds) parts[kind] = Part.thread;
for (const kind of [Kind.userspace_exit, Kind.wfx, Kind.halt_end]) parts[kind] = Part.stop;
parts[Kind.timer_map] = Part.map;
for (let kind = 0; kind < kindNames.length; kind++) if (isEffect(kind)) parts[kind] = Part.effect;
parts[Kind.lost] = Part.lost;

/**
 * Finds the begin and end of every run of the kernel's timer functions, and the records of their effects in between.
 * The event at hand costs a few comparisons and a step in the trie.
 */
export class Episodes {
  readonly #open: OpenEpisodes;
  readonly #threads: ThreadEpisodes;
  /** Kinds that were seen. */
  readonly seen = new Uint8Array(kindNames.length);
  /** How many. */
  kinds = 0;
  /** By kind; one that has not been seen has none so far. */
  readonly #parts = new Uint8Array(kindNames.length).fill(Part.unseen);
  /** A level of a GICv5 guest's interrupt was reported. */
  gicv5 = false;

  constructor(design: Design, sink: EpisodeSink) {
    this.#open = new OpenEpisodes(sink);
    this.#threads = new ThreadEpisodes(design, this.#open);
  }

  get trie(): Trie {
    return this.#open.trie;
  }

  event(event: TimerEvent, machine: Machine, vcpu: VcpuState | undefined): void {
    if (event.cpu < 0) return;
    if (vcpu !== undefined) this.ofVcpu(event, machine, vcpu, this.slot(vcpu.index));
    else this.#beside(this.#partOf(event.kind), event, machine, undefined, undefined);
  }

  /** What is kept of a vcpu. */
  slot(vcpu: number): VcpuSlot {
    return this.#open.vcpu(vcpu);
  }

  /** As `event`, where what is kept of its vcpu is at hand. */
  ofVcpu(event: TimerEvent, machine: Machine, vcpu: VcpuState, slot: VcpuSlot): void {
    const part = this.#partOf(event.kind);
    if (part === Part.none) return;
    if (part !== Part.thread && part !== Part.stop) return this.#beside(part, event, machine, vcpu, slot);
    this.#open.endInterrupt(event.cpu);
    if (part === Part.thread || slot.node !== none) this.#threads.event(event, vcpu, slot);
  }

  /** What is no record of a vcpu's thread, or belongs to no vcpu that is known. */
  #beside(
    part: Part,
    event: TimerEvent,
    machine: Machine,
    vcpu: VcpuState | undefined,
    slot: VcpuSlot | undefined,
  ): void {
    switch (part) {
      case Part.effect:
        this.#effect(event, vcpu, slot);
        return;
      case Part.map:
        if (vcpu !== undefined && slot !== undefined) this.#threads.mapped(vcpu, slot);
        return;
      case Part.interrupt:
        this.#open.endInterrupt(event.cpu);
        this.#interrupt(event, machine, vcpu, slot);
        return;
      case Part.other:
      case Part.thread:
      case Part.stop:
        this.#open.endInterrupt(event.cpu);
        return;
      case Part.lost:
        this.#open.lost(event.cpu, machine);
        return;
      default:
    }
  }

  /** What a kind means, of which an event is at hand. */
  #partOf(kind: Kind): Part {
    const part = this.#parts[kind] as Part;
    return part === Part.unseen ? this.#meet(kind) : part;
  }

  #meet(kind: Kind): Part {
    this.seen[kind] = 1;
    this.kinds++;
    this.#parts[kind] = parts[kind]!;
    return parts[kind] as Part;
  }

  /** Whether an episode is the way out of the guest. */
  isWayOut(slot: Slot): boolean {
    return this.#open.isIn(Run.leave, slot);
  }

  /** The trace has ended. */
  end(): void {
    this.#open.endAll();
  }

  #interrupt(event: TimerEvent, machine: Machine, vcpu: VcpuState | undefined, slot: VcpuSlot | undefined): void {
    const { kind, cpu } = event;
    const timer = event.timer === Timer.ptimer ? 0 : event.timer === Timer.vtimer ? 1 : 2;
    if (kind === Kind.vtimer_irq) {
      const running = vcpu !== undefined ? 1 : machine.cpu(cpu).running === nowhere ? 0 : 2;
      const key = know(vcpu !== undefined ? keyOfVcpu(vcpu) : nothingKnown, Field.timer, timer);
      this.#open.beginInterrupt(Run.irq, know(key, Field.extra, running), event);
      return;
    }
    if (kind === Kind.bg_expire && slot !== undefined) slot.bgArmed = 0;
    const episode = kind === Kind.bg_expire ? Run.bg_expire : Run.soft_expire;
    this.#open.beginInterrupt(episode, know(nothingKnown, Field.timer, timer), event);
  }

  #effect(event: TimerEvent, vcpu: VcpuState | undefined, slot: VcpuSlot | undefined): void {
    const { kind, context } = event;
    if (kind === Kind.update_irq && isGicv5Ppi(event.irq)) this.gicv5 = true;
    if (context === Context.hardirq || context === Context.softirq) {
      if (kind === Kind.bg_arm && slot !== undefined) slot.bgArmed = 1;
      // Where a timer that expires leaves a record of a cancel, too, that is no effect of a callback.
      if (kind === Kind.bg_cancel || kind === Kind.soft_cancel) return;
      const interrupt = this.#open.cpu(event.cpu);
      if (interrupt.node !== none) this.#open.show(symbolOfEvent(event), interrupt);
      return;
    }
    this.#open.endInterrupt(event.cpu);
    if (vcpu === undefined || slot === undefined) return;
    this.#threads.effect(event, vcpu, slot);
    if (slot.node !== none) this.#open.show(symbolOfEvent(event), slot);
  }
}
