import { Context, isGicv5Ppi, Timer, type TimerEvent } from '../events/event.js';
import { Kind, kindNames } from '../events/kinds.js';
import type { Machine } from '../machine/machine.js';
import { nowhere } from '../machine/state.js';
import type { Design } from '../models/design.js';
import { Field, know, nothingKnown } from './key.js';
import { keyOfVcpu } from './known.js';
import { number, OpenEpisodes } from './open.js';
import { type EpisodeSink, none, type Slot } from './slots.js';
import { isEffect, symbolOfEvent } from './symbols.js';
import { ThreadEpisodes, threadKinds } from './thread.js';
import type { Trie } from './trie.js';

/** What a kind's records mean for episodes. */
enum Part {
  /** Nothing: what belongs to the episode of an interrupt, or comes between. */
  none,
  /** No interrupt's episode goes on. */
  other,
  interrupt,
  effect,
  thread,
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
  /** A level of a GICv5 guest's interrupt was reported. */
  gicv5 = false;

  constructor(design: Design, sink: EpisodeSink) {
    this.#open = new OpenEpisodes(sink);
    this.#threads = new ThreadEpisodes(design, this.#open);
  }

  get trie(): Trie {
    return this.#open.trie;
  }

  event(event: TimerEvent, machine: Machine): void {
    const { kind } = event;
    if (event.cpu < 0) return;
    if (this.seen[kind] === 0) {
      this.seen[kind] = 1;
      this.kinds++;
    }
    const part = parts[kind];
    if (part === Part.none) return;
    if (part === Part.effect) return this.#effect(event, machine);
    if (part === Part.lost) return this.#open.lost(event.cpu, machine);
    // A map is read within the handler of an interrupt, too.
    if (kind !== Kind.timer_map) {
      const cpu = this.#open.cpu(event.cpu);
      if (cpu.node !== none) this.#open.end(cpu);
      if (part === Part.interrupt) return this.#interrupt(event, machine, cpu);
    }
    if (part === Part.thread && event.vcpu >= 0)
      this.#threads.event(event, machine.vcpu(event.vcpu), this.#open.vcpu(event.vcpu));
  }

  /** Whether an episode is the way out of the guest. */
  isWayOut(slot: Slot): boolean {
    return this.#open.isIn(number.leave, slot);
  }

  /** The trace has ended. */
  end(): void {
    this.#open.endAll();
  }

  #interrupt(event: TimerEvent, machine: Machine, slot: Slot): void {
    const { kind, vcpu } = event;
    const timer = event.timer === Timer.ptimer ? 0 : event.timer === Timer.vtimer ? 1 : 2;
    if (kind === Kind.vtimer_irq) {
      const running = vcpu >= 0 ? 1 : machine.cpu(event.cpu).running === nowhere ? 0 : 2;
      const key = know(vcpu >= 0 ? keyOfVcpu(machine.vcpu(vcpu)) : nothingKnown, Field.timer, timer);
      this.#open.begin(number.irq, know(key, Field.extra, running), event, slot);
      return;
    }
    if (kind === Kind.bg_expire && vcpu >= 0) this.#open.vcpu(vcpu).bgArmed = 0;
    const episode = kind === Kind.bg_expire ? number.bg_expire : number.soft_expire;
    this.#open.begin(episode, know(nothingKnown, Field.timer, timer), event, slot);
  }

  #effect(event: TimerEvent, machine: Machine): void {
    const { kind, vcpu } = event;
    if (kind === Kind.update_irq && isGicv5Ppi(event.irq)) this.gicv5 = true;
    const cpu = this.#open.cpu(event.cpu);
    if (event.context === Context.hardirq || event.context === Context.softirq) {
      if (kind === Kind.bg_arm && vcpu >= 0) this.#open.vcpu(vcpu).bgArmed = 1;
      // Where a timer that expires leaves a record of a cancel, too, that is no effect of a callback.
      if (kind === Kind.bg_cancel || kind === Kind.soft_cancel) return;
      if (cpu.node !== none) this.#open.show(symbolOfEvent(event), cpu);
      return;
    }
    if (cpu.node !== none) this.#open.end(cpu);
    if (vcpu < 0) return;
    const slot = this.#open.vcpu(vcpu);
    this.#threads.effect(event, machine.vcpu(vcpu), slot);
    if (slot.node !== none) this.#open.show(symbolOfEvent(event), slot);
  }
}
