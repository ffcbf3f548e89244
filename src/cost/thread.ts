import { Certainty, Timer, type TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { no, nowhere, type VcpuState, yes } from '../machine/state.js';
import type { Design } from '../models/design.js';
import { Field, know, knowInstead, nothingKnown } from './key.js';
import { keyOfVcpu, memoryCanFire, nestingOf } from './known.js';
import type { OpenEpisodes } from './open.js';
import { type Episode, episodes, Run } from './situation.js';
import { none, type VcpuSlot } from './slots.js';

/** Kinds of a thread's records, those of effects aside. */
export const threadKinds: readonly Kind[] = [
  Kind.load,
  Kind.put,
  Kind.put_end,
  Kind.entry,
  Kind.exit,
  Kind.flush,
  Kind.sync,
  Kind.schedule,
  Kind.unschedule,
  Kind.sched_switch,
  Kind.user_write,
  Kind.trapped_access,
  Kind.enable,
  Kind.reset,
  Kind.userspace_exit,
  Kind.wfx,
  Kind.halt_end,
];

/** Finds the begin and end of the runs of the kernel's timer functions that a vcpu's thread calls. */
export class ThreadEpisodes {
  readonly #isWorldSwitch: boolean;
  /** The load does not ask whether the vcpu has run before. */
  readonly #loadsAlways: boolean;
  readonly #has: Readonly<Record<Episode, boolean>>;
  readonly #open: OpenEpisodes;

  constructor(design: Design, open: OpenEpisodes) {
    this.#isWorldSwitch = design.id === 'world-switch';
    this.#loadsAlways = design.id === 'rfc-load-put';
    this.#open = open;
    const roles = new Set<string>(design.functions.map(({ role }) => role));
    this.#has = Object.fromEntries(
      episodes.map((episode) => [episode, roles.has(episode) || episode === 'enter' || episode === 'leave']),
    ) as Record<Episode, boolean>;
  }

  /** An event of a kind of `threadKinds`. */
  event(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    const { kind } = event;
    const isRecorded = event.certainty === Certainty.recorded;
    // Up to 6.2 a trapped access puts and loads the timer: no record tells that from a put and a load.
    const isAccess = slot.episode === Run.trapped_access && slot.node !== none && !isRecorded;
    switch (kind) {
      case Kind.load:
        if (isAccess) return;
        this.#open.end(slot);
        this.#load(event, vcpu, slot);
        return;
      case Kind.put:
        if (isAccess) return;
        this.#open.end(slot);
        this.#put(event, vcpu, slot);
        return;
      case Kind.put_end:
        if (slot.episode === Run.put) this.#open.end(slot);
        return;
      case Kind.entry:
        this.#open.end(slot);
        slot.pending = false;
        slot.blocked = false;
        slot.sleeping = -1;
        slot.loaded = 1;
        if (this.#isWorldSwitch) {
          if (!slot.flushed) {
            this.#flush(event, vcpu, slot);
            this.#open.end(slot);
          }
          slot.flushed = false;
          // With the level high the flush has set the active state, or found it set.
          if (vcpu.contexts[Timer.vtimer]!.level === yes) slot.activeCleared = 0;
        }
        this.#enter(event, vcpu, slot);
        return;
      case Kind.exit:
        if (this.#isWorldSwitch) {
          this.#open.end(slot);
          this.#open.instant(Run.leave, inGuest(keyOfVcpu(vcpu)), event, slot);
          this.#open.begin(Run.sync, keyOfVcpu(vcpu), event, slot);
        } else if (slot.episode === Run.leave && slot.node !== none) this.#open.end(slot);
        else {
          this.#open.end(slot);
          this.#open.instant(Run.leave, inGuest(keyOfVcpu(vcpu)), event, slot);
        }
        return;
      case Kind.flush:
        if (!this.#isWorldSwitch) return;
        this.#open.end(slot);
        this.#flush(event, vcpu, slot);
        return;
      case Kind.sync:
        this.#sync(event, vcpu, slot);
        return;
      case Kind.schedule:
        this.#schedule(event, vcpu, slot, isRecorded);
        return;
      case Kind.unschedule:
        this.#unschedule(event, vcpu, slot, isRecorded);
        return;
      case Kind.sched_switch:
        if (slot.node !== none && slot.episode === Run.put) return;
        this.#open.end(slot);
        slot.sleeping = event.sleeping;
        if (slot.pending && event.sleeping === 1) this.#confirm(event, vcpu, slot);
        return;
      case Kind.user_write:
        this.#open.end(slot);
        this.#userWrite(event, vcpu, slot);
        return;
      case Kind.trapped_access:
        // Accesses to other registers are recorded as well.
        if (event.timer < 0) return;
        this.#open.end(slot);
        this.#trappedAccess(event, vcpu, slot);
        return;
      case Kind.enable:
      case Kind.reset: {
        // One that only its reports show has been taken for a load up to here, where the load begins.
        if (kind === Kind.reset && !isRecorded) {
          this.#open.drop(slot);
          if (vcpu.cpu >= 0) this.#load(event, vcpu, slot);
          return;
        }
        this.#open.end(slot);
        let key = keyOfVcpu(vcpu);
        key = know(key, Field.loaded, slot.loaded);
        if (kind === Kind.enable) slot.loaded = 1;
        if (kind === Kind.reset) key = know(key, Field.extra, vcpu.cpu >= 0 ? 1 : vcpu.cpu === nowhere ? 0 : 2);
        // It returns at once where it has been called before.
        else key = knowInstead(key, Field.enabled, 2);
        this.#open.begin(kind === Kind.enable ? Run.enable : Run.reset, key, event, slot);
        return;
      }
      case Kind.userspace_exit:
      case Kind.wfx:
      case Kind.halt_end:
        if (!isAccess) this.#open.end(slot);
        return;
      default:
    }
  }

  /** An effect of the thread; where no probe shows its function, the effect does. */
  effect(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    const { kind } = event;
    if (kind === Kind.bg_arm || kind === Kind.bg_cancel) this.#backgroundTimer(event, vcpu, slot);
    else if (this.#isWorldSwitch && vcpu.cpu >= 0 && event.cpu === vcpu.cpu) this.#mayFlush(event, vcpu, slot);
  }

  #backgroundTimer(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    const isArmed = event.kind === Kind.bg_arm;
    if (isArmed && slot.pending) {
      this.#open.end(slot);
      this.#confirm(event, vcpu, slot);
    }
    // A record of the end of the wait comes after it.
    if (!isArmed && slot.blocked && this.#has.unschedule && !this.#open.isIn(Run.unschedule, slot))
      this.#unschedule(event, vcpu, slot, false);
    slot.bgArmed = isArmed ? 1 : 0;
  }

  #mayFlush(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    const { kind } = event;
    // The active state is written by the flush, and by nothing else.
    const isFlush = kind === Kind.set_active || kind === Kind.mask_irq;
    if (isFlush && !this.#open.isIn(Run.flush, slot)) this.#open.end(slot);
    if (slot.node === none && (isFlush || kind === Kind.update_irq)) this.#flush(event, vcpu, slot);
    if (kind === Kind.update_irq && slot.episode !== Run.flush) slot.activeCleared = 0;
  }

  #enter(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    const key = keyOfVcpu(vcpu);
    this.#open.instant(Run.enter, key, event, slot);
    if (!this.#isWorldSwitch) this.#open.begin(Run.leave, inGuest(key), event, slot);
  }

  #load(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    let key = keyOfVcpu(vcpu);
    key = know(key, Field.loaded, 0);
    key = know(key, Field.canFire, memoryCanFire(vcpu, Timer.vtimer));
    key = know(key, Field.ptimerCanFire, memoryCanFire(vcpu, Timer.ptimer));
    key = know(key, Field.bgArmed, slot.bgArmed);
    // Up to the first KVM_RUN a load may return at once.
    slot.loaded = vcpu.enabled === yes || this.#loadsAlways ? 1 : 2;
    slot.flushed = false;
    this.#open.begin(Run.load, key, event, slot);
    // The first load that other records show may have begun before its thread was known for a vcpu's.
    if (!slot.known && event.certainty !== Certainty.recorded) slot.node = this.#open.trie.incomplete(slot.node);
    slot.known = true;
  }

  /** A load takes the map as it is from then on: the guest may have entered or left its hypervisor. */
  mapped(vcpu: VcpuState, slot: VcpuSlot): void {
    const nested = nestingOf(vcpu);
    const { mapped } = slot;
    slot.mapped = nested;
    if (mapped === nested || !this.#open.isStill(Run.load, slot)) return;
    slot.node = this.#open.trie.root(Run.load, knowInstead(this.#open.trie.read(slot.node).key, Field.nested, nested));
  }

  #put(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    let key = keyOfVcpu(vcpu);
    key = know(key, Field.loaded, slot.loaded);
    // While it polls the thread is not on its wait queue, and nothing shows that.
    key = know(key, Field.blocked, vcpu.blocked === no ? 0 : slot.sleeping === 1 && vcpu.blocked === yes ? 1 : 2);
    slot.loaded = 0;
    slot.activeCleared = 0;
    this.#open.begin(Run.put, key, event, slot);
  }

  #flush(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    let key = keyOfVcpu(vcpu);
    // A report that shows the flush has changed the level already.
    if (event.kind === Kind.update_irq && event.timer === Timer.vtimer)
      key = knowInstead(key, Field.level, 1 - event.level);
    key = know(key, Field.canFire, memoryCanFire(vcpu, Timer.vtimer));
    key = know(key, Field.extra, event.activeCleared >= 0 ? event.activeCleared : slot.activeCleared);
    slot.flushed = true;
    slot.activeCleared = 2;
    this.#open.begin(Run.flush, key, event, slot);
  }

  #sync(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    const isOpen = slot.node !== none;
    // Between an entry and its exit it is part of the way out.
    if (isOpen && slot.episode === Run.leave) return;
    let key = keyOfVcpu(vcpu);
    key = know(key, Field.canFire, memoryCanFire(vcpu, Timer.vtimer));
    if (isOpen && slot.episode === Run.sync && this.#open.trie.isRoot(slot.node)) {
      // What a probe has read of memory is better known than what the exit has left.
      this.#open.drop(slot);
      this.#open.begin(Run.sync, key, event, slot);
      return;
    }
    this.#open.end(slot);
    slot.flushed = false;
    if (this.#has.sync) this.#open.begin(Run.sync, key, event, slot);
  }

  #schedule(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot, isRecorded: boolean): void {
    // kvm_arch_vcpu_blocking calls kvm_timer_schedule, and both may be probed.
    if (isRecorded && this.#open.isStill(Run.schedule, slot)) return;
    this.#open.end(slot);
    if (!this.#has.schedule) this.#open.instant(Run.schedule, nothingKnown, event, slot);
    else if (isRecorded) this.#confirm(event, vcpu, slot);
    // Up to 5.0 the halt polls first, and may be over with that.
    else slot.pending = true;
  }

  /** kvm_timer_schedule has been called. */
  #confirm(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    let key = keyOfVcpu(vcpu);
    key = know(key, Field.loaded, slot.loaded);
    if (this.#isWorldSwitch) key = know(key, Field.canFire, memoryCanFire(vcpu, Timer.vtimer));
    slot.pending = false;
    slot.blocked = true;
    slot.loaded = 0;
    this.#open.begin(Run.schedule, key, event, slot);
  }

  #unschedule(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot, isRecorded: boolean): void {
    if (isRecorded && this.#open.isStill(Run.unschedule, slot)) return;
    this.#open.end(slot);
    const { blocked } = slot;
    slot.pending = false;
    slot.blocked = false;
    if (!this.#has.unschedule) return this.#open.instant(Run.unschedule, nothingKnown, event, slot);
    if (!isRecorded && !blocked) return;
    let key = keyOfVcpu(vcpu);
    key = know(key, Field.loaded, slot.loaded);
    key = know(key, Field.bgArmed, slot.bgArmed);
    slot.loaded = 1;
    this.#open.begin(Run.unschedule, key, event, slot);
  }

  #userWrite(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    let key = keyOfVcpu(vcpu);
    key = know(key, Field.loaded, slot.loaded);
    key = know(key, Field.timer, event.timer === Timer.ptimer ? 0 : 1);
    this.#open.begin(event.register === 2 ? Run.user_offset : Run.user_write, key, event, slot);
  }

  #trappedAccess(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    let key = keyOfVcpu(vcpu);
    key = know(key, Field.loaded, slot.loaded);
    key = know(key, Field.blocked, 0);
    key = know(key, Field.timer, event.timer === Timer.ptimer ? 0 : 1);
    key = know(key, Field.extra, event.write >= 0 ? event.write : 2);
    this.#open.begin(Run.trapped_access, key, event, slot);
  }
}

/** A vcpu that runs is loaded. */
function inGuest(key: number): number {
  return know(key, Field.loaded, 1);
}
