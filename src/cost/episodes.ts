import { Certainty, Context, isGicv5Ppi, Timer, type TimerEvent } from '../events/event.js';
import { Kind, kindNames } from '../events/kinds.js';
import type { Machine } from '../machine/machine.js';
import { no, nowhere, type VcpuState, yes } from '../machine/state.js';
import type { Design } from '../models/design.js';
import { clear, knowVcpu, memoryCanFire, nestingOf } from './known.js';
import { type Episode, episodes, type Known3, keyOf, Nesting, withNesting } from './situation.js';
import { type EpisodeSink, none, Slot, VcpuSlot } from './slots.js';
import { isEffect, symbolOfEvent } from './symbols.js';
import { Trie } from './trie.js';

/** Numbers of the episodes. */
const number = Object.fromEntries(episodes.map((name, index) => [name, index])) as Record<Episode, number>;

/** Kinds that leave an interrupt's episode open: what belongs to it, and what comes between. */
const inInterrupt = new Uint8Array(kindNames.length);
for (const kind of [
  Kind.timer_callback_end,
  Kind.wakeup,
  Kind.vgic_inject,
  Kind.irq_begin,
  Kind.irq_end,
  Kind.timer_map,
  Kind.expiry_work,
  Kind.vcpu_pointer,
  Kind.irq_line,
])
  inInterrupt[kind] = 1;

/**
 * Finds the begin and end of every run of the kernel's timer functions, and the records of their effects in between.
 * The event at hand costs a few comparisons and a step in the trie.
 */
