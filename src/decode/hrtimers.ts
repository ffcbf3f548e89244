import type { TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { TimerName } from '../events/timer-names.js';
import type { Record } from '../input/record.js';
import { Callback } from './catalogue.js';
import type { Learned } from './learned.js';

/** Classes of hrtimers: the record does not tell, somebody else's, the two of the timer code. */
enum HrtimerClass {
  unnamed = -1,
  foreign,
  background,
  soft,
}

/** Fields of the hrtimer tracepoints, in the catalogue's order; a cancel and an exit have only the first. */
const [hrtimerField, functionField, timeField] = [0, 1, 2];

/** hrtimer_start. */
export function hrtimerStart(record: Record, event: TimerEvent, learned: Learned): boolean {
  return named(record, event, learned, Kind.bg_arm, Kind.soft_arm);
}

/** hrtimer_expire_entry. */
export function hrtimerExpireEntry(record: Record, event: TimerEvent, learned: Learned): boolean {
  if (named(record, event, learned, Kind.bg_expire, Kind.soft_expire)) {
    event.monotonic = learned.monotonic(event.time);
    return true;
  }
  if (record.low(functionField) === Callback.tick && record.has(functionField) && record.high(functionField) === 0)
    learned.ticked(record.time, record.number(timeField));
  return false;
}

/** hrtimer_cancel. */
export function hrtimerCancel(record: Record, event: TimerEvent, learned: Learned): boolean {
  return unnamed(record, event, learned, Kind.bg_cancel, Kind.soft_cancel);
}

/** hrtimer_expire_exit. */
export function hrtimerExpireExit(record: Record, event: TimerEvent, learned: Learned): boolean {
  return unnamed(record, event, learned, Kind.timer_callback_end, Kind.timer_callback_end);
}

/** The pointer of a `struct hrtimer` in the event, where the record has it. */
export function timerPointer(record: Record, field: number, event: TimerEvent): void {
  if (!record.has(field)) return;
  event.hasTimerPointer = true;
  event.timerPointerHi = record.high(field);
  event.timerPointerLo = record.low(field);
}

/** A record that names the callback: what it says is learnt for those that show the pointer only. */
function named(record: Record, event: TimerEvent, learned: Learned, background: number, soft: number): boolean {
  let kind = callbackClass(record, learned);
  timerPointer(record, hrtimerField, event);
  if (event.hasTimerPointer) {
    const { timerPointerHi: hi, timerPointerLo: lo } = event;
    if (kind === HrtimerClass.unnamed) kind = learned.hrtimers.get(hi, lo) ?? HrtimerClass.foreign;
    // Most timers are somebody else's: a pointer that was ours is forgotten when its memory is another timer.
    else if (kind === HrtimerClass.foreign) learned.hrtimers.delete(hi, lo);
    else learned.hrtimers.set(hi, lo, kind);
  }
  if (kind !== HrtimerClass.background && kind !== HrtimerClass.soft) return false;
  event.kind = kind === HrtimerClass.background ? background : soft;
  event.expires = record.number(timeField);
  return true;
}

function unnamed(record: Record, event: TimerEvent, learned: Learned, background: number, soft: number): boolean {
  timerPointer(record, hrtimerField, event);
  if (!event.hasTimerPointer) return false;
  const kind = learned.hrtimers.get(event.timerPointerHi, event.timerPointerLo);
  if (kind === undefined) return false;
  event.kind = kind === HrtimerClass.background ? background : soft;
  return true;
}

/** What the named callback is; a record may print its address instead (trace-cmd report -R), or not have it. */
function callbackClass(record: Record, learned: Learned): HrtimerClass {
  if (!record.has(functionField) || record.high(functionField) !== 0) return HrtimerClass.unnamed;
  learned.namesCallbacks = true;
  switch (record.low(functionField)) {
    case Callback.worldSwitch:
      learned.names |= TimerName.kvm_timer_expire;
      return HrtimerClass.background;
    case Callback.background:
      learned.names |= TimerName.kvm_bg_timer_expire;
      return HrtimerClass.background;
    case Callback.physical:
      learned.names |= TimerName.kvm_phys_timer_expire;
      return HrtimerClass.soft;
    case Callback.soft:
      return HrtimerClass.soft;
    default:
      return HrtimerClass.foreign;
  }
}
