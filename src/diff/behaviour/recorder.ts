import type { VcpuName } from '../../check/facts.js';
import type { Naming } from '../../check/findings.js';
import type { Observer } from '../../check/observe.js';
import { certaintyNames, isVirtual, type TimerEvent } from '../../events/event.js';
import { Kind, type KindName, kindNames } from '../../events/kinds.js';
import { type Blocks, type ByBlock, createSums, foldSums, type Sums } from '../noise/blocks.js';
import { PathTable, PathTree } from './paths.js';
import { isStep, stepOf, steps } from './step.js';

/** Most paths that are kept of one vcpu. */
const mostPaths = 1024;

/** Places in `certainties` of one kind. */
const ofNoVcpu = certaintyNames.length;
const places = certaintyNames.length + 1;

/** What an event of a kind is for a trip. */
enum Meaning {
  /** No step. */
  none,
  /** One more step, and nothing else. */
  plain,
  entry,
  /** The level is reported. */
  report,
  cancel,
}

const meanings = Uint8Array.from(kindNames, (_, kind) => (isStep(kind) ? Meaning.plain : Meaning.none));
meanings[Kind.entry] = Meaning.entry;
meanings[Kind.update_irq] = Meaning.report;
meanings[Kind.bg_cancel] = meanings[Kind.soft_cancel] = Meaning.cancel;

/** hrtimer_cancel also tells that a timer leaves its queue to expire, or to be started anew (specification §0.5). */
const takesFromQueue: readonly Kind[] = [Kind.bg_expire, Kind.soft_expire, Kind.bg_arm, Kind.soft_arm];

/** What is kept of the behaviour of one vcpu. */
export class VcpuBehaviour implements ByBlock {
  readonly paths: PathTable;
  /** By step, how often it happened; undefined when never. */
  readonly counts: (Sums | undefined)[] = new Array(steps.length).fill(undefined);
  /** Ticks of the guest as `stats` counts them: entries before which its timer's level was reported high. */
  readonly ticks: Sums = createSums();
  /** By step, and ticks: of the block at hand, until it is settled. */
  readonly #current = new Float64Array(steps.length);
  #ticks = 0;
  ticked = false;
  /** The trip under way was seen from its entry on. */
  isWhole = false;
  /** A cancellation, of which the next event tells whether it is one; -1 none. */
  cancelled = -1;

  constructor(tree: PathTree) {
    this.paths = new PathTable(tree, mostPaths);
  }

  /** A step of the trip under way. */
  take(step: number): void {
    this.#current[step]!++;
    this.paths.add(step);
  }

  /** The step after a cancellation tells whether it was one. */
  settleCancel(next: Kind): void {
    if (!takesFromQueue.includes(next)) this.take(this.cancelled);
    this.cancelled = -1;
  }

  /** The guest is entered: a trip ends, and another one begins. */
  enter(step: number): void {
    this.#current[step]!++;
    if (this.ticked) this.#ticks++;
    this.ticked = false;
    this.paths.end(this.isWhole);
    this.isWhole = true;
  }

  settle(block: number): void {
    for (let step = 0; step < steps.length; step++) {
      const count = this.#current[step]!;
      if (count === 0) continue;
      const sums = this.counts[step] ?? createSums();
      this.counts[step] = sums;
      sums[block]! += count;
    }
    this.#current.fill(0);
    this.ticks[block]! += this.#ticks;
    this.#ticks = 0;
    this.paths.settle(block);
  }

  fold(): void {
    for (const counts of this.counts) if (counts !== undefined) foldSums(counts);
    foldSums(this.ticks);
    this.paths.fold();
  }
}

/** Records by time block which paths the vcpus of a recording take, and how often they do what. */
export class BehaviourRecorder implements Observer {
  /** By the vcpu's index in the run. */
  readonly vcpus: VcpuBehaviour[] = [];
  /** Events by kind and certainty, and in the last place those that belong to no vcpu that is known. */
  readonly certainties = new Float64Array(kindNames.length * places);
  /** Who they are; known at the end. */
  names: readonly (VcpuName | null)[] = [];
  readonly #naming: Naming;
  readonly #blocks: Blocks;
  readonly #tree = new PathTree();

  constructor(naming: Naming, blocks: Blocks) {
    this.#naming = naming;
    this.#blocks = blocks;
  }

  event(event: TimerEvent): void {
    const { kind, vcpu: index } = event;
    if (index < 0) return this.#ofNoVcpu(kind);
    this.certainties[kind * places + event.certainty]!++;
    const meaning = meanings[kind] as Meaning;
    if (meaning !== Meaning.none) this.#step(event, meaning, this.vcpus[index] ?? this.#add(index));
  }

  #step(event: TimerEvent, meaning: Meaning, vcpu: VcpuBehaviour): void {
    const step = stepOf(event);
    if (vcpu.cancelled >= 0) vcpu.settleCancel(event.kind);
    switch (meaning) {
      case Meaning.plain:
        vcpu.take(step);
        return;
      case Meaning.entry:
        vcpu.enter(step);
        return;
      case Meaning.report:
        vcpu.take(step);
        if (event.level === 1 && isVirtual(event.timer)) vcpu.ticked = true;
        return;
      case Meaning.cancel:
        vcpu.cancelled = step;
        return;
      default:
    }
  }

  #ofNoVcpu(kind: Kind): void {
    this.certainties[kind * places + ofNoVcpu]!++;
    // What was lost may belong to any trip that is under way.
    if (kind === Kind.lost) for (const vcpu of this.vcpus) vcpu.isWhole = false;
  }

  end(): void {
    this.names = this.vcpus.map((_, vcpu) => this.#naming.vcpu(vcpu));
  }

  /** How most events of a kind are known; undefined when there was none. */
  basis(kind: KindName): (typeof certaintyNames)[number] | 'of no vcpu' | undefined {
    const counts = this.certainties.subarray(Kind[kind] * places, (Kind[kind] + 1) * places);
    const most = Math.max(...counts);
    return most === 0 ? undefined : (certaintyNames[counts.indexOf(most)] ?? 'of no vcpu');
  }

  /** How many events of a kind there were. */
  events(kind: KindName): number {
    return this.certainties.subarray(Kind[kind] * places, (Kind[kind] + 1) * places).reduce((sum, n) => sum + n, 0);
  }

  #add(index: number): VcpuBehaviour {
    while (this.vcpus.length <= index) this.vcpus.push(this.#blocks.keep(new VcpuBehaviour(this.#tree)));
    return this.vcpus[index]!;
  }
}
