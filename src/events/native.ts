/**
 * The native notation: one canonical event a row. It is what people write by hand (rule examples, small traces,
 * the bug corpus) and what `convert` writes, so a row names only what matters and everything else has a default.
 *
 * The columns are in `native-columns.ts`; here is what needs more than one of them: defaults, and what an event
 * of a kind must and may say.
 */

import { Context, Timer, TimerEvent } from './event.js';
import { Kind, type KindName, kindNames } from './kinds.js';
import {
  allowedColumns,
  type Column,
  type ColumnName,
  columnIndex,
  columns,
  requiredColumns,
} from './native-columns.js';
import { type Scalar, timeSince } from './native-values.js';

/** What a row holds in one column: undefined for nothing, `?` or null for "not known". */
export type Cell = Scalar | null | undefined;

/** Distance of two rows when the second has no time, in nanoseconds. */
const defaultStep = 1000;

/** Guest INTIDs by default (specification §1.2). */
const vtimerPpi = 27;
const ptimerPpi = 30;

const kinds = (...names: KindName[]): ReadonlySet<number> => new Set(names.map((name) => Kind[name]));

/** Kinds that are about the line of one timer: the irq follows from the timer. */
const lineKinds = kinds(
  'update_irq',
  'vgic_inject',
  'set_active',
  'mask_irq',
  'set_affinity',
  'vtimer_irq',
  'vtimer_irq_end',
);
const hostLineKinds = kinds('set_active', 'mask_irq', 'set_affinity');
const handlerKinds = kinds('vtimer_irq', 'vtimer_irq_end');
const vtimerKinds = kinds('save', 'restore', 'user_write');
/** Kinds that only an interrupt handler or hrtimer callback records. */
const hardirqKinds = kinds(
  'vtimer_irq',
  'vtimer_irq_end',
  'irq_begin',
  'irq_end',
  'bg_expire',
  'soft_expire',
  'timer_callback_end',
);

const index = Object.fromEntries(columnIndex) as { readonly [name in ColumnName]: number };

/** By kind and column: whether an event of the kind may fill the column. */
const allowed = kindNames.map((kind) => {
  const table = new Uint8Array(columns.length);
  for (const name of allowedColumns(kind)) table[index[name]] = 1;
  return table;
});

/** By kind: lists of columns, of each of which at least one must be filled. */
const required = kindNames.map((kind) =>
  (requiredColumns[kind] ?? []).map((names) => names.map((name) => index[name])),
);

/** The thread of a vcpu that no row named. */
function defaultPid(vm: number, vcpuId: number): number {
  return vcpuId < 0 ? -1 : 1000 + 100 * Math.max(vm, 0) + vcpuId;
}

function timerOfIrq(irq: number): number {
  return irq === vtimerPpi ? Timer.vtimer : irq === ptimerPpi ? Timer.ptimer : Timer.unknown;
}

function irqOfTimer(timer: number): number {
  return timer === Timer.ptimer ? ptimerPpi : vtimerPpi;
}

/** The timer that a row of this kind means without saying so; the irq is already filled in. */
function defaultTimer(kind: number, irq: number): number {
  if (vtimerKinds.has(kind)) return Timer.vtimer;
  if (hostLineKinds.has(kind)) return timerOfIrq(irq);
  if (handlerKinds.has(kind)) return irq === ptimerPpi ? Timer.ptimer : Timer.vtimer;
  return Timer.unknown;
}

