import type { VcpuName } from '../../check/facts.js';
import type { Naming } from '../../check/findings.js';
import type { Observer } from '../../check/observe.js';
import { certaintyNames, isVirtual, type TimerEvent } from '../../events/event.js';
import { Kind, type KindName, kindNames } from '../../events/kinds.js';
import { type Blocks, type ByBlock, createSums, foldSums, type Sums } from '../noise/blocks.js';
import { PathTable } from './paths.js';
import { stepOf, steps } from './step.js';

/** Most paths that are kept of one vcpu. */
const mostPaths = 1024;

/** Places in `certainties` of one kind. */
const ofNoVcpu = certaintyNames.length;
const places = certaintyNames.length + 1;

const kindSet = (...set: readonly Kind[]): readonly boolean[] => kindNames.map((_, kind) => set.includes(kind));
const isCancel = kindSet(Kind.bg_cancel, Kind.soft_cancel);
const takesFromQueue = kindSet(Kind.bg_expire, Kind.soft_expire, Kind.bg_arm, Kind.soft_arm);

/** What is kept of the behaviour of one vcpu. */
export class VcpuBehaviour implements ByBlock {
  readonly paths = new PathTable(mostPaths);
  /** By step, how often it happened; undefined when never. */
  readonly counts: (Sums | undefined)[] = new Array(steps.length).fill(undefined);
  /** Ticks of the guest as `stats` counts them: entries before which its timer's level was reported high. */
  readonly ticks: Sums = createSums();
  ticked = false;
  /** The trip under way was seen from its entry on. */
  isWhole = false;
  /** A cancellation, of which the next event tells whether it is one; -1 none. */
  cancelled = -1;

  count(step: number, block: number): void {
    this.counts[step] ??= createSums();
    this.counts[step][block]!++;
  }

  /** A step of the trip under way. */
  take(step: number, block: number): void {
    this.count(step, block);
    this.paths.add(step);
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

  constructor(naming: Naming, blocks: Blocks) {
    this.#naming = naming;
    this.#blocks = blocks;
  }

  event(event: TimerEvent): void {
    // What was lost may belong to any trip that is under way.
    if (event.kind === Kind.lost) for (const vcpu of this.vcpus) vcpu.isWhole = false;
    this.certainties[event.kind * places + (event.vcpu < 0 ? ofNoVcpu : event.certainty)]!++;
    if (event.vcpu < 0) return;
    const step = stepOf(event);
    if (step < 0) return;
    const vcpu = this.#vcpu(event.vcpu);
    const block = this.#blocks.current;
    // hrtimer_cancel also tells that a timer leaves its queue to expire, or to be started anew (specification §0.5).
    if (vcpu.cancelled >= 0 && !takesFromQueue[event.kind]) vcpu.take(vcpu.cancelled, block);
    vcpu.cancelled = isCancel[event.kind] ? step : -1;
    if (isCancel[event.kind]) return;
    if (event.kind !== Kind.entry) {
      vcpu.take(step, block);
      vcpu.ticked ||= event.kind === Kind.update_irq && event.level === 1 && isVirtual(event.timer);
      return;
    }
    vcpu.count(step, block);
    if (vcpu.ticked) vcpu.ticks[block]!++;
    vcpu.ticked = false;
    vcpu.paths.end(vcpu.isWhole ? block : -1);
    vcpu.isWhole = true;
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

  #vcpu(index: number): VcpuBehaviour {
    while (this.vcpus.length <= index) this.vcpus.push(this.#blocks.keep(new VcpuBehaviour()));
    return this.vcpus[index]!;
  }
}
