import { Nesting } from './situation.js';

/** No episode is under way. */
export const none = -1;

/** An episode under way, of a vcpu's thread or of an interrupt on a CPU. */
export class Slot {
  /** Node of the trie, `none` when there is none. */
  node = none;
  episode = none;
  vcpu = -1;
  cpu = -1;
  /** For the user of the episodes. */
  readonly index: number;

  constructor(index: number) {
    this.index = index;
  }
}

/** A vcpu's slot, and what of it the machine does not keep. */
export class VcpuSlot extends Slot {
  /** Its timer map as of its last record. */
  mapped = Nesting.unknown;
  /** A load has been seen, and no loss since. */
  known = false;
  /** Hardware holds its virtual timer; 2 unknown. */
  loaded = 2;
  /** It may be about to sleep: nothing but a sleep or the background timer shows that the function is called. */
  pending = false;
  /** It sleeps, or has been on the way to. */
  blocked = false;
  /** Whether it slept when its thread was switched out; -1 when that is not known. */
  sleeping = -1;
  /** The background timer is armed; 2 unknown. */
  bgArmed = 2;
  /** A flush has been seen since the last entry. */
  flushed = false;
  /** `active_cleared_last` before the next flush: 0 after a put, a report, or a flush that had to set it; else unknown. */
  activeCleared = 2;

  /** Records were lost. */
  forget(): void {
    this.loaded = 2;
    this.pending = false;
    this.blocked = false;
    this.sleeping = -1;
    this.flushed = false;
    this.activeCleared = 2;
    this.bgArmed = 2;
    this.known = false;
  }
}

/** What happens to episodes. */
export interface EpisodeSink {
  /** An episode without length, or the end of one. How often each node was one the trie counts in any case. */
  ended?(node: number, slot: Slot): void;
  /** An episode has begun with the event at hand. */
  began?(slot: Slot): void;
  /** The record at hand is one of its effects. */
  showed?(slot: Slot): void;
  /** What the episode did is not known: records were lost, or the vcpu has not slept after all. */
  dropped?(slot: Slot): void;
}
