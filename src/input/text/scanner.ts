import { byteClass } from './bytes.js';
import { scannerCode } from './scanner-code.js';

/** What `assembly/scanner.ts` exports. */
interface Exports extends Readonly<Record<Constant, { readonly value: number }>> {
  readonly memory: { readonly buffer: ArrayBuffer };
  lineEnd(from: number, to: number): number;
  recall(owner: number, from: number, length: number): number;
  keep(owner: number, from: number, length: number, value: number): number;
  setColumns(dash: number, length: number): void;
  name(from: number): number;
  plan(index: number, from: number, end: number): number;
  next(from: number, to: number, longestStep: number): number;
}

/** Addresses and sizes, see there. */
type Constant =
  | ('window' | 'values' | 'plans' | 'endings' | 'high' | 'low' | 'classes' | 'results' | 'heads' | 'times')
  | ('seconds' | 'treatments' | 'passed' | 'clock' | 'lastTimes' | 'counts')
  | ('places' | 'mostPlans' | 'mostSteps' | 'stepSize' | 'longestText' | 'masks' | 'mostNames' | 'mostCpus')
  | ('mostRecords' | 'mostFields' | 'headSize')
  | ('columnsOwner' | 'namesOwner' | 'mostOwners');

/** What is used of WebAssembly's interface, which the compiler's library knows for browsers only. */
interface WebAssemblyInterface {
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: object };
}

/** The module's code, made when the first text is read. */
let compiled: object | undefined;

/**
 * The memory in which a text is read, and the inner loops that work on it (`assembly/scanner.ts`, in WebAssembly: there a
 * word is compared in a few instructions, and here in twenty). One instance per input.
 *
 * All positions are those in `bytes`. Whatever a function does not know it refuses with -1, which says nothing of the line.
 */
export class Scanner {
  /** Where the lines lie. */
  readonly bytes: Buffer;
  /** By place: the value of a text that was kept. */
  readonly values: Int32Array;
  /** Number of places. */
  readonly places: number;
  /** By record: the fields that have been read, `mostFields` for each; see `TextRecord`. `plan` uses the first record. */
  readonly hi: Int32Array;
  readonly lo: Int32Array;
  /** By place of columns: the whole seconds in them. Their value is the CPU. */
  readonly seconds: Float64Array;
  /** By name: what becomes of its lines in `next`, see `Treatment`. Other names than these go to the complete readers. */
  readonly treatments: Int32Array;
  /** By name: lines that `next` has passed over. */
  readonly passed: Float64Array;
  /** State of the clock, see `Clock`. */
  readonly clock: Float64Array;
  /** By CPU: time of the last record, and number of records, see `CpuTimes`. */
  readonly lastTimes: Float64Array;
  readonly counts: Float64Array;
  /** What `next` and `name` found beside what they return, see `Result`. */
  readonly results: Int32Array;
  /** By record that `next` has read: see `Head`, and its time. */
  readonly heads: Int32Array;
  readonly times: Float64Array;
  /** Number of records for which there is room. */
  readonly mostRecords: number;
  readonly longestText: number;
  readonly columnsOwner: number;
  readonly namesOwner: number;

  /** Position of the first newline in [from, to), or -1. */
  readonly lineEnd: (from: number, to: number) => number;
  /** Place of the text of `length` bytes at `from`, or -1. The same bytes are another text with another owner. */
  readonly recall: (owner: number, from: number, length: number) => number;
  /** Keeps a text of 1 to `longestText` bytes and what it means. @returns its place, where another may have been. */
  readonly keep: (owner: number, from: number, length: number, value: number) => number;
  /**
   * Tells `next` where the columns of a line are: the column of the `-` before the pid, and the number of bytes from there
   * to the dot in the time, both included; 0 where they are not known.
   */
  readonly setColumns: (dash: number, length: number) => void;
  /** Place of the event name at `from`, colon included, or -1. */
  readonly name: (from: number) => number;
  /** Position after the last value that a plan has read in [from, end), or -1. */
  readonly plan: (index: number, from: number, end: number) => number;
  /**
   * Takes the lines of [from, to) that are like earlier ones, up to the first other one or as long as there is room;
   * `results` say where that is.
   *
   * @param longestStep longest time between two records of a CPU; a line after a longer one is for the complete readers
   * @returns number of records
   */
  readonly next: (from: number, to: number, longestStep: number) => number;

  private readonly memory: ArrayBuffer;
  /** By plan, see `Ending`. */
  private readonly endings: Int32Array;
  private readonly exports: Exports;
  private owners: number;
  private planned = 0;

