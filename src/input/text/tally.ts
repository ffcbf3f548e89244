import type { ConditionKind, ConditionSink } from '../../events/conditions.js';

/** Gathers one kind of condition by case, so that a line of the input costs no call. */
export class Tally {
  private readonly kind: ConditionKind;
  private readonly counts: number[] = [];
  private readonly positions: number[] = [];

  constructor(kind: ConditionKind) {
    this.kind = kind;
  }

  /** Counts one more of case `key`, a small integer. */
  add(key: number, position: number): void {
    while (this.counts.length <= key) {
      this.counts.push(0);
      this.positions.push(0);
    }
    if (this.counts[key]!++ === 0) this.positions[key] = position;
  }

  /** Counts more of a case that was seen before. */
  addMore(key: number, count: number): void {
    this.counts[key]! += count;
  }

  /** Reports every case once and forgets them. */
  report(sink: ConditionSink, detail: (key: number) => string): void {
    for (let key = 0; key < this.counts.length; key++) {
      const count = this.counts[key]!;
      if (count > 0) sink.condition(this.kind, count, this.positions[key]!, detail(key));
      this.counts[key] = 0;
    }
  }
}
