/** Most steps that are kept of one path. */
const longest = 64;
/** Most different paths that are kept. */
const most = 8192;
/** Stands for a path that did not fit in. */
export const otherPath = -1;

/** The different paths of a recording, each kept once. */
export class Paths {
  /** The steps of each path, by its number. */
  readonly list: Uint16Array[] = [];
  readonly #byHash = new Map<number, number>();

  /**
   * The number of a path.
   * @param codes holds its steps, from its beginning on
   */
  number(codes: Uint16Array, length: number): number {
    let hash = length;
    for (let at = 0; at < length; at++) hash = (Math.imul(hash, 0x01000193) ^ codes[at]!) | 0;
    for (;;) {
      const known = this.#byHash.get(hash);
      if (known === undefined) break;
      if (this.#isSame(known, codes, length)) return known;
      hash = (hash + 1) | 0;
    }
    if (this.list.length >= most) return otherPath;
    this.#byHash.set(hash, this.list.length);
    return this.list.push(codes.slice(0, length)) - 1;
  }

  #isSame(path: number, codes: Uint16Array, length: number): boolean {
    const known = this.list[path]!;
    if (known.length !== length) return false;
    for (let at = 0; at < length; at++) if (known[at] !== codes[at]) return false;
    return true;
  }
}

/** A path that grows: of steps beyond the longest only the fact that there were more is kept. */
export class GrowingPath {
  readonly codes = new Uint16Array(longest);
  length = 0;
  /** Of the values that the steps carried. */
  values = 0;

  add(code: number): void {
    if (this.length < longest) this.codes[this.length++] = code;
  }

  /** The steps from one on, apart. */
  from(step: number): Uint16Array {
    return this.codes.subarray(step, this.length);
  }

  /** Takes the last step back if it is the one. */
  withdraw(code: number): void {
    if (this.length > 0 && this.codes[this.length - 1] === code) this.length--;
  }

  clear(): void {
    this.length = 0;
    this.values = 0;
  }
}

/** Immediate repetitions of up to this many steps count once. */
const longestLoop = 8;

/** A path without the kinds that do not count, and with its loops taken once. */
export function normalised(codes: ArrayLike<number>, counts: (code: number) => boolean): number[] {
  const path: number[] = [];
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at]!;
    if (!counts(code)) continue;
    path.push(code);
    for (let loop = 1; loop <= longestLoop && 2 * loop <= path.length; loop++) {
      const again = path.length - loop;
      let same = true;
      for (let i = again; i < path.length && same; i++) same = path[i] === path[i - loop];
      if (!same) continue;
      path.length = again;
      break;
    }
  }
  return path;
}
