import type { Lifecycle, StateName } from '../../models/design.js';

/** All events that lead from one state to another. */
export interface Edge {
  readonly from: StateName;
  readonly to: StateName;
  readonly events: readonly string[];
}

/** The states of a lifecycle, in the order in which they are written. */
export const statesOf = (lifecycle: Lifecycle): StateName[] => Object.keys(lifecycle.states) as StateName[];

/** One edge for each pair of states, in the order of the transitions. */
export function edgesOf(lifecycle: Lifecycle): Edge[] {
  const edges = new Map<string, { from: StateName; to: StateName; events: string[] }>();
  for (const { from, event, to } of lifecycle.transitions) {
    const key = `${from} ${to}`;
    const edge = edges.get(key) ?? { from, to, events: [] };
    edge.events.push(event);
    edges.set(key, edge);
  }
  return [...edges.values()];
}