  constructor() {
    const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyInterface }).WebAssembly;
    compiled ??= new Module(Buffer.from(scannerCode, 'base64'));
    const exports = new Instance(compiled).exports as Exports;
    this.exports = exports;
    this.memory = exports.memory.buffer;
    this.bytes = Buffer.from(this.memory, 0, exports.window.value);
    this.places = exports.places.value;
    this.values = new Int32Array(this.memory, exports.values.value, this.places);
    this.mostRecords = exports.mostRecords.value;
    const fields = this.mostRecords * exports.mostFields.value;
    this.hi = new Int32Array(this.memory, exports.high.value, fields);
    this.lo = new Int32Array(this.memory, exports.low.value, fields);
    this.endings = new Int32Array(this.memory, exports.endings.value, exports.mostPlans.value);
    this.seconds = new Float64Array(this.memory, exports.seconds.value, this.places);
    this.treatments = new Int32Array(this.memory, exports.treatments.value, exports.mostNames.value);
    this.passed = new Float64Array(this.memory, exports.passed.value, exports.mostNames.value);
    this.clock = new Float64Array(this.memory, exports.clock.value, 4);
    this.lastTimes = new Float64Array(this.memory, exports.lastTimes.value, exports.mostCpus.value);
    this.counts = new Float64Array(this.memory, exports.counts.value, exports.mostCpus.value);
    this.results = new Int32Array(this.memory, exports.results.value, 3);
    this.heads = new Int32Array(this.memory, exports.heads.value, (this.mostRecords * exports.headSize.value) / 4);
    this.times = new Float64Array(this.memory, exports.times.value, this.mostRecords);
    this.longestText = exports.longestText.value;
    this.columnsOwner = exports.columnsOwner.value;
    this.namesOwner = exports.namesOwner.value;
    this.owners = this.namesOwner;
    new Uint8Array(this.memory, exports.classes.value, byteClass.length).set(byteClass);
    new Uint8Array(this.memory, exports.masks.value, this.longestText).fill(0xff);
    // The exports of a module are a dictionary, whose look-up costs more than most calls.
    this.lineEnd = exports.lineEnd;
    this.recall = exports.recall;
    this.keep = exports.keep;
    this.setColumns = exports.setColumns;
    this.name = exports.name;
    this.plan = exports.plan;
    this.next = exports.next;
  }

  /** A number for the texts of a further owner. */
  newOwner(): number {
    if (this.owners + 1 === this.exports.mostOwners.value)
      throw new Error('more owners of texts than the scanner can tell');
    return ++this.owners;
  }

  /** A number for a further plan, or -1 when there is room for no more; until it is set it reads nothing. */
  newPlan(): number {
    return this.planned < this.exports.mostPlans.value ? this.planned++ : -1;
  }

  /** Sets what plan `index` reads. @returns whether that is possible: a plan too long is not, and reads nothing. */
  setPlan(index: number, steps: readonly Step[], ending: Ending): boolean {
    const { mostSteps, longestText, stepSize, plans } = this.exports;
    this.forgetPlan(index);
    const size = stepSize.value;
    const bytes = new Uint8Array(this.memory, plans.value + index * mostSteps.value * size, mostSteps.value * size);
    bytes.fill(0);
    // A step of zeros ends the plan.
    if (steps.length >= mostSteps.value) return false;
    if (steps.some(({ literal }) => literal.length > longestText.value)) return false;
    const numbers = new DataView(bytes.buffer, bytes.byteOffset);
    for (const [number, step] of steps.entries()) {
      bytes.set(step.literal, number * size);
      [step.literal.length, step.placement, step.kind, step.field, step.owner, step.ends, step.blanks ? 1 : 0].forEach(
        (value, index) => {
          numbers.setInt32(number * size + longestText.value + index * 4, value, true);
        },
      );
    }
    this.endings[index] = ending;
    return true;
  }

  /** The plan reads nothing until it is set again. */
  forgetPlan(index: number): void {
    this.endings[index] = Ending.unset;
  }
}

/** What becomes of the lines of a name; above 0 it is one more than the number of the plan that reads their arguments. */
export enum Treatment {
  /** The complete readers decide. */
  read = 0,
  /** They only count. */
  passOver = -1,
}

/** What `results` holds. */
export enum Result {
  /** of `name`: where the arguments begin */
  args = 0,
  /** of `next`: where the first line begins that was not taken */
  start = 1,
  /** number of lines taken */
  lines = 2,
}

/** What `heads` holds of a record. */
export enum Head {
  /** place of its columns */
  columns = 0,
  name = 1,
  /** where its line begins */
  start = 2,
  /** which of the lines taken it is, from 1 */
  line = 3,
  size = 4,
}

/** What may stand behind the last value of a plan. */
export enum Ending {
  /** The plan is not set. */
  unset = 0,
  anything = 1,
  lineEnd = 2,
}

/** Where the text of a step stands. */
export enum Placement {
  /** behind what came before */
  here = 1,
  /** anywhere behind it: the first place counts */
  elsewhere = 2,
}

/** How the value of a step is read. */
export enum ValueKind {
  none = 0,
  number = 1,
  pointer = 2,
  symbol = 3,
}

/** One step of a plan: a text that must stand in the line, and the value behind it. */
export interface Step {
  readonly literal: Uint8Array;
  readonly placement: Placement;
  /** Whether blanks may stand between the text and the value. */
  readonly blanks: boolean;
  readonly kind: ValueKind;
  readonly field: number;
  /** Of a symbol: whose text it is, and the classes of bytes that end it; none when it goes to the line's end. */
  readonly owner: number;
  readonly ends: number;
}
