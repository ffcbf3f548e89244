import { Kind, type KindName, kindNames } from '../../events/kinds.js';
import type { SideName } from '../facts.js';
import { kindOf, stepWords } from './code.js';
import type { SteppedSide } from './divergence.js';
import { normalised, otherPath } from './paths.js';
import { inGuest, isInterrupt, isLoad, segmentKind } from './segment.js';
import type { VcpuSteps } from './steps.js';

/** One vcpu's pieces as they can be compared: without what one of the recordings cannot show. */
export interface View {
  readonly steps: VcpuSteps;
  readonly length: number;
  /** See `segmentKind`. */
  readonly kind: Uint16Array;
  /** Number of the path, the same for the same path on both sides; `otherPath` where it is not known. */
  readonly path: Int32Array;
  readonly values: Int32Array;
  /** The first of the recorded pieces that it stands for. */
  readonly piece: Int32Array;
}

/** Both recordings' paths without what one of them cannot show: those that are the same have the same number. */
export class Comparable {
  /** Kinds that are in no path. */
  readonly leftOut: readonly KindName[];
  readonly #counts = new Uint8Array(kindNames.length);
  readonly #paths: (readonly number[])[] = [];
  readonly #byKey = new Map<string, number>();
  /** By recording, the number of each of its paths. */
  readonly #numbers: Readonly<Record<SideName, Int32Array>>;
  /** By the numbers of two paths, that of one after the other. */
  readonly #joined = new Map<number, number>();

  constructor(sides: Readonly<Record<SideName, SteppedSide>>) {
    const { old, new: next } = sides;
    const leftOut: KindName[] = [];
    for (const name of kindNames) {
      const kind = Kind[name];
      const a = old.steps.basis(kind);
      const b = next.steps.basis(kind);
      if (a === undefined && b === undefined) continue;
      const silent = a === undefined ? old : b === undefined ? next : undefined;
      // What is recorded on one side and only follows, or is only placed, on the other may stand elsewhere.
      if (silent === undefined ? a === b : silent.summary.recording.shown.includes(name)) this.#counts[kind] = 1;
      else leftOut.push(name);
    }
    this.leftOut = leftOut;
    const number = (codes: Uint16Array) => this.#number(codes);
    this.#numbers = {
      old: Int32Array.from(old.steps.paths.list, number),
      new: Int32Array.from(next.steps.paths.list, number),
    };
  }

  /** A recording's vcpu as it can be compared with the other's. */
  view(side: SideName, steps: VcpuSteps): View {
    const kind = new Uint16Array(steps.length);
    const path = new Int32Array(steps.length);
    const values = new Int32Array(steps.length);
    const piece = new Int32Array(steps.length);
    const loads = this.#counts[Kind.load] === 1;
    const numbers = this.#numbers[side];
    let length = 0;
    // The last piece that is no interrupt.
    let main = -1;
    for (let at = 0; at < steps.length; at++) {
      const is = steps.kind[at]!;
      const recorded = steps.path[at]!;
      const own = recorded === otherPath ? otherPath : numbers[recorded]!;
      // Whose interrupt it is that comes outside the guest is known by where the vcpus are loaded.
      if (isInterrupt(is) && !loads && !inGuest(is)) continue;
      // What was put by the scheduler, and how it went on, cannot be told apart without loads.
      if (is === segmentKind.preemption && (!loads || this.#counts[Kind.put] === 0)) continue;
      // A handler of which nothing is left.
      if (isInterrupt(is) && own !== otherPath && this.#paths[own]!.length === 0) continue;
      if (isLoad(is) && !loads) {
        if (main < 0) continue;
        path[main] = this.#join(path[main]!, own);
        values[main] = (Math.imul(values[main]!, 31) + steps.values[at]!) | 0;
        continue;
      }
      if (!isInterrupt(is)) main = length;
      kind[length] = is;
      path[length] = own;
      values[length] = steps.values[at]!;
      piece[length] = at;
      length++;
    }
    return { steps, length, kind, path, values, piece };
  }

  words(number: number): string[] {
    return (this.#paths[number] ?? []).map(stepWords);
  }

  #number(codes: ArrayLike<number>): number {
    const path = normalised(codes, (code) => this.#counts[kindOf(code)] === 1);
    const key = path.join();
    let found = this.#byKey.get(key);
    if (found === undefined) {
      found = this.#paths.push(path) - 1;
      this.#byKey.set(key, found);
    }
    return found;
  }

  /** One path after the other. */
  #join(first: number, second: number): number {
    if (first === otherPath || second === otherPath) return otherPath;
    const key = first * 0x100000 + second;
    let found = this.#joined.get(key);
    if (found === undefined) {
      found =
        this.#paths.length >= mostPaths ? otherPath : this.#number([...this.#paths[first]!, ...this.#paths[second]!]);
      this.#joined.set(key, found);
    }
    return found;
  }
}

/** More paths are not told apart. */
const mostPaths = 0x8000;