/** Fills in what a row may leave out, apart from time and CPU. */
function fillDefaults(event: TimerEvent, given: Uint8Array): void {
  const absent = (name: ColumnName) => given[index[name]] === 0;
  const { kind } = event;
  if (event.vcpuId >= 0 && absent('vm')) event.vm = 0;
  if (kind === Kind.wakeup) {
    // The vcpu is the woken one: nothing says who woke it.
    if (absent('next')) event.otherPid = defaultPid(event.vm, event.vcpuId);
  } else if (absent('pid')) {
    event.pid = defaultPid(event.vm, event.vcpuId);
  }
  if (absent('irq') && lineKinds.has(kind)) event.irq = irqOfTimer(event.timer);
  if (absent('timer')) event.timer = defaultTimer(kind, event.irq);
  if (absent('context') && hardirqKinds.has(kind)) event.context = Context.hardirq;
  if (kind !== Kind.timer_map) return;
  if (absent('dv')) event.directVtimer = Timer.vtimer;
  if (absent('dp') && absent('ep')) {
    event.directPtimer = Timer.none;
    event.emulPtimer = Timer.ptimer;
  } else if (absent('dp')) {
    event.directPtimer = event.emulPtimer === Timer.none ? Timer.ptimer : Timer.none;
  } else if (absent('ep')) {
    event.emulPtimer = event.directPtimer === Timer.none ? Timer.ptimer : Timer.none;
  }
}

/** Reads the rows of one trace. */
export class NativeRows {
  /** Time from which events count, in the trace's clock, nanoseconds; undefined where times count from zero. */
  origin: bigint | undefined;
  private nextTime = 0;
  private readonly cpuOfVcpu = new Map<number, number>();
  /** By column: 1 where the row at hand fills it. */
  private readonly given = new Uint8Array(columns.length);

  /**
   * Fills an event from a row.
   *
   * @param cells one cell a column, in the order of `columns`; `undefined` where the row says nothing
   * @returns false when the row is not valid; `explainRow` of native-schema.js then says why
   */
  read(cells: readonly Cell[], event: TimerEvent): boolean {
    event.clear();
    event.hasDetails = true;
    const kindCell = cells[index.event];
    if (kindCell === undefined || kindCell === null) return false;
    const kind = columns[index.event]!.type.read(kindCell);
    if (Number.isNaN(kind)) return false;
    const mayFill = allowed[kind]!;
    const { given } = this;
    given.fill(0);
    for (let i = 0; i < columns.length; i++) {
      const cell = cells[i];
      if (cell === undefined) continue;
      if (mayFill[i] === 0) return false;
      if (i === index.time && this.origin !== undefined) {
        event.time = cell === null ? Number.NaN : timeSince(this.origin, cell);
        if (Number.isNaN(event.time)) return false;
      } else if (!fill(columns[i]!, cell, event)) return false;
      given[i] = 1;
    }
    for (const group of required[kind]!) if (!group.some((i) => given[i] === 1)) return false;
    fillDefaults(event, given);
    this.fillPlace(event);
    return true;
  }

  private fillPlace(event: TimerEvent): void {
    if (this.given[index.time] === 0) event.time = this.nextTime;
    this.nextTime = event.time + defaultStep;
    const vcpu = event.vcpuId < 0 ? -1 : Math.max(event.vm, 0) * 0x10000 + event.vcpuId;
    if (this.given[index.cpu] === 0) event.cpu = this.cpuOfVcpu.get(vcpu) ?? 0;
    // A wakeup is recorded on the waker's CPU.
    if (vcpu >= 0 && event.cpu >= 0 && event.kind !== Kind.wakeup) this.cpuOfVcpu.set(vcpu, event.cpu);
  }
}

function fill(column: Column, cell: Scalar | null, event: TimerEvent): boolean {
  if (cell === null || cell === '?') {
    if (column.forget === undefined) return false;
    column.forget(event);
    return true;
  }
  const value = column.type.read(cell);
  if (Number.isNaN(value)) return false;
  column.set(event, value);
  return true;
}

const scratch = new TimerEvent();

