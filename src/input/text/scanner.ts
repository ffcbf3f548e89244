import { maxFields } from '../record.js';
import { ByteClass, byteClass } from './bytes.js';
import { scannerCode } from './scanner-code.js';

/** What `assembly/scanner.ts` exports. */
interface Exports extends Readonly<Record<Constant, { readonly value: number }>> {
  readonly memory: { readonly buffer: ArrayBuffer };
  lineEnd(from: number, to: number): number;
  recall(owner: number, from: number, length: number): number;
  keep(owner: number, from: number, length: number, value: number): number;
  prefix(from: number, length: number, end: number): number;
  name(from: number): number;
  plan(index: number, from: number, end: number): number;
}

/** Addresses and sizes, see there. */
type Constant =
  | ('window' | 'values' | 'plans' | 'high' | 'low' | 'symbolEnds' | 'results')
  | ('places' | 'longestKey' | 'mostPlans' | 'mostSteps' | 'stepSize' | 'longestLiteral')
  | ('columnsOwner' | 'namesOwner');

/** What is used of WebAssembly's interface, which the compiler's library knows for browsers only. */
const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyInterface }).WebAssembly;

interface WebAssemblyInterface {
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: object };
}

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
  /** Fields that `plan` has read, see `Record`. */
  readonly hi: Int32Array;
  readonly lo: Int32Array;
  /** What `prefix` and `name` found beside the place: nanoseconds, and where the next part of the line begins. */
  readonly results: Int32Array;
  readonly longestKey: number;
  readonly columnsOwner: number;
  readonly namesOwner: number;

  /** Position of the first newline in [from, to), or -1. */
  readonly lineEnd: (from: number, to: number) => number;
  /** Place of the text of `length` bytes at `from`, or -1. The same bytes are another text with another owner. */
  readonly recall: (owner: number, from: number, length: number) => number;
  /** Keeps a text of 1 to `longestKey` bytes that has no place. @returns its place, where another may have been. */
  readonly keep: (owner: number, from: number, length: number, value: number) => number;
  /** Place of the `length` bytes of columns at the `-` before a pid, which end with the dot in the time; or -1. */
  readonly prefix: (from: number, length: number, end: number) => number;
  /** Place of the event name at `from`, colon included, or -1. */
  readonly name: (from: number) => number;
  /** Position after the last value that a plan has read in [from, end), or -1. */
  readonly plan: (index: number, from: number, end: number) => number;

  private readonly memory: ArrayBuffer;
  private readonly exports: Exports;
  private owners: number;
  private planned = 0;

  constructor() {
    compiled ??= new Module(Buffer.from(scannerCode, 'base64'));
    const exports = new Instance(compiled).exports as Exports;
    this.exports = exports;
    this.memory = exports.memory.buffer;
    this.bytes = Buffer.from(this.memory, 0, exports.window.value);
    this.places = exports.places.value;
    this.values = new Int32Array(this.memory, exports.values.value, this.places);
    this.hi = new Int32Array(this.memory, exports.high.value, maxFields);
    this.lo = new Int32Array(this.memory, exports.low.value, maxFields);
    this.results = new Int32Array(this.memory, exports.results.value, 2);
    this.longestKey = exports.longestKey.value;
    this.columnsOwner = exports.columnsOwner.value;
    this.namesOwner = exports.namesOwner.value;
    this.owners = this.namesOwner;
    const ends = new Uint8Array(this.memory, exports.symbolEnds.value, byteClass.length);
    byteClass.forEach((marks, byte) => {
      ends[byte] = marks & ByteClass.symbolEnd;
    });
    // The exports of a module are a dictionary, whose look-up costs more than most calls.
    this.lineEnd = exports.lineEnd;
    this.recall = exports.recall;
    this.keep = exports.keep;
    this.prefix = exports.prefix;
    this.name = exports.name;
    this.plan = exports.plan;
  }

  /** A number for the texts of a further owner. */
  newOwner(): number {
    return ++this.owners;
  }

  /** A number for a further plan, or -1 when there is room for no more; until it is set it reads nothing. */
  newPlan(): number {
    return this.planned < this.exports.mostPlans.value ? this.planned++ : -1;
  }

  /** Sets what plan `index` reads. @returns whether that is possible: a plan too long is not. */
  setPlan(index: number, steps: readonly Step[]): boolean {
    const { mostSteps, longestLiteral, stepSize, plans } = this.exports;
    const view = new DataView(this.memory, plans.value + index * mostSteps.value * stepSize.value);
    // The steps end with one of length 0.
    view.setInt32(0, 0, true);
    if (steps.length >= mostSteps.value) return false;
    if (steps.some(({ literal }) => literal.length === 0 || literal.length > longestLiteral.value)) return false;
    for (const [number, { literal, field, kind, owner }] of steps.entries()) {
      const at = number * stepSize.value;
      view.setInt32(at, literal.length, true);
      view.setInt32(at + 4, field, true);
      view.setInt32(at + 8, kind, true);
      view.setInt32(at + 12, owner, true);
      literal.forEach((byte, i) => {
        view.setUint8(at + 16 + i, byte);
      });
    }
    view.setInt32(steps.length * stepSize.value, 0, true);
    return true;
  }
}

/** One step of a plan: a text that must stand there, and the value behind it. */
export interface Step {
  readonly literal: Uint8Array;
  readonly field: number;
  /** See `ValueKind`. */
  readonly kind: number;
  /** Of a symbol's texts. */
  readonly owner: number;
}
