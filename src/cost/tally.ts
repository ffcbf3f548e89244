import { kindNames } from '../events/kinds.js';
import type { ModelId } from '../models/model.js';
import type { CostSetting, Derived } from './deriver.js';
import type { Category } from './kinds.js';
import type { Episode } from './situation.js';
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

/** Adds up what episodes did. */
export class Tally {
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
