import { Context, isGicv5Ppi, Timer, type TimerEvent } from '../events/event.js';
import { Kind, kindNames } from '../events/kinds.js';
import type { Machine } from '../machine/machine.js';
import { nowhere, type VcpuState } from '../machine/state.js';
import type { Design } from '../models/design.js';
import { Field, know, nothingKnown } from './key.js';
import { keyOfVcpu } from './known.js';
import { OpenEpisodes } from './open.js';
import { Run } from './situation.js';
import { type EpisodeSink, none, type Slot } from './slots.js';
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
    const part = this.#parts[event.kind] as Part;
    if (event.cpu < 0 || part === Part.none) return;
    if (part !== Part.thread) return this.#beside(part, event, machine, vcpu);
    this.#open.endInterrupt(event.cpu);
    if (vcpu !== undefined) this.#threads.event(event, vcpu, this.#open.vcpu(vcpu.index));
  }

  #beside(part: Part, event: TimerEvent, machine: Machine, vcpu: VcpuState | undefined): void {
    switch (part) {
      case Part.effect:
        this.#effect(event, vcpu);
        return;
      case Part.map:
        if (vcpu !== undefined) this.#threads.mapped(vcpu, this.#open.vcpu(vcpu.index));
        return;
      case Part.interrupt:
        this.#open.endInterrupt(event.cpu);
        this.#interrupt(event, machine, vcpu);
        return;
      case Part.other:
        this.#open.endInterrupt(event.cpu);
        return;
      case Part.lost:
        this.#open.lost(event.cpu, machine);
        return;
      case Part.unseen:
        this.#meet(event.kind);
        this.event(event, machine, vcpu);
        return;
      default:
    }
  }

  #meet(kind: Kind): void {
    this.seen[kind] = 1;
    this.kinds++;
    this.#parts[kind] = parts[kind]!;
  }

  /** Whether an episode is the way out of the guest. */
  isWayOut(slot: Slot): boolean {
    return this.#open.isIn(Run.leave, slot);
  }

  /** The trace has ended. */
  end(): void {
    this.#open.endAll();
  }

  #interrupt(event: TimerEvent, machine: Machine, vcpu: VcpuState | undefined): void {
    const { kind, cpu } = event;
    const timer = event.timer === Timer.ptimer ? 0 : event.timer === Timer.vtimer ? 1 : 2;
    if (kind === Kind.vtimer_irq) {
      const running = vcpu !== undefined ? 1 : machine.cpu(cpu).running === nowhere ? 0 : 2;
      const key = know(vcpu !== undefined ? keyOfVcpu(vcpu) : nothingKnown, Field.timer, timer);
      this.#open.beginInterrupt(Run.irq, know(key, Field.extra, running), event);
      return;
    }
    if (kind === Kind.bg_expire && vcpu !== undefined) this.#open.vcpu(vcpu.index).bgArmed = 0;
    const episode = kind === Kind.bg_expire ? Run.bg_expire : Run.soft_expire;
    this.#open.beginInterrupt(episode, know(nothingKnown, Field.timer, timer), event);
  }

  #effect(event: TimerEvent, vcpu: VcpuState | undefined): void {
    const { kind, context } = event;
    if (kind === Kind.update_irq && isGicv5Ppi(event.irq)) this.gicv5 = true;
    if (context === Context.hardirq || context === Context.softirq) {
      if (kind === Kind.bg_arm && vcpu !== undefined) this.#open.vcpu(vcpu.index).bgArmed = 1;
      // Where a timer that expires leaves a record of a cancel, too, that is no effect of a callback.
      if (kind === Kind.bg_cancel || kind === Kind.soft_cancel) return;
      const slot = this.#open.cpu(event.cpu);
      if (slot.node !== none) this.#open.show(symbolOfEvent(event), slot);
      return;
    }
    this.#open.endInterrupt(event.cpu);
    if (vcpu === undefined) return;
    const slot = this.#open.vcpu(vcpu.index);
    this.#threads.effect(event, vcpu, slot);
    if (slot.node !== none) this.#open.show(symbolOfEvent(event), slot);
  }
}