export class Episodes {
  readonly trie = new Trie();
  readonly #isWorldSwitch: boolean;
  /** The load does not ask whether the vcpu has run before. */
  readonly #loadsAlways: boolean;
  readonly #has: Readonly<Record<Episode, boolean>>;
  readonly #sink: EpisodeSink;
  readonly #vcpus: VcpuSlot[] = [];
  readonly #cpus: Slot[] = [];
  /** Records of effects that belong to no episode, by kind. */
  readonly strays = new Float64Array(kindNames.length);
  /** Kinds that were seen. */
  readonly seen = new Uint8Array(kindNames.length);
  /** How many. */
  kinds = 0;
  /** A level of a GICv5 guest's interrupt was reported. */
  gicv5 = false;
  readonly #known: Known3 = {
    enabled: 2,
    level: 2,
    loaded: 2,
    canFire: 2,
    ptimerCanFire: 2,
    bgArmed: 2,
    blocked: 2,
    extra: 2,
    timer: 2,
    nested: Nesting.unknown,
  };

  constructor(design: Design, sink: EpisodeSink) {
    this.#isWorldSwitch = design.id === 'world-switch';
    this.#loadsAlways = design.id === 'rfc-load-put';
    this.#sink = sink;
    const roles = new Set<string>(design.functions.map(({ role }) => role));
    this.#has = Object.fromEntries(
      episodes.map((episode) => [episode, roles.has(episode) || episode === 'enter' || episode === 'leave']),
    ) as Record<Episode, boolean>;
  }

  event(event: TimerEvent, machine: Machine): void {
    const { kind } = event;
    if (event.cpu < 0) return;
    if (this.seen[kind] === 0) {
      this.seen[kind] = 1;
      this.kinds++;
    }
    if (kind === Kind.lost) return this.#lost(event.cpu, machine);
    const cpu = this.#cpu(event.cpu);
    if (isEffect(kind)) return this.#effect(event, machine, cpu);
    if (cpu.node !== none && inInterrupt[kind] === 0) this.#end(cpu);
    switch (kind) {
      case Kind.vtimer_irq:
      case Kind.bg_expire:
      case Kind.soft_expire:
        this.#interrupt(event, machine, cpu);
        return;
      default:
    }
    if (event.vcpu < 0) return;
    const slot = this.#vcpu(event.vcpu);
    this.#ofThread(event, machine.vcpu(event.vcpu), slot);
  }

  /** Whether an episode is the way out of the guest. */
  isWayOut(slot: Slot): boolean {
    return this.#isIn(number.leave, slot);
  }

  /** Ends what is under way, whose last records may be missing; nobody knows of a guest that it would have left it. */
  end(): void {
    for (const slot of [...this.#vcpus, ...this.#cpus]) {
      if (slot.node === none) continue;
      slot.node = this.trie.incomplete(slot.node);
      if (this.#isIn(number.leave, slot)) this.#drop(slot);
      else this.#end(slot);
    }
  }

  // --- events of a vcpu's thread --------------------------------------------------

  #ofThread(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    const { kind } = event;
    const isRecorded = event.certainty === Certainty.recorded;
    // Up to 6.2 a trapped access puts and loads the timer: no record tells that from a put and a load.
    const isAccess = slot.episode === number.trapped_access && slot.node !== none && !isRecorded;
    switch (kind) {
      case Kind.load:
        if (isAccess) return;
        this.#end(slot);
        this.#load(event, vcpu, slot);
        return;
      case Kind.put:
        if (isAccess) return;
        this.#end(slot);
        this.#put(event, vcpu, slot);
        return;
      case Kind.put_end:
        if (slot.episode === number.put) this.#end(slot);
        return;
      case Kind.entry:
        this.#end(slot);
        slot.pending = false;
        slot.blocked = false;
        slot.sleeping = -1;
        slot.loaded = 1;
        if (this.#isWorldSwitch) {
          if (!slot.flushed) {
            this.#flush(event, vcpu, slot);
            this.#end(slot);
          }
          slot.flushed = false;
          // With the level high the flush has set the active state, or found it set.
          if (vcpu.contexts[Timer.vtimer]!.level === yes) slot.activeCleared = 0;
        }
        this.#instant(number.enter, knowVcpu(clear(this.#known), vcpu), event, slot);
        if (this.#isWorldSwitch) return;
        this.#begin(number.leave, this.#inGuest(vcpu), event, slot);
        return;
      case Kind.exit:
        if (this.#isWorldSwitch) {
          this.#end(slot);
          this.#instant(number.leave, this.#inGuest(vcpu), event, slot);
          this.#begin(number.sync, knowVcpu(clear(this.#known), vcpu), event, slot);
        } else if (slot.episode === number.leave && slot.node !== none) this.#end(slot);
        else {
          this.#end(slot);
          this.#instant(number.leave, this.#inGuest(vcpu), event, slot);
        }
        return;
      case Kind.flush:
        if (!this.#isWorldSwitch) return;
        this.#end(slot);
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
        if (slot.node !== none && slot.episode === number.put) return;
        this.#end(slot);
        slot.sleeping = event.sleeping;
        if (slot.pending && event.sleeping === 1) this.#confirm(event, vcpu, slot);
        return;
      case Kind.user_write:
        this.#end(slot);
        this.#userWrite(event, vcpu, slot);
        return;
      case Kind.trapped_access:
        // Accesses to other registers are recorded as well.
        if (event.timer < 0) return;
        this.#end(slot);
        this.#trappedAccess(event, vcpu, slot);
        return;
      case Kind.enable:
      case Kind.reset: {
        this.#end(slot);
        const known = knowVcpu(clear(this.#known), vcpu);
        known.loaded = slot.loaded;
        if (kind === Kind.enable) slot.loaded = 1;
        if (kind === Kind.reset) known.extra = vcpu.cpu >= 0 ? 1 : vcpu.cpu === nowhere ? 0 : 2;
        // It returns at once where it has been called before.
        else known.enabled = 2;
        this.#begin(kind === Kind.enable ? number.enable : number.reset, known, event, slot);
        return;
      }
      case Kind.timer_map:
        this.#mapped(vcpu, slot);
        return;
      case Kind.userspace_exit:
      case Kind.wfx:
      case Kind.halt_end:
        if (!isAccess) this.#end(slot);
        return;
      default:
    }
  }

  #load(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    const known = knowVcpu(clear(this.#known), vcpu);
    known.loaded = 0;
    known.canFire = memoryCanFire(vcpu, Timer.vtimer);
    known.ptimerCanFire = memoryCanFire(vcpu, Timer.ptimer);
    known.bgArmed = slot.bgArmed;
    // Up to the first KVM_RUN a load may return at once.
    slot.loaded = vcpu.enabled === yes || this.#loadsAlways ? 1 : 2;
    slot.flushed = false;
    this.#begin(number.load, known, event, slot);
    // The first load that other records show may have begun before its thread was known for a vcpu's.
    if (!slot.known && event.certainty !== Certainty.recorded) slot.node = this.trie.incomplete(slot.node);
    slot.known = true;
  }

  /** A load takes the map as it is from then on: the guest may have entered or left its hypervisor. */
  #mapped(vcpu: VcpuState, slot: VcpuSlot): void {
    const nested = nestingOf(vcpu);
    const { mapped } = slot;
    slot.mapped = nested;
    if (mapped === nested || !this.#isStill(number.load, slot)) return;
    slot.node = this.trie.root(number.load, withNesting(this.trie.read(slot.node).key, nested));
  }

  #put(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    const known = knowVcpu(clear(this.#known), vcpu);
    known.loaded = slot.loaded;
    // While it polls the thread is not on its wait queue, and nothing shows that.
    known.blocked = vcpu.blocked === no ? 0 : slot.sleeping === 1 && vcpu.blocked === yes ? 1 : 2;
    slot.loaded = 0;
    slot.activeCleared = 0;
    this.#begin(number.put, known, event, slot);
  }

  #flush(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    const known = knowVcpu(clear(this.#known), vcpu);
    // A report that shows the flush has changed the level already.
    if (event.kind === Kind.update_irq && event.timer === Timer.vtimer) known.level = 1 - event.level;
    known.canFire = memoryCanFire(vcpu, Timer.vtimer);
    known.extra = event.activeCleared >= 0 ? event.activeCleared : slot.activeCleared;
    slot.flushed = true;
    slot.activeCleared = 2;
    this.#begin(number.flush, known, event, slot);
  }

  #sync(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    const isOpen = slot.node !== none;
    // Between an entry and its exit it is part of the way out.
    if (isOpen && slot.episode === number.leave) return;
    const known = knowVcpu(clear(this.#known), vcpu);
    known.canFire = memoryCanFire(vcpu, Timer.vtimer);
    if (isOpen && slot.episode === number.sync && this.trie.isRoot(slot.node)) {
      // What a probe has read of memory is better known than what the exit has left.
      this.#drop(slot);
      this.#begin(number.sync, known, event, slot);
      return;
    }
    this.#end(slot);
    slot.flushed = false;
    if (this.#has.sync) this.#begin(number.sync, known, event, slot);
  }

  #schedule(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot, isRecorded: boolean): void {
    // kvm_arch_vcpu_blocking calls kvm_timer_schedule, and both may be probed.
    if (isRecorded && this.#isStill(number.schedule, slot)) return;
    this.#end(slot);
    if (!this.#has.schedule) this.#instant(number.schedule, clear(this.#known), event, slot);
    else if (isRecorded) this.#confirm(event, vcpu, slot);
    // Up to 5.0 the halt polls first, and may be over with that.
    else slot.pending = true;
  }

  /** An episode is under way that has shown no effect so far. */
  #isStill(episode: number, slot: Slot): boolean {
    return this.#isIn(episode, slot) && this.trie.isRoot(slot.node);
  }

  /** kvm_timer_schedule has been called. */
  #confirm(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    const known = knowVcpu(clear(this.#known), vcpu);
    known.loaded = slot.loaded;
    if (this.#isWorldSwitch) known.canFire = memoryCanFire(vcpu, Timer.vtimer);
    slot.pending = false;
    slot.blocked = true;
    slot.loaded = 0;
    this.#begin(number.schedule, known, event, slot);
  }

  #unschedule(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot, isRecorded: boolean): void {
    if (isRecorded && this.#isStill(number.unschedule, slot)) return;
    this.#end(slot);
    const { blocked } = slot;
    slot.pending = false;
    slot.blocked = false;
    if (!this.#has.unschedule) return this.#instant(number.unschedule, clear(this.#known), event, slot);
    if (!isRecorded && !blocked) return;
    const known = knowVcpu(clear(this.#known), vcpu);
    known.loaded = slot.loaded;
    known.bgArmed = slot.bgArmed;
    slot.loaded = 1;
    this.#begin(number.unschedule, known, event, slot);
  }

  #userWrite(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    const known = knowVcpu(clear(this.#known), vcpu);
    known.loaded = slot.loaded;
    known.timer = event.timer === Timer.ptimer ? 0 : 1;
    this.#begin(event.register === 2 ? number.user_offset : number.user_write, known, event, slot);
  }

  #trappedAccess(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): void {
    const known = knowVcpu(clear(this.#known), vcpu);
    known.loaded = slot.loaded;
    known.blocked = 0;
    known.timer = event.timer === Timer.ptimer ? 0 : 1;
    known.extra = event.write >= 0 ? event.write : 2;
    this.#begin(number.trapped_access, known, event, slot);
  }

  // --- interrupts -------------------------------------------------------------------

  #interrupt(event: TimerEvent, machine: Machine, slot: Slot): void {
    const known = clear(this.#known);
    known.timer = event.timer === Timer.ptimer ? 0 : event.timer === Timer.vtimer ? 1 : 2;
    if (event.kind === Kind.vtimer_irq) {
      known.extra = event.vcpu >= 0 ? 1 : machine.cpu(event.cpu).running === nowhere ? 0 : 2;
      if (event.vcpu >= 0) knowVcpu(known, machine.vcpu(event.vcpu));
      this.#begin(number.irq, known, event, slot);
      return;
    }
    if (event.kind === Kind.bg_expire && event.vcpu >= 0) this.#vcpu(event.vcpu).bgArmed = 0;
    this.#begin(event.kind === Kind.bg_expire ? number.bg_expire : number.soft_expire, known, event, slot);
  }

  // --- effects ----------------------------------------------------------------------

  #effect(event: TimerEvent, machine: Machine, cpu: Slot): void {
    const symbol = symbolOfEvent(event);
    if (event.kind === Kind.update_irq && isGicv5Ppi(event.irq)) this.gicv5 = true;
    if (event.kind === Kind.bg_arm && event.vcpu >= 0) this.#vcpu(event.vcpu).bgArmed = 1;
    const isTask = event.context !== Context.hardirq && event.context !== Context.softirq;
    let slot: Slot = cpu;
    // Where a timer that expires leaves a record of a cancel, too, that is no effect of a callback.
    if (!isTask && (event.kind === Kind.bg_cancel || event.kind === Kind.soft_cancel)) return;
    if (isTask) {
      if (cpu.node !== none) this.#end(cpu);
      if (event.vcpu < 0) {
        this.strays[event.kind]!++;
        return;
      }
      slot = this.#taskSlot(event, machine.vcpu(event.vcpu), this.#vcpu(event.vcpu));
    }
    if (slot.node === none) {
      this.strays[event.kind]!++;
      return;
    }
    slot.node = this.trie.step(slot.node, symbol);
    this.#sink.showed?.(slot);
  }

  /** The slot that an effect of a thread belongs to; where no probe shows it, the effect shows its function. */
  #taskSlot(event: TimerEvent, vcpu: VcpuState, slot: VcpuSlot): Slot {
    const { kind } = event;
    if (slot.pending && kind === Kind.bg_arm) {
      this.#end(slot);
      this.#confirm(event, vcpu, slot);
    } else if (
      slot.blocked &&
      kind === Kind.bg_cancel &&
      this.#has.unschedule &&
      !this.#isIn(number.unschedule, slot)
    ) {
      // A record of the end of the wait comes after it.
      this.#unschedule(event, vcpu, slot, false);
    } else if (this.#isWorldSwitch && vcpu.cpu >= 0 && event.cpu === vcpu.cpu) {
      // The active state is written by the flush, and by nothing else.
      const isFlush = kind === Kind.set_active || kind === Kind.mask_irq;
      if (isFlush && !this.#isIn(number.flush, slot)) this.#end(slot);
      if (slot.node === none && (isFlush || kind === Kind.update_irq)) this.#flush(event, vcpu, slot);
      if (kind === Kind.update_irq && slot.episode !== number.flush) slot.activeCleared = 0;
    }
    if (kind === Kind.bg_cancel) slot.bgArmed = 0;
    return slot;
  }

  #isIn(episode: number, slot: Slot): boolean {
    return slot.node !== none && slot.episode === episode;
  }

  // --- slots ------------------------------------------------------------------------

  /** A vcpu that runs is loaded. */
  #inGuest(vcpu: VcpuState): Known3 {
    const known = knowVcpu(clear(this.#known), vcpu);
    known.loaded = 1;
    return known;
  }

  #begin(episode: number, known: Known3, event: TimerEvent, slot: Slot): void {
    slot.node = this.trie.root(episode, keyOf(known));
    slot.episode = episode;
    slot.vcpu = event.vcpu;
    slot.cpu = event.cpu;
    this.#sink.began?.(slot);
  }

  /** An episode that is over with the record that shows it. */
  #instant(episode: number, known: Known3, event: TimerEvent, slot: Slot): void {
    this.#begin(episode, known, event, slot);
    this.#end(slot);
  }

  #end(slot: Slot): void {
    if (slot.node === none) return;
    const { node } = slot;
    slot.node = none;
    this.#sink.ended(node, slot);
  }

  #drop(slot: Slot): void {
    if (slot.node !== none) this.#sink.dropped?.(slot);
    slot.node = none;
  }

  /** Nothing is said of what was under way where records were lost. */
  #lost(cpu: number, machine: Machine): void {
    this.#drop(this.#cpu(cpu));
    for (const slot of this.#vcpus) {
      const elsewhere = machine.vcpu(slot.index).cpu;
      if (elsewhere >= 0 && elsewhere !== cpu) continue;
      this.#drop(slot);
      slot.loaded = 2;
      slot.pending = false;
      slot.blocked = false;
      slot.sleeping = -1;
      slot.flushed = false;
      slot.activeCleared = 2;
      slot.bgArmed = 2;
      slot.known = false;
    }
  }

  #vcpu(index: number): VcpuSlot {
    while (this.#vcpus.length <= index) this.#vcpus.push(new VcpuSlot(this.#vcpus.length));
    return this.#vcpus[index]!;
  }

  #cpu(index: number): Slot {
    while (this.#cpus.length <= index) this.#cpus.push(new Slot(this.#cpus.length));
    return this.#cpus[index]!;
  }
}
