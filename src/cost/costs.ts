import type { TimerEvent } from '../events/event.js';
import { kindNames } from '../events/kinds.js';
import type { Machine } from '../machine/machine.js';
import { designs } from '../models/designs/index.js';
import type { ModelId } from '../models/model.js';
import { type CostSetting, type Derived, Deriver } from './deriver.js';
import { Episodes } from './episodes.js';
import type { Category } from './kinds.js';
import type { Episode } from './situation.js';
import type { EpisodeSink, Slot } from './slots.js';
import { kindOfSymbol } from './symbols.js';
import { CostTable } from './table.js';

/** The category of an episode, and whether the episode is an event of it: a flush is no entry of its own. */
const categoryOf: Readonly<Record<Episode, readonly [category: Category, counts: boolean]>> = {
  enter: ['entry', true],
  flush: ['entry', false],
  leave: ['exit', true],
  sync: ['exit', false],
  load: ['load', true],
  put: ['put', true],
  schedule: ['block', true],
  unschedule: ['unblock', true],
  irq: ['interrupt', true],
  bg_expire: ['expiry', true],
  soft_expire: ['soft_expiry', true],
  user_write: ['user_write', true],
  user_offset: ['user_write', true],
  trapped_access: ['trapped_access', true],
  enable: ['enable', true],
  reset: ['reset', true],
};

/** Records of one kind: how many the design foresees in a category, and how many there are, where all were seen. */
export interface RecordCount {
  readonly category: Category;
  readonly kind: string;
  foreseen: number;
  recorded: number;
}

/** What the kernel has done, by the design that fits the recording. */
export interface Costs {
  readonly model: ModelId;
  readonly table: CostTable;
  /** How many episodes' costs depend on a guard that nothing tells, by guard. */
  readonly assumed: ReadonlyMap<string, number>;
  /** Of the kinds that the recording has: what the design foresees against what was recorded. */
  readonly records: readonly RecordCount[];
  /** Episodes whose records are not those that the design foresees. */
  readonly unfit: number;
  /** All episodes. */
  readonly total: number;
}

/**
 * Counts the operations of the kernel's timer code in a trace, by vcpu and place, in memory that does not grow with it.
 * What the design has in each of the few different episodes is derived at the end, once for each.
 */
export class CostCounter implements EpisodeSink {
  /** By vcpu (-1 first: of no vcpu) and place, how often each node was the end of an episode. */
  readonly #counts: Float64Array[][] = [];
  readonly #placeOf: (cpu: number) => number;
  #episodes: Episodes | undefined;
  #setting: CostSetting | undefined;
  #deriver: Deriver | undefined;

  /** @param placeOf by what to count beside the vcpu, a small number: the CPU, or a block of time */
  constructor(placeOf: (cpu: number) => number = (cpu) => cpu) {
    this.#placeOf = placeOf;
  }

  begin(setting: CostSetting): void {
    this.#setting = setting;
    const id = setting.candidates[setting.candidates.length - 1];
    if (id === undefined) return;
    this.#episodes = new Episodes(designs[id], this);
    this.#deriver = new Deriver(this.#episodes, setting);
  }

  event(event: TimerEvent, machine: Machine): void {
    this.#episodes?.event(event, machine);
  }

  end(): void {
    this.#episodes?.end();
  }

