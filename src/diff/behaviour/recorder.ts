import type { VcpuName } from '../../check/facts.js';
import type { Naming } from '../../check/findings.js';
import { certaintyNames, isVirtual, type TimerEvent } from '../../events/event.js';
import { Kind, type KindName, kindNames } from '../../events/kinds.js';
import { type Blocks, type ByBlock, createSums, foldSums, type Sums } from '../noise/blocks.js';
import { PathTable, PathTree } from './paths.js';
import { isRaisedAt, kindAt, placeCount, placeOf, placesOfCertainty, placesOfKind, stepAt, steps } from './step.js';

/** Most paths that are kept of one vcpu. */
const mostPaths = 1024;

const cancels: readonly Kind[] = [Kind.bg_cancel, Kind.soft_cancel];

/** Whether there is more to an event than its step: entries, cancellations, and levels that are raised. */
function isSpecial(place: number): boolean {
  const kind = kindAt(place);
  return kind === Kind.entry || cancels.includes(kind) || (kind === Kind.update_irq && isRaisedAt(place));
}

/** By place, what is to be done: the number of the step, from `specialStep` on a special one; -1 nothing. */
const specialStep = 64;
const actions = stepAt.map((step, place) => (isSpecial(place) ? step + specialStep : step));

/** Places of steps that are counted when they come: what is a cancellation is known only with the next step. */
const counted: readonly number[] = [...stepAt.keys()].filter(
  (place) => stepAt[place]! >= 0 && !cancels.includes(kindAt(place)),
);

/** hrtimer_cancel also tells that a timer leaves its queue to expire, or to be started anew (specification §0.5). */
const takesFromQueue: readonly Kind[] = [Kind.bg_expire, Kind.soft_expire, Kind.bg_arm, Kind.soft_arm];

/** What is kept of the behaviour of one vcpu. */
export class VcpuBehaviour implements ByBlock {
  readonly paths: PathTable;
  /** By step, how often it happened; undefined when never. */
  readonly counts: (Sums | undefined)[] = new Array(steps.length).fill(undefined);
  /** Ticks of the guest as `stats` counts them: entries before which its timer's level was reported high. */
  readonly ticks: Sums = createSums();
  /** By place (see `placeOf`): events of all blocks, and those of the blocks that are settled. */
  readonly #events = new Float64Array(placeCount);
  readonly #settled = new Float64Array(placeCount);
  /** By step, cancellations of the block at hand, and ticks in it. */
  readonly #cancels = new Float64Array(steps.length);
  #ticks = 0;
  #ticked = false;
  /** The trip under way was seen from its entry on. */
  isWhole = false;
  /** A cancellation, of which the next event tells whether it is one; -1 none. */
  #cancelled = -1;

  constructor(tree: PathTree) {
    this.paths = new PathTable(tree, mostPaths);
  }

  event(event: TimerEvent): void {
    const place = placeOf(event);
    this.#events[place]!++;
    const action = actions[place]!;
    if (action < 0) return;
    if (this.#cancelled >= 0) this.#settleCancel(event.kind);
    if (action < specialStep) this.paths.add(action);
    else this.#special(event, action - specialStep);
  }

  #special(event: TimerEvent, step: number): void {
    switch (event.kind) {
      case Kind.entry:
        this.#enter();
        return;
      case Kind.update_irq:
        this.paths.add(step);
        if (isVirtual(event.timer)) this.#ticked = true;
        return;
      default:
        this.#cancelled = step;
    }
  }

  /** Events so far of a kind that are so certain. */
  eventsOf(kind: Kind, certainty: number): number {
    const from = kind * placesOfKind + certainty * placesOfCertainty;
    return this.#events.subarray(from, from + placesOfCertainty).reduce((sum, count) => sum + count, 0);
  }

  /** Whether anything of a path was seen. */
  get hasSteps(): boolean {
    return this.#events.some((count, place) => count > 0 && stepAt[place]! >= 0);
  }

