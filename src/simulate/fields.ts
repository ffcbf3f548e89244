import { defaultPpi, type Register, Timer, type TimerEvent } from '../events/event.js';
import type { KindName } from '../events/kinds.js';
import { hardTimer, type SimTimer } from './state.js';

const ppis: Readonly<Record<SimTimer, number>> = {
  [Timer.vtimer]: defaultPpi.vtimer,
  [Timer.ptimer]: defaultPpi.ptimer,
  [Timer.hvtimer]: defaultPpi.hvtimer,
  [Timer.hptimer]: defaultPpi.hptimer,
};

/** Records that show the host's interrupt; others show the guest's. */
const hostLines: ReadonlySet<KindName> = new Set([
  'vtimer_irq',
  'vtimer_irq_end',
  'set_active',
  'mask_irq',
  'set_affinity',
]);

/** The type bits of a GICv5 guest's interrupt numbers, see `isGicv5Ppi`. */
const gicv5Ppi = 1 << 29;

const halfRange = 0x100000000;

/** What a record says beside its time and place: levels and flags, counts as numbers, times in nanoseconds. */
export interface Fields {
  readonly timer?: Timer;
  readonly level?: boolean;
  readonly ctl?: number;
  readonly loaded?: boolean;
  readonly activeCleared?: boolean;
  readonly armed?: boolean;
  readonly cval?: number;
  readonly value?: number;
  readonly register?: Register;
  readonly write?: boolean;
  readonly pointer?: number;
  readonly expires?: number;
  readonly otherPid?: number;
  readonly sleeping?: boolean;
  readonly exitCode?: number;
  readonly exceptionClass?: number;
}

/** Writes the fields of a record of `kind` into an event that has none of them yet. */
export function writeFields(event: TimerEvent, kind: KindName, fields: Fields, isGicv5: boolean): void {
  if (fields.timer !== undefined) event.timer = fields.timer;
  if (fields.timer !== undefined && fields.timer >= 0) {
    const timer = fields.timer as SimTimer;
    event.irq = ppis[hostLines.has(kind) ? hardTimer(timer) : timer];
    if (kind === 'update_irq' && isGicv5) event.irq |= gicv5Ppi;
  }
  if (fields.level !== undefined) event.level = fields.level ? 1 : 0;
  if (fields.ctl !== undefined) event.ctl = fields.ctl;
  if (fields.loaded !== undefined) event.loaded = fields.loaded ? 1 : 0;
  if (fields.activeCleared !== undefined) event.activeCleared = fields.activeCleared ? 1 : 0;
  if (fields.armed !== undefined) event.armed = fields.armed ? 1 : 0;
  if (fields.cval !== undefined) {
    event.hasCval = true;
    event.cvalHi = Math.floor(fields.cval / halfRange) | 0;
    event.cvalLo = fields.cval | 0;
  }
  if (fields.value !== undefined) {
    event.hasValue = true;
    event.valueHi = Math.floor(fields.value / halfRange) | 0;
    event.valueLo = fields.value | 0;
  }
  if (fields.register !== undefined) event.register = fields.register;
  if (fields.write !== undefined) event.write = fields.write ? 1 : 0;
  if (fields.pointer !== undefined) {
    event.hasTimerPointer = true;
    event.timerPointerLo = fields.pointer;
  }
  if (fields.expires !== undefined) event.expires = Math.round(fields.expires);
  if (fields.otherPid !== undefined) event.otherPid = fields.otherPid;
  if (fields.sleeping !== undefined) event.sleeping = fields.sleeping ? 1 : 0;
  if (fields.exitCode !== undefined) event.exitCode = fields.exitCode;
  if (fields.exceptionClass !== undefined) event.exceptionClass = fields.exceptionClass;
}
