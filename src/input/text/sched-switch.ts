import type { EventSpec } from '../catalogue.js';
import { PrevState, PrevStates, prevState as stateOf } from '../prev-state.js';
import { maxFields, Record } from '../record.js';
import { type ArgumentReader, expectedMask, requiredMask } from './arguments.js';
import { ascii, Byte, ByteClass, byteClass, find, matches, skipBlanks, skipDigits, skipWord } from './bytes.js';
import { readNumber } from './numbers.js';
import { textOnly } from './plan.js';
import { Ending, Placement, type Scanner, type Step, ValueKind } from './scanner.js';
import type { TextRecord } from './text-record.js';

const prevComm = ascii('prev_comm=');
const prevPid = ascii('prev_pid=');
const prevPrio = ascii(' prev_prio=');
const prevState = ascii(' prev_state=');
const nextPid = ascii(' next_pid=');
const nextPrio = ascii(' next_prio=');
const arrow = ascii(' ==> ');

/** Where the plan leaves a number that nobody asks for. */
const unusedField = maxFields - 1;

/** A thread's name has at most 15 bytes (TASK_COMM_LEN). */
const longestComm = 15;

/** The state of a switched thread from its letters: `R`, `R+`, `S`, `D|K`. */
function letterState(bytes: Uint8Array, from: number, end: number): PrevState {
  const next = from + 1 < end ? bytes[from + 1]! : Byte.blank;
  if (bytes[from] === letterR) return next === plus ? PrevState.preempted : PrevState.runnable;
  const isAlone = (byteClass[next]! & ByteClass.word) === 0 && next !== bar;
  return bytes[from] === letterS && isAlone ? PrevState.interruptible : PrevState.deeper;
}

const [letterR, letterS, plus, bar] = [0x52, 0x53, 0x2b, 0x7c];

/**
 * sched_switch in its spellings:
 *
 * - kernel, perf, `trace-cmd report -N`: `prev_comm=X prev_pid=1 prev_prio=120 prev_state=R+ ==> next_comm=Y …`
 * - raw and the tracefs option `fields`: the same without the arrow, the state as a number
 * - trace-cmd's plugin: `X:1 [120] R ==> Y:2 [120]`
 *
 * A thread chooses its name freely, blanks, `=` and `==>` included, so the fields are recognised together
 * with what follows them: that is longer than any name.
 */
export class SchedSwitchReader implements ArgumentReader {
  readonly required: number;
  readonly expected: number;
  private readonly scanner: Scanner;
  /** That of the first of the spellings. */
  readonly plan: number;
  /** Whose the texts of its states are. */
  private readonly owner: number;
  private readonly allFields: number;
  private readonly prevPidField: number;
  private readonly nextPidField: number;
  private readonly stateField: number;
  /** The number just read; a record like every other target, so that the number reader sees one kind of object. */
  private readonly number = new Record();
  private readonly states = new PrevStates();

  /** @param scanner in whose memory the lines lie */
  constructor(spec: EventSpec, scanner: Scanner) {
    this.scanner = scanner;
    this.required = requiredMask(spec);
    this.expected = expectedMask(spec);
    const index = (name: string) => spec.fields.findIndex((field) => field.name === name);
    this.prevPidField = index('prev_pid');
    this.nextPidField = index('next_pid');
    this.stateField = index('prev_state');
    this.owner = scanner.newOwner();
    this.plan = this.makePlan();
    this.allFields = (1 << this.prevPidField) | (1 << this.nextPidField) | (1 << this.stateField);
  }

  read(bytes: Uint8Array, from: number, end: number, record: TextRecord): void {
    if (this.plan >= 0 && this.scanner.plan(this.plan, from, end) >= 0) {
      this.planned(record);
      return;
    }
    record.present = 0;
    if (!this.readLabelled(bytes, from, end, record)) this.readPlugin(bytes, from, end, record);
  }

  planned(record: TextRecord): void {
    const state = this.stateField;
    record.setLow(state, this.states.sleeping(record.low(this.prevPidField), record.low(state)));
    record.present = this.allFields;
  }

  /** What `readLabelled` does where the first `prev_pid=` and `next_pid=` are the fields, and the state is known. */
  private makePlan(): number {
    if (Math.min(this.prevPidField, this.nextPidField, this.stateField) < 0) return -1;
    const number = (literal: Uint8Array, placement: Placement, field: number): Step => ({
      ...textOnly(literal),
      ...{ placement, kind: ValueKind.number, field },
    });
    const state = { kind: ValueKind.symbol, field: this.stateField, owner: this.owner, ends: ByteClass.blank };
    const steps = [
      textOnly(prevComm),
      number(prevPid, Placement.elsewhere, this.prevPidField),
      number(prevPrio, Placement.here, unusedField),
      { ...textOnly(prevState), ...state },
      number(nextPid, Placement.elsewhere, this.nextPidField),
      textOnly(nextPrio),
    ];
    const plan = this.scanner.newPlan();
    return plan >= 0 && this.scanner.setPlan(plan, steps, Ending.anything) ? plan : -1;
  }

