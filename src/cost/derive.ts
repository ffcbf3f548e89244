import { Timer, timerNames } from '../events/event.js';
import { Kind, kindNames } from '../events/kinds.js';
import type { CostKind } from './kinds.js';
import type { Decision, Effect, Path } from './path.js';
import type { Episode, Known3, Surroundings } from './situation.js';
import { foreseen, kindOfSymbol, savedCanFire, symbolCount } from './symbols.js';
import { Walk } from './walk.js';

/**
 * How an effect is known: a record of its own shows it; it follows from the design and what is known; or something that
 * nothing tells had to be taken for what is usual.
 */
export type Mark = 'recorded' | 'derived' | 'assumed';

export interface MarkedEffect extends Effect {
  readonly mark: Mark;
}

/** What one run of a kernel function did. */
export interface Derivation {
  readonly episode: Episode;
  readonly effects: readonly MarkedEffect[];
  /** How many operations of each kind. */
  readonly costs: ReadonlyMap<CostKind, number>;
  /** Guards on which the costs depend and which nothing tells, `can_fire(ptimer)`. */
  readonly assumed: readonly string[];
  /** Records that the design foresees and the recording has not, and those that it has beyond: by kind, their number. */
  readonly missing: ReadonlyMap<string, number>;
  readonly surplus: ReadonlyMap<string, number>;
}

/**
 * Kinds of a timer that is cancelled whether it is armed or not: only a timer that was armed leaves a record, so that
 * there may be fewer than attempts.
 */
const attempts: readonly Kind[] = [Kind.bg_cancel, Kind.soft_cancel];

/** How many records of each symbol, in the terms of a design. */
function countSymbols(symbols: readonly number[], isRecorded: (kind: Kind) => boolean): Int32Array {
  const counts = new Int32Array(symbolCount);
  for (const symbol of symbols) if (symbol >= 0 && isRecorded(kindOfSymbol[symbol]!)) counts[foreseen(symbol)]!++;
  return counts;
}

/**
 * Derives what a function has done from the design, what is known when it began, and the records that it left. Of all
 * ways through the function that agree best with the records the one that is most usual is taken; what not all of them
 * have is assumed.
 *
 * @param symbols   of the records between its begin and its end
 * @param isRecorded whether the recording has the records of a kind, so that their absence tells as well
 * @param isComplete whether all records of the run were seen
 */
export function derive(
  surroundings: Surroundings,
  episode: Episode,
  known: Known3,
  symbols: readonly number[],
  isRecorded: (kind: Kind) => boolean,
  isComplete: boolean,
): Derivation {
  const saved = new Map<number, boolean>();
  for (const symbol of symbols) {
    const of = savedCanFire(symbol);
    if (of !== undefined) saved.set(of.timer, of.canFire);
  }
  const shown = countSymbols(symbols, isRecorded);
  const paths = new Walk(surroundings, known, saved).paths(episode).map((path) => {
    const expected = countSymbols(
      path.effects.map(({ symbol }) => symbol),
      isRecorded,
    );
    return { path, expected, distance: distance(expected, shown, isComplete), costs: costsOf(path) };
  });
  const nearest = Math.min(...paths.map(({ distance }) => distance));
  const fitting = paths.filter(({ distance }) => distance === nearest);
  const chosen = fitting.reduce((best, each) => (each.path.unusual < best.path.unusual ? each : best));
  const others = fitting.filter((each) => each !== chosen);
  const { missing, surplus } = isComplete ? differences(chosen.expected, shown) : none;
  return {
    episode,
    effects: chosen.path.effects.map((effect) => ({ ...effect, mark: markOf(effect, shown, others, chosen) })),
    costs: chosen.costs,
    assumed: assumedGuards(
      chosen.path,
      others.filter(({ costs }) => !sameCosts(costs, chosen.costs)).map(({ path }) => path),
    ),
    missing,
    surplus,
  };
}

interface Candidate {
  readonly path: Path;
  readonly expected: Int32Array;
  readonly costs: ReadonlyMap<CostKind, number>;
}

/** What a record that is there says against what should not be, in records that should be there and are not. */
const surplusWeight = 8;

/** How much the records differ from those that are expected: one may be missing for other reasons, none comes of itself. */
function distance(expected: Int32Array, shown: Int32Array, isComplete: boolean): number {
  let sum = 0;
  for (let symbol = 0; symbol < symbolCount; symbol++) {
    const more = expected[symbol]! - shown[symbol]!;
    if (more < 0) sum -= surplusWeight * more;
    else if (isComplete && !attempts.includes(kindOfSymbol[symbol]!)) sum += more;
  }
  return sum;
}

/** Where not all was seen nothing is missing. */
const none: Pick<Derivation, 'missing' | 'surplus'> = { missing: new Map(), surplus: new Map() };

function differences(expected: Int32Array, shown: Int32Array): Pick<Derivation, 'missing' | 'surplus'> {
  const missing = new Map<string, number>();
  const surplus = new Map<string, number>();
  for (let symbol = 0; symbol < symbolCount; symbol++) {
    const more = expected[symbol]! - shown[symbol]!;
    const kind = kindOfSymbol[symbol]!;
    if (more === 0 || (more > 0 && attempts.includes(kind))) continue;
    const side = more > 0 ? missing : surplus;
    const name = kindNames[kind]!;
    side.set(name, (side.get(name) ?? 0) + Math.abs(more));
  }
  return { missing, surplus };
}

function costsOf({ effects, reads }: Path): ReadonlyMap<CostKind, number> {
  const costs = new Map<CostKind, number>();
  const add = (kind: CostKind) => costs.set(kind, (costs.get(kind) ?? 0) + 1);
  for (const { cost, viaHyp } of effects) {
    if (cost !== undefined) add(cost);
    if (viaHyp) add('hypercall');
  }
  for (const read of reads) add(read);
  return costs;
}

function sameCosts(a: ReadonlyMap<CostKind, number>, b: ReadonlyMap<CostKind, number>): boolean {
  return a.size === b.size && [...a].every(([kind, count]) => b.get(kind) === count);
}

/** How often a path has an operation of a timer, with the same operand. */
function occurrences({ effects }: Path, { operation, timer, role, value }: Effect): number {
  return effects.filter(
    (each) => each.operation === operation && each.timer === timer && each.role === role && each.value === value,
  ).length;
}

function markOf(effect: Effect, shown: Int32Array, others: readonly Candidate[], chosen: Candidate): Mark {
  if (effect.symbol >= 0 && shown[foreseen(effect.symbol)]! > 0) return 'recorded';
  const count = occurrences(chosen.path, effect);
  return others.every(({ path }) => occurrences(path, effect) === count) ? 'derived' : 'assumed';
}

/** A guard with its timer, where that is not the virtual one. */
function guardText({ guard, timer }: Decision): string {
  return timer < 0 || timer === Timer.vtimer ? guard : `${guard}(${timerNames[timer]})`;
}

/** Of each path that would have cost something else, the guard at which it parts from the chosen one. */
function assumedGuards(chosen: Path, others: readonly Path[]): string[] {
  const guards = new Set<string>();
  for (const other of others) {
    const parts = chosen.decisions.find(({ value }, index) => other.decisions[index]?.value !== value);
    if (parts !== undefined) guards.add(guardText(parts));
  }
  return [...guards];
}
