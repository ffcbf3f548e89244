import { type ConditionKind, conditions } from '../events/conditions.js';
import type { ConditionSummary, Position } from './facts.js';

/** Most details kept of one condition; the rest is counted under `other`. */
const maxDetails = 200;

/** A damaged input may state any numbers: what comes out of them is at least a whole number. */
function sum(a: number, b: number): number {
  return Math.min(a + b, Number.MAX_SAFE_INTEGER);
}

/** Counts the conditions of one trace. */
export class Conditions {
  readonly #seen = new Map<ConditionKind, { count: number; position: number; details: Map<string, number> }>();

  add(kind: ConditionKind, count: number, position: number, detail?: string): void {
    let entry = this.#seen.get(kind);
    if (entry === undefined) {
      entry = { count: 0, position, details: new Map() };
      this.#seen.set(kind, entry);
    }
    entry.count = sum(entry.count, count);
    if (detail === undefined) return;
    const key = entry.details.has(detail) || entry.details.size < maxDetails ? detail : 'other';
    entry.details.set(key, sum(entry.details.get(key) ?? 0, count));
  }

  /** Whether a condition means that the trace is incomplete inside. */
  get loss(): boolean {
    for (const kind of this.#seen.keys()) if (conditions[kind].severity === 'loss') return true;
    return false;
  }

  /** In the order of the table. */
  summary(position: (raw: number) => Position): ConditionSummary[] {
    return (Object.keys(conditions) as ConditionKind[]).flatMap((kind) => {
      const entry = this.#seen.get(kind);
      if (entry === undefined) return [];
      return [
        {
          kind,
          severity: conditions[kind].severity,
          sentence: conditions[kind].sentence,
          count: entry.count,
          position: position(entry.position),
          details: Object.fromEntries(entry.details),
        },
      ];
    });
  }
}
