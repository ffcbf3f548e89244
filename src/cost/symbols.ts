import { canFire, Timer, type TimerEvent } from '../events/event.js';
import { Kind, type KindName, kindNames } from '../events/kinds.js';
import { contextCount } from '../machine/state.js';

// A symbol is what a record of an effect shows, as a small integer: its kind, its timer, and the level or whether the
// registers let the timer fire. What a function did is told by the symbols of the records that it left.

/** By kind, how many values are told apart for each timer; those not named leave no symbol. */
const values: Readonly<Partial<Record<KindName, readonly [values: number, ofTimer: boolean]>>> = {
  update_irq: [2, true],
  emulate: [2, true],
  // Whether the registers that were saved let the timer fire: no, yes, not shown.
  save: [3, true],
  restore: [1, true],
  // Whose interrupt it is, is not known before it has a name.
  set_active: [2, false],
  mask_irq: [2, false],
  set_affinity: [2, false],
  set_cntvoff: [1, false],
  set_cntpoff: [1, false],
  set_traps: [1, false],
  bg_arm: [1, false],
  bg_cancel: [1, false],
  soft_arm: [1, false],
  soft_cancel: [1, false],
};

/** First symbol of each kind, -1 for kinds that are no effect. */
const base = new Int32Array(kindNames.length).fill(-1);
/** Kind of each symbol. */
export const kindOfSymbol: readonly Kind[] = kindNames.flatMap((name, kind) => {
  const [count, ofTimer] = values[name] ?? [0, false];
  return new Array<Kind>(count * (ofTimer ? contextCount : 1)).fill(kind);
});
kindOfSymbol.forEach((kind, symbol) => {
  if (base[kind] === -1) base[kind] = symbol;
});

/** Number of symbols. */
export const symbolCount = kindOfSymbol.length;

/** Whether records of a kind show an effect. */
export function isEffect(kind: Kind): boolean {
  return base[kind] !== -1;
}

/** The symbol of an effect. @param value level, or 0 to 2 of a save */
export function symbolOf(kind: Kind, timer: number, value: number): number {
  const first = base[kind] as number;
  switch (kind) {
    case Kind.update_irq:
    case Kind.emulate:
      return first + timer * 2 + value;
    case Kind.save:
      return first + timer * 3 + value;
    case Kind.restore:
      return first + timer;
    case Kind.set_active:
    case Kind.mask_irq:
    case Kind.set_affinity:
      return first + value;
    default:
      return first;
  }
}

/** Most values of a timer's symbols, rounded up for shifting. */
const valueBits = 2;
const timerBits = 2;

/** By kind, timer and value: the symbol, -1 for kinds that are no effect. */
const symbols = new Int8Array(kindNames.length << (timerBits + valueBits)).fill(-1);
for (let kind = 0; kind < kindNames.length; kind++)
  for (let timer = 0; timer < contextCount; timer++)
    for (let value = 0; value < 1 << valueBits; value++)
      if (isEffect(kind)) symbols[place(kind, timer, value)] = symbolOf(kind, timer, value);

function place(kind: Kind, timer: number, value: number): number {
  return (((kind << timerBits) | timer) << valueBits) | value;
}

/** The symbol of a record, -1 when it shows no effect. A timer that is not known is taken for the virtual one. */
export function symbolOfEvent(event: TimerEvent): number {
  const { kind } = event;
  const timer = event.timer >= 0 ? event.timer : Timer.vtimer;
  return symbols[place(kind, timer, kind === Kind.save ? saved(event) : event.level === 1 ? 1 : 0)]!;
}

/** Whether the registers that were saved let the timer fire: 0 no, 1 yes, 2 not shown. */
function saved(event: TimerEvent): number {
  return !event.hasCval || event.ctl < 0 ? 2 : canFire(event.ctl) ? 1 : 0;
}

/** Of a save: whether what it saved lets the timer fire; undefined when it does not say. */
export function savedCanFire(symbol: number): { readonly timer: number; readonly canFire: boolean } | undefined {
  if (kindOfSymbol[symbol] !== Kind.save) return undefined;
  const at = symbol - (base[Kind.save] as number);
  return at % 3 === 2 ? undefined : { timer: Math.floor(at / 3), canFire: at % 3 === 1 };
}

/** What two symbols have in common that a design can foresee: of a save its timer. */
export function foreseen(symbol: number): number {
  if (kindOfSymbol[symbol] !== Kind.save) return symbol;
  const first = base[Kind.save] as number;
  return first + Math.floor((symbol - first) / 3) * 3 + 2;
}
