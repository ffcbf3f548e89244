import type { TimerEvent } from '../events/event.js';
import type { Machine } from '../machine/machine.js';
import { Run } from './situation.js';
import { type EpisodeSink, none, Slot, VcpuSlot } from './slots.js';
import { Trie } from './trie.js';

/** The episodes under way: of each vcpu's thread, and of an interrupt on each CPU. */
export class OpenEpisodes {
  readonly trie = new Trie();
  readonly #sink: EpisodeSink;
  readonly #vcpus: VcpuSlot[] = [];
  readonly #cpus: Slot[] = [];
  /** By CPU, 1 while an interrupt is under way. */
  #isInterrupted = new Uint8Array(64);

  constructor(sink: EpisodeSink) {
    this.#sink = sink;
  }

  vcpu(index: number): VcpuSlot {
    return this.#vcpus[index] ?? this.#addVcpus(index);
  }

  cpu(index: number): Slot {
    return this.#cpus[index] ?? this.#addCpus(index);
  }

  /** A CPU takes an interrupt. */
  beginInterrupt(episode: number, key: number, event: TimerEvent): void {
    this.begin(episode, key, event, this.cpu(event.cpu));
    this.#isInterrupted[event.cpu] = 1;
  }

  /** The interrupt that a CPU was in, if any, is over: mostly there is none. */
  endInterrupt(cpu: number): void {
    if (this.#isInterrupted[cpu] === 1) this.#leaveInterrupt(cpu);
  }

  #leaveInterrupt(cpu: number): void {
    this.#isInterrupted[cpu] = 0;
    this.end(this.cpu(cpu));
  }

  #addVcpus(index: number): VcpuSlot {
    while (this.#vcpus.length <= index) this.#vcpus.push(new VcpuSlot(this.#vcpus.length));
    return this.#vcpus[index]!;
  }

  #addCpus(index: number): Slot {
    while (this.#cpus.length <= index) this.#cpus.push(new Slot(this.#cpus.length));
    if (index >= this.#isInterrupted.length) {
      const longer = new Uint8Array(2 * index);
      longer.set(this.#isInterrupted);
      this.#isInterrupted = longer;
    }
    return this.#cpus[index]!;
  }

  isIn(episode: number, slot: Slot): boolean {
    return slot.node !== none && slot.episode === episode;
  }

  /** An episode is under way that has shown no effect so far. */
  isStill(episode: number, slot: Slot): boolean {
    return this.isIn(episode, slot) && this.trie.isRoot(slot.node);
  }

  /** @param key see `Field` */
  begin(episode: number, key: number, event: TimerEvent, slot: Slot): void {
    slot.node = this.trie.root(episode, key);
    slot.episode = episode;
    slot.vcpu = event.vcpu;
    slot.cpu = event.cpu;
    this.#sink.began?.(slot);
  }

  /** A record shows an effect of the episode. */
  show(symbol: number, slot: Slot): void {
    slot.node = this.trie.step(slot.node, symbol);
    this.#sink.showed?.(slot);
  }

  end(slot: Slot): void {
    if (slot.node === none) return;
    const { node } = slot;
    slot.node = none;
    this.trie.end(node);
    this.#sink.ended?.(node, slot);
  }

  /** An episode that is over with the record that shows it. */
  instant(episode: number, key: number, event: TimerEvent, slot: Slot): void {
    this.begin(episode, key, event, slot);
    this.end(slot);
  }

  drop(slot: Slot): void {
    if (slot.node !== none) this.#sink.dropped?.(slot);
    slot.node = none;
  }

  /** Ends what is under way, whose last records may be missing; nobody knows of a guest that it would have left it. */
  endAll(): void {
    for (const slot of [...this.#vcpus, ...this.#cpus]) {
      if (slot.node === none) continue;
      slot.node = this.trie.incomplete(slot.node);
      if (this.isIn(Run.leave, slot)) this.drop(slot);
      else this.end(slot);
    }
  }

  /** Nothing is said of what was under way where records were lost. */
  lost(cpu: number, machine: Machine): void {
    const interrupted = this.cpu(cpu);
    this.#isInterrupted[cpu] = 0;
    this.drop(interrupted);
    for (const slot of this.#vcpus) {
      const elsewhere = machine.vcpu(slot.index).cpu;
      if (elsewhere >= 0 && elsewhere !== cpu) continue;
      this.drop(slot);
      slot.forget();
    }
  }
}