  /** The step after a cancellation tells whether it was one. */
  #settleCancel(next: Kind): void {
    if (!takesFromQueue.includes(next)) {
      this.#cancels[this.#cancelled]!++;
      this.paths.add(this.#cancelled);
    }
    this.#cancelled = -1;
  }

  /** The guest is entered: a trip ends, and another one begins. */
  #enter(): void {
    if (this.#ticked) this.#ticks++;
    this.#ticked = false;
    this.paths.end(this.isWhole);
    this.isWhole = true;
  }

  settle(block: number): void {
    for (const place of counted) this.#add(stepAt[place]!, block, this.#events[place]! - this.#settled[place]!);
    this.#settled.set(this.#events);
    for (let step = 0; step < steps.length; step++) this.#add(step, block, this.#cancels[step]!);
    this.#cancels.fill(0);
    this.ticks[block]! += this.#ticks;
    this.#ticks = 0;
    this.paths.settle(block);
  }

  #add(step: number, block: number, count: number): void {
    if (count === 0) return;
    const sums = this.counts[step] ?? createSums();
    this.counts[step] = sums;
    sums[block]! += count;
  }

  fold(): void {
    for (const counts of this.counts) if (counts !== undefined) foldSums(counts);
    foldSums(this.ticks);
    this.paths.fold();
  }
}

/** Records by time block which paths the vcpus of a recording take, and how often they do what. */
export class BehaviourRecorder {
  /** By the vcpu's index in the run, up to the last that takes steps; and who they are. Known at the end. */
  vcpus: readonly VcpuBehaviour[] = [];
  names: readonly (VcpuName | null)[] = [];
  /** Of every vcpu that has events. */
  readonly #all: VcpuBehaviour[] = [];
  /** By kind, events that belong to no vcpu that is known. */
  readonly #ofNoVcpu = new Float64Array(kindNames.length);
  readonly #naming: Naming;
  readonly #blocks: Blocks;
  readonly #tree = new PathTree();

  constructor(naming: Naming, blocks: Blocks) {
    this.#naming = naming;
    this.#blocks = blocks;
  }

  /** What is kept of a vcpu: the event at hand is for it. */
  vcpu(index: number): VcpuBehaviour {
    while (this.#all.length <= index) this.#all.push(this.#blocks.keep(new VcpuBehaviour(this.#tree)));
    return this.#all[index]!;
  }

  ofNoVcpu(kind: Kind): void {
    this.#ofNoVcpu[kind]!++;
    // What was lost may belong to any trip that is under way.
    if (kind === Kind.lost) for (const vcpu of this.#all) vcpu.isWhole = false;
  }

  end(): void {
    this.vcpus = this.#all.slice(0, this.#all.findLastIndex(({ hasSteps }) => hasSteps) + 1);
    this.names = this.vcpus.map((_, vcpu) => this.#naming.vcpu(vcpu));
  }

  /** How most events of a kind are known; undefined when there was none. */
  basis(kind: KindName): (typeof certaintyNames)[number] | 'of no vcpu' | undefined {
    const counts = this.#counts(Kind[kind]);
    const most = Math.max(...counts);
    return most === 0 ? undefined : (certaintyNames[counts.indexOf(most)] ?? 'of no vcpu');
  }

  /** How many events of a kind there were. */
  events(kind: KindName): number {
    return this.#counts(Kind[kind]).reduce((sum, count) => sum + count, 0);
  }

  /** By kind and certainty, the vcpus' events so far. */
  certainties(): readonly (readonly number[])[] {
    return kindNames.map((_, kind) => this.#ofVcpus(kind));
  }

  /** Events of a kind by certainty, and in the last place those that belong to no vcpu that is known. */
  #counts(kind: Kind): number[] {
    return [...this.#ofVcpus(kind), this.#ofNoVcpu[kind]!];
  }

  #ofVcpus(kind: Kind): number[] {
    return certaintyNames.map((_, certainty) =>
      this.#all.reduce((sum, vcpu) => sum + vcpu.eventsOf(kind, certainty), 0),
    );
  }
}