/** Whether reading a row of this event without the column would not give the event back. */
function isNeeded(column: Column, event: TimerEvent): boolean {
  const i = index[column.name];
  if (allowed[event.kind]![i] === 0) return false;
  if (required[event.kind]!.some((group) => group.length === 1 && group[0] === i)) return true;
  switch (column.name) {
    case 'time':
    case 'event':
    case 'cpu':
      return true;
    case 'vm':
      return event.vm !== (event.vcpuId >= 0 ? 0 : -1);
    case 'pid':
      return event.pid !== (event.kind === Kind.wakeup ? -1 : defaultPid(event.vm, event.vcpuId));
    case 'next':
      if (event.kind !== Kind.wakeup) return event.otherPid !== -1;
      return event.vcpuId < 0 || event.otherPid !== defaultPid(event.vm, event.vcpuId);
    case 'irq':
      // Written where the timer does not give it, and for the ptimer, whose timer may be taken from it.
      return event.irq !== (lineKinds.has(event.kind) ? vtimerPpi : -1) || event.timer === Timer.ptimer;
    case 'timer':
      return event.timer !== defaultTimer(event.kind, event.irq);
    case 'context':
      return event.context !== (hardirqKinds.has(event.kind) ? Context.hardirq : Context.unknown);
    case 'dv':
      return event.directVtimer !== Timer.vtimer;
    case 'dp':
    case 'ep':
      return event.directPtimer !== Timer.none || event.emulPtimer !== Timer.ptimer;
    case 'certainty':
      return event.certainty !== 0;
    default:
      return column.get(event) !== column.get(scratch);
  }
}

/** The cell that spells an event's value; undefined when it is not known, or is none that the column can hold. */
function spell(column: Column, event: TimerEvent): string | number | undefined {
  const cell = column.get(event);
  const { range } = column.type;
  // A damaged record may hold any number; one without a name stands only where the column takes numbers.
  const holds = typeof cell !== 'number' || (range !== undefined && cell >= range.min && cell <= range.max);
  return holds ? cell : undefined;
}

/**
 * The columns that these events need in order to be read back; the rest is default in all of them.
 */
export function neededColumns(events: Iterable<TimerEvent>): ColumnName[] {
  const needed = new Set<Column>();
  for (const event of events) for (const column of columns) if (isNeeded(column, event)) needed.add(column);
  return columns.filter((column) => needed.has(column)).map(({ name }) => name);
}

/** All columns that an event can fill: for traces whose events are not known beforehand. */
export const eventColumns: readonly ColumnName[] = columns
  .map(({ name }) => name)
  .filter((name) => name !== 'comm' && name !== 'note');

/** Header row of a CSV trace with these columns, without the line end. */
export function nativeHeader(names: readonly ColumnName[] = eventColumns): string {
  return names.join(',');
}

/**
 * One event as a row of a CSV trace, without the line end.
 *
 * Every field that its kind has a column for is written; `serial`, `position` and the run's own `vcpu` index are
 * not part of the notation.
 *
 * @param names the trace's columns; at least `neededColumns` of its events, or the row reads as another event
 */
export function nativeRow(event: TimerEvent, names: readonly ColumnName[] = eventColumns): string {
  let row = '';
  for (let i = 0; i < names.length; i++) {
    const column = columns[index[names[i]!]]!;
    if (i > 0) row += ',';
    // That an event was recorded goes without saying.
    if (allowed[event.kind]![index[column.name]] === 1 && (column.name !== 'certainty' || event.certainty !== 0))
      row += spell(column, event) ?? (isNeeded(column, event) ? '?' : '');
  }
  // Empty cells at the end of a row may be left out.
  return row.replace(/,+$/, '');
}

/** Events as a CSV trace with only the columns that they need. */
export function formatNativeCsv(events: readonly TimerEvent[]): string {
  const names = neededColumns(events);
  const rows = [nativeHeader(names.length > 0 ? names : ['time', 'cpu', 'event'])];
  for (const event of events) rows.push(nativeRow(event, names));
  return `${rows.join('\n')}\n`;
}

/** One event as the object of a JSONL row, with only the keys that it needs. */
export function nativeObject(event: TimerEvent): Record<string, string | number | null> {
  const row: Record<string, string | number | null> = {};
  for (const column of columns) if (isNeeded(column, event)) row[column.name] = spell(column, event) ?? null;
  return row;
}
