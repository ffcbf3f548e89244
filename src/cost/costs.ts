import type { TimerEvent } from '../events/event.js';
import type { Machine } from '../machine/machine.js';
import type { VcpuState } from '../machine/state.js';
import { designs } from '../models/designs/index.js';
import { type CostSetting, type Derived, Deriver } from './deriver.js';
import { Episodes } from './episodes.js';
import type { EpisodeSink, Slot } from './slots.js';
import { type Costs, Tally } from './tally.js';

/**
 * Counts the operations of the kernel's timer code in a trace, in memory that does not grow with it: how often each of
 * the few different episodes occurred. What the design has in them is derived at the end, once for each.
 */
export abstract class EpisodeCounter {
  #episodes: Episodes | undefined;
  #setting: CostSetting | undefined;
  #deriver: Deriver | undefined;

  begin(setting: CostSetting): void {
    this.#setting = setting;
    const id = setting.candidates[setting.candidates.length - 1];
    if (id === undefined) return;
    this.#episodes = new Episodes(designs[id], this.sink);
    this.#deriver = new Deriver(this.#episodes, setting);
  }

  event(event: TimerEvent, machine: Machine, vcpu: VcpuState | undefined): void {
    this.#episodes?.event(event, machine, vcpu);
  }

  /** Who is told of each episode. */
  protected get sink(): EpisodeSink {
    return {};
  }

  /** Undefined before `begin`, and when no model fits. */
  get episodes(): Episodes | undefined {
    return this.#episodes;
  }

  end(): void {
    this.#episodes?.end();
  }

  /** The operations of so many episodes of each kind, by node; undefined when no model fits. */
  protected costsOf(counts: ArrayLike<number>): Costs | undefined {
    const setting = this.#setting;
    const model = setting?.candidates[setting.candidates.length - 1];
    if (setting === undefined || model === undefined) return undefined;
    const tally = new Tally(setting);
    for (const each of this.derivationsOf(counts)) tally.add(each, each.count);
    return { model, ...tally.result() };
  }

  /** What each different episode did, and how often it occurred. */
  protected derivationsOf(counts: ArrayLike<number>): (Derived & { readonly count: number })[] {
    const size = Math.min(counts.length, this.#episodes?.trie.size ?? 0);
    return Array.from({ length: size }, (_, node) => node).flatMap((node) =>
      counts[node] === 0 ? [] : [{ ...this.#deriver!.derive(node), count: counts[node]! }],
    );
  }
}

/** Numbers of episodes by node, in an array that has room for one. */
export function roomFor(node: number, counts: Float64Array = new Float64Array(0)): Float64Array {
  return counts.length > node ? counts : lengthened(counts, Math.max(256, 2 * node));
}

/** Adds numbers of episodes to others. */
export function addCounts(into: Float64Array, counts: Float64Array): Float64Array {
  const sum = into.length < counts.length ? lengthened(into, counts.length) : into;
  for (let node = 0; node < counts.length; node++) sum[node]! += counts[node]!;
  return sum;
}

function lengthened(counts: Float64Array, length: number): Float64Array {
  const longer = new Float64Array(length);
  longer.set(counts);
  return longer;
}

/** Counts operations by vcpu and CPU. */
export class CostCounter extends EpisodeCounter implements EpisodeSink {
  /** By vcpu (-1 first: of no vcpu) and CPU, how often each node was the end of an episode. */
  readonly #counts: (Float64Array | undefined)[][] = [];

  protected override get sink(): EpisodeSink {
    return this;
  }

  ended(node: number, { vcpu, cpu }: Slot): void {
    while (this.#counts.length <= vcpu + 1) this.#counts.push([]);
    const ofVcpu = this.#counts[vcpu + 1]!;
    const counts = roomFor(node, ofVcpu[cpu]);
    ofVcpu[cpu] = counts;
    counts[node]!++;
  }

  /**
   * The operations of those vcpus and CPUs that are wanted, of all unless said otherwise; undefined when no model fits.
   * To be asked after the end. An interrupt that finds no vcpu has vcpu -1.
   */
  costs(wanted: (vcpu: number, cpu: number) => boolean = () => true): Costs | undefined {
    return this.costsOf(this.#sum(wanted));
  }

  /** What each different episode of those that are wanted did, and how often it occurred. */
  derivations(wanted: (vcpu: number, cpu: number) => boolean = () => true): (Derived & { readonly count: number })[] {
    return this.derivationsOf(this.#sum(wanted));
  }

  #sum(wanted: (vcpu: number, cpu: number) => boolean): Float64Array {
    let sum: Float64Array = new Float64Array(0);
    this.#counts.forEach((ofVcpu, index) => {
      ofVcpu.forEach((counts, cpu) => {
        if (counts !== undefined && wanted(index - 1, cpu)) sum = addCounts(sum, counts);
      });
    });
    return sum;
  }
}
