/** Steps of either side that are compared with all of the other's at a time. */
const window = 256;
const row = window + 1;

/** Two sequences side by side. */
export interface Alignment {
  /** Numbers of the steps of the first and of the second that are the same step, in order. */
  readonly first: Int32Array;
  readonly second: Int32Array;
  readonly length: number;
  /** Steps of either side up to where one of them ended. */
  readonly reach: readonly [number, number];
}

/**
 * Aligns two sequences of guest steps so that as many as possible are the same (longest common subsequence), within a
 * window that moves along: a step may be up to some 200 steps later on one side than on the other.
 */
export function align(a: Uint16Array, b: Uint16Array): Alignment {
  const first = new Int32Array(Math.min(a.length, b.length));
  const second = new Int32Array(first.length);
  const best = new Uint16Array(row * row);
  let length = 0;
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const rows = Math.min(window, a.length - i);
    const columns = Math.min(window, b.length - j);
    const isLast = i + rows >= a.length || j + columns >= b.length;
    // What lies at the window's edge may be aligned better once more is seen.
    const stop = isLast ? window : window / 2;
    let x = 0;
    // Where both go on with the same step it is aligned, whatever comes later.
    for (; x < rows && x < columns && x < stop && a[i + x] === b[j + x]; x++) {
      first[length] = i + x;
      second[length++] = j + x;
    }
    let y = x;
    if (x < stop) fill(best, a, i, rows, b, j, columns);
    while (x < rows && y < columns && x < stop && y < stop) {
      if (a[i + x] === b[j + y]) {
        first[length] = i + x++;
        second[length++] = j + y++;
      } else if (best[(x + 1) * row + y]! >= best[x * row + y + 1]!) x++;
      else y++;
    }
    i += x;
    j += y;
  }
  return { first, second, length, reach: [i, j] };
}

/** Fills in the length of the longest common subsequence from each place of the window on. */
function fill(
  best: Uint16Array,
  a: Uint16Array,
  i: number,
  rows: number,
  b: Uint16Array,
  j: number,
  columns: number,
): void {
  for (let y = 0; y <= columns; y++) best[rows * row + y] = 0;
  for (let x = rows - 1; x >= 0; x--) {
    const at = x * row;
    const step = a[i + x];
    best[at + columns] = 0;
    for (let y = columns - 1; y >= 0; y--) {
      const below = best[at + row + y]!;
      const right = best[at + y + 1]!;
      best[at + y] = step === b[j + y] ? best[at + row + y + 1]! + 1 : below > right ? below : right;
    }
  }
}

/** Share of the steps that are the same on both sides, 0 to 1. */
export function share({ length, reach }: Alignment): number {
  const [i, j] = reach;
  return i + j === 0 ? 0 : (2 * length) / (i + j);
}
