import { check } from '../check/check.js';
import type { CheckOptions, VcpuName } from '../check/facts.js';
import type { Naming } from '../check/findings.js';
import type { ObservedTrace, Observer } from '../check/observe.js';
import type { Input } from '../check/read.js';
import { CostCounter } from '../cost/costs.js';
import { categories, costKinds } from '../cost/kinds.js';
import type { Costs } from '../cost/tally.js';
import type { TimerEvent } from '../events/event.js';
import type { Machine } from '../machine/machine.js';
import type { VcpuState } from '../machine/state.js';
import { rules } from '../rules/index.js';
import { Cell, Count, countNames, latencyNames, Where, whereNames } from './cell.js';
import { CellCollector } from './collector.js';
import type { GroupCosts, Grouping, GroupStats, Measured, StatsFact, TraceStats } from './facts.js';
import type { Histogram } from './histogram.js';
import { reasonName } from './reason.js';

/** Options of `stats`. */
export interface StatsOptions extends Pick<CheckOptions, 'model' | 'host' | 'inputFormat'> {
  /** Default: by vcpu. */
  readonly by?: Grouping;
}

/** What is counted of one trace. */
class Counts implements Observer {
  readonly collector: CellCollector;
  readonly costs = new CostCounter();

  constructor(naming: Naming) {
    this.collector = new CellCollector(naming);
  }

  begin(trace: ObservedTrace): void {
    this.collector.begin(trace);
    this.costs.begin(trace);
  }

  event(event: TimerEvent, machine: Machine, vcpu: VcpuState | undefined): void {
    this.costs.event(event, machine, vcpu);
    this.collector.event(event, machine, vcpu);
  }

  end(time: number): void {
    this.costs.end();
    this.collector.end(time);
  }
}

/**
 * Takes statistics of traces, one after the other: what `perf kvm stat` tells, and the timer's part in it. No rule is
 * checked. Memory does not grow with a trace.
 *
 * @throws RangeError for an option whose value does not exist
 */
export async function* stats(
  inputs: readonly Input[],
  options: StatsOptions = {},
): AsyncGenerator<StatsFact, void, undefined> {
  const { by = 'vcpu', ...others } = options;
  let counts: Counts | undefined;
  const observe = (naming: Naming) => {
    counts = new Counts(naming);
    return counts;
  };
  const off = Object.fromEntries(rules.map(({ id }) => [id, 'off' as const]));
  for await (const fact of check(inputs, { ...others, rules: off, observe })) {
    yield fact.type === 'trace-end' ? { ...fact, stats: traceStats(counts as Counts, by) } : fact;
  }
}

interface Group {
  readonly vcpu: VcpuName | null;
  readonly vm: number | null;
  readonly cpu: number | null;
  readonly cell: Cell;
}

/** Adds up the cells of each group. */
function traceStats({ collector: { cells, names }, costs }: Counts, by: Grouping): TraceStats {
  const groups = new Map<string, Group>();
  const keyOf = (index: number, cpu: number) =>
    by === 'vcpu' ? `${index}` : by === 'vm' ? `${names[index]?.vm}` : `${cpu}`;
  cells.forEach((ofVcpu, index) => {
    const vcpu = names[index];
    if (vcpu === undefined || vcpu === null) return;
    ofVcpu.forEach((cell, cpu) => {
      const key = keyOf(index, cpu);
      let group = groups.get(key);
      if (group === undefined) {
        group = {
          vcpu: by === 'vcpu' ? vcpu : null,
          vm: by === 'cpu' ? null : vcpu.vm,
          cpu: by === 'cpu' ? cpu : null,
          cell: new Cell(),
        };
        groups.set(key, group);
      }
      group.cell.merge(cell);
    });
  });
  const sorted = [...groups].sort(
    ([, a], [, b]) => (a.cpu ?? 0) - (b.cpu ?? 0) || (a.vm ?? 0) - (b.vm ?? 0) || (a.vcpu?.id ?? 0) - (b.vcpu?.id ?? 0),
  );
  return {
    by,
    costModel: costs.costs(() => false)?.model ?? null,
    groups: sorted.map(([key, { cell, ...who }]) => {
      const own = costs.costs((vcpu, cpu) => keyOf(vcpu, cpu) === key);
      return { ...who, ...groupStats(cell), costs: own === undefined ? null : groupCosts(own, cell) };
    }),
  };
}

function groupCosts({ table, assumed, unfit, total }: Costs, cell: Cell): GroupCosts {
  const rows = categories.map((category) => ({
    category,
    events: table.events(category),
    operations: Object.fromEntries(
      costKinds
        .map((kind) => [kind, table.operations(category, kind)] as const)
        .filter(([, operations]) => operations > 0),
    ),
  }));
  return {
    categories: rows.filter(({ events, operations }) => events > 0 || Object.keys(operations).length > 0),
    runs: total,
    assumed: Object.fromEntries([...assumed].sort(([, a], [, b]) => b - a)),
    unfit,
    guestSeconds: (cell.stays[Where.guest]?.total ?? 0) / 1e9,
  };
}

function groupStats(cell: Cell): Pick<GroupStats, 'counts' | 'places' | 'exits' | 'latencies'> {
  const counts = Object.fromEntries(countNames.map((name) => [name, cell.counts[Count[name]]!]));
  const exits = [...cell.exits].map(([reason, histogram]) => [reasonName(reason), histogram] as const);
  return {
    counts: counts as GroupStats['counts'],
    places: measured(whereNames.map((name, index) => [name, cell.stays[index]])),
    exits: measured(exits).sort((a, b) => b.times.total - a.times.total),
    latencies: measured(latencyNames.map((name, index) => [name, cell.latencies[index]])),
  };
}

function measured(rows: readonly (readonly [string, Histogram | undefined])[]): Measured[] {
  return rows.flatMap(([name, histogram]) => {
    const times = histogram?.summary();
    return times === undefined ? [] : [{ name, times }];
  });
}