  private readLabelled(bytes: Uint8Array, from: number, end: number, record: Record): boolean {
    // Nothing before the name's own end can be the pid's label.
    let at = matches(bytes, from, end, prevComm) ? from + prevComm.length : from;
    for (;;) {
      at = find(bytes, at, end, prevPid);
      if (at < 0) return false;
      const after = this.pidBefore(bytes, at + prevPid.length, end, prevPrio);
      if (after >= 0) {
        this.store(this.prevPidField, record);
        at = after;
        break;
      }
      at++;
    }
    at = this.afterNumber(bytes, at, end);
    if (at >= 0 && matches(bytes, at, end, prevState)) this.state(bytes, at + prevState.length, end, record);
    for (at = find(bytes, Math.max(at, from), end, nextPid); at >= 0; at = find(bytes, at + 1, end, nextPid)) {
      if (this.pidBefore(bytes, at + nextPid.length, end, nextPrio) < 0) continue;
      this.store(this.nextPidField, record);
      break;
    }
    return true;
  }

  /** A number (`12`, `0xc (12)`) that is followed by `text`. @returns the position after that text, or -1. */
  private pidBefore(bytes: Uint8Array, from: number, end: number, text: Uint8Array): number {
    const after = this.afterNumber(bytes, from, end);
    return after >= 0 && matches(bytes, after, end, text) ? after + text.length : -1;
  }

  private afterNumber(bytes: Uint8Array, from: number, end: number): number {
    let after = readNumber(bytes, from, end, this.number, 0);
    // `0x1f (31)` of the option `fields`.
    if (after >= 0 && after + 1 < end && bytes[after] === Byte.blank && bytes[after + 1] === Byte.openRound) {
      const close = skipDigits(bytes, bytes[after + 2] === Byte.minus ? after + 3 : after + 2, end);
      if (close < end && bytes[close] === Byte.closeRound) after = close + 1;
    }
    return after;
  }

  private readPlugin(bytes: Uint8Array, from: number, end: number, record: Record): void {
    // The thread that is switched away wrote the record, so its pid settles which of several readings is meant.
    let chosen = -1;
    const last = Math.min(end, from + longestComm + 1);
    for (let mark = from; mark < last; mark++) {
      if (bytes[mark] !== Byte.colon || this.afterPlugin(bytes, mark, end) < 0) continue;
      chosen = mark;
      if (this.number.lo[0] === record.pid) break;
    }
    if (chosen < 0) return;
    const state = this.afterPlugin(bytes, chosen, end);
    this.store(this.prevPidField, record);
    this.state(bytes, state, end, record);
    for (let mark = end - 1; mark > state; mark--) {
      if (bytes[mark] !== Byte.colon || this.afterPid(bytes, mark, end) < 0) continue;
      this.store(this.nextPidField, record);
      return;
    }
  }

  /** `:12 [120] S ==> ` at a mark. @returns the position of the state, or -1. */
  private afterPlugin(bytes: Uint8Array, mark: number, end: number): number {
    const state = this.afterPid(bytes, mark, end);
    if (state < 0) return -1;
    let at = state;
    while (at < end && bytes[at] !== Byte.blank) at++;
    return at > state && matches(bytes, at, end, arrow) ? state : -1;
  }

  /** `:12 [120]` at a mark; the number is kept. @returns the position after it and its blanks, or -1. */
  private afterPid(bytes: Uint8Array, mark: number, end: number): number {
    const digits = skipDigits(bytes, mark + 1, end);
    if (digits === mark + 1 || digits + 1 >= end) return -1;
    if (bytes[digits] !== Byte.blank || bytes[digits + 1] !== Byte.openSquare) return -1;
    const close = skipDigits(bytes, bytes[digits + 2] === Byte.minus ? digits + 3 : digits + 2, end);
    if (close >= end || bytes[close] !== Byte.closeSquare) return -1;
    if (readNumber(bytes, mark + 1, digits, this.number, 0) < 0) return -1;
    return skipBlanks(bytes, close + 1, end);
  }

  private store(field: number, record: Record): void {
    if (field < 0) return;
    record.hi[field] = this.number.hi[0]!;
    record.lo[field] = this.number.lo[0]!;
    record.present |= 1 << field;
  }

  /** prev_state as letters (`S`, `R+`, `D|K`) or as a number; left absent where it says nothing. */
  private state(bytes: Uint8Array, from: number, end: number, record: Record): void {
    if (this.stateField < 0 || from >= end) return;
    const first = bytes[from]!;
    let value: PrevState;
    if (first >= Byte.zero && first <= Byte.nine) {
      if (readNumber(bytes, from, end, this.number, 0) < 0) return;
      const bits = this.number.lo[0]!;
      value = stateOf(bits);
    } else if ((byteClass[first]! & ByteClass.word) !== 0 && first !== Byte.underscore) {
      value = letterState(bytes, from, end);
    } else {
      return;
    }
    this.keepState(bytes, from, end, value);
    record.hi[this.stateField] = 0;
    record.lo[this.stateField] = this.states.sleeping(record.lo[this.prevPidField]!, value);
    record.present |= 1 << this.stateField;
  }

  /** Remembers a state for the plan: of the line nothing but its word tells it. */
  private keepState(bytes: Uint8Array, from: number, end: number, value: PrevState): void {
    const length = skipWord(bytes, from, end) - from;
    if (length <= this.scanner.longestText) this.scanner.keep(this.owner, from, length, value);
  }
}