  ended(node: number, slot: Slot): void {
    const vcpu = slot.vcpu + 1;
    while (this.#counts.length <= vcpu) this.#counts.push([]);
    const ofVcpu = this.#counts[vcpu]!;
    const place = this.#placeOf(slot.cpu);
    let counts = ofVcpu[place];
    if (counts === undefined || counts.length <= node) {
      const larger = new Float64Array(Math.max(256, 2 * node));
      if (counts !== undefined) larger.set(counts);
      counts = larger;
      ofVcpu[place] = counts;
    }
    counts[node]!++;
  }

  /** Places 2i and 2i+1 have become place i. */
  fold(): void {
    for (const ofVcpu of this.#counts)
      for (let place = 0; place < ofVcpu.length; place++) {
        const counts = ofVcpu[place];
        delete ofVcpu[place];
        if (counts === undefined) continue;
        const half = ofVcpu[place >> 1];
        ofVcpu[place >> 1] = half === undefined ? counts : added(half, counts);
      }
  }

  /**
   * The operations of those vcpus and places that are wanted, of all unless said otherwise; undefined when no model fits.
   * To be asked after the end. An interrupt that finds no vcpu has vcpu -1.
   */
  costs(wanted: (vcpu: number, place: number) => boolean = () => true): Costs | undefined {
    const setting = this.#setting;
    const model = setting?.candidates[setting.candidates.length - 1];
    if (setting === undefined || model === undefined) return undefined;
    const tally = new Tally(setting);
    for (const each of this.derivations(wanted)) tally.add(each, each.count);
    return { model, ...tally.result() };
  }

  /** What each different episode of those that are wanted did, and how often it occurred. */
  derivations(wanted: (vcpu: number, place: number) => boolean = () => true): (Derived & { readonly count: number })[] {
    const size = this.#episodes?.trie.size ?? 0;
    return [...this.#sum(size, wanted)].flatMap((count, node) =>
      count === 0 ? [] : [{ ...this.#deriver!.derive(node), count }],
    );
  }

  #sum(size: number, wanted: (vcpu: number, place: number) => boolean): Float64Array {
    const sum = new Float64Array(size);
    this.#counts.forEach((ofVcpu, vcpu) => {
      ofVcpu.forEach((counts, place) => {
        if (!wanted(vcpu - 1, place)) return;
        for (let node = 0; node < Math.min(size, counts.length); node++) sum[node]! += counts[node]!;
      });
    });
    return sum;
  }
}

function added(a: Float64Array, b: Float64Array): Float64Array {
  const [larger, smaller] = a.length >= b.length ? [a, b] : [b, a];
  for (let index = 0; index < smaller.length; index++) larger[index]! += smaller[index]!;
  return larger;
}

/** Adds up what episodes did. */
class Tally {
  readonly #table = new CostTable();
  readonly #assumed = new Map<string, number>();
  readonly #records = new Map<string, RecordCount>();
  readonly #setting: CostSetting;
  #unfit = 0;
  #total = 0;

  constructor(setting: CostSetting) {
    this.#setting = setting;
  }

  add({ derivation, symbols, incomplete }: Derived, count: number): void {
    const [category, isEvent] = categoryOf[derivation.episode];
    if (isEvent) this.#table.addEvents(category, count);
    this.#total += count;
    for (const [kind, times] of derivation.costs) this.#table.add(category, kind, times * count);
    for (const guard of derivation.assumed) this.#assumed.set(guard, (this.#assumed.get(guard) ?? 0) + count);
    if (derivation.missing.size > 0 || derivation.surplus.size > 0) this.#unfit += count;
    if (incomplete) return;
    for (const { symbol } of derivation.effects) if (symbol >= 0) this.#record(category, symbol, 'foreseen', count);
    for (const symbol of symbols) this.#record(category, symbol, 'recorded', count);
  }

  #record(category: Category, symbol: number, side: 'foreseen' | 'recorded', count: number): void {
    const kind = kindOfSymbol[symbol]!;
    if (!this.#setting.records(kind)) return;
    const name = kindNames[kind]!;
    const key = `${category} ${name}`;
    let row = this.#records.get(key);
    if (row === undefined) {
      row = { category, kind: name, foreseen: 0, recorded: 0 };
      this.#records.set(key, row);
    }
    row[side] += count;
  }

  result(): Omit<Costs, 'model'> {
    return {
      table: this.#table,
      assumed: this.#assumed,
      records: [...this.#records.values()],
      unfit: this.#unfit,
      total: this.#total,
    };
  }
}
