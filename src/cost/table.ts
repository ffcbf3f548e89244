import {
  type Category,
  type CostGroup,
  type CostKind,
  categories,
  costGroups,
  costKinds,
  costMeanings,
} from './kinds.js';

const kinds = costKinds.length;
const categoryIndex = new Map(categories.map((name, index) => [name, index]));
const kindIndex = new Map(costKinds.map((name, index) => [name, index]));

/** How many operations of each kind the events of each category took. */
export class CostTable {
  /** Events by category. */
  readonly #events = new Float64Array(categories.length);
  /** Operations by category and kind. */
  readonly #operations = new Float64Array(categories.length * kinds);

  addEvents(category: Category, count = 1): void {
    this.#events[categoryIndex.get(category)!]! += count;
  }

  add(category: Category, kind: CostKind, count = 1): void {
    this.#operations[categoryIndex.get(category)! * kinds + kindIndex.get(kind)!]! += count;
  }

  events(category: Category): number {
    return this.#events[categoryIndex.get(category)!]!;
  }

  operations(category: Category, kind: CostKind): number {
    return this.#operations[categoryIndex.get(category)! * kinds + kindIndex.get(kind)!]!;
  }

  /** Operations of a kind in all categories. */
  total(kind: CostKind): number {
    return categories.reduce((sum, category) => sum + this.operations(category, kind), 0);
  }

  /** Operations of a group in one category, or in all. */
  ofGroup(group: CostGroup, category?: Category): number {
    const members = costKinds.filter((kind) => costMeanings[kind][1] === group);
    return members.reduce(
      (sum, kind) => sum + (category === undefined ? this.total(kind) : this.operations(category, kind)),
      0,
    );
  }

  /** Operations a event; 0 where there was none. */
  perEvent(category: Category, kind: CostKind): number {
    const events = this.events(category);
    return events === 0 ? 0 : this.operations(category, kind) / events;
  }

  /** Groups of which there was any. */
  get groups(): readonly CostGroup[] {
    return costGroups.filter((group) => this.ofGroup(group) > 0);
  }

  merge(other: CostTable): void {
    for (const category of categories) {
      this.addEvents(category, other.events(category));
      for (const kind of costKinds) this.add(category, kind, other.operations(category, kind));
    }
  }
}
