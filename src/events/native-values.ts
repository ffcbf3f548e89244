import { Ctl } from './event.js';
import { formatU64, parseU64 } from './u64.js';

/** A cell that holds something: CSV gives text, JSON also numbers and booleans. */
export type Scalar = string | number | boolean;

/**
 * How the values of a column are written. `read` decides what is valid; the other members describe the same
 * set as closely as a JSON Schema can.
 */
export interface ValueType {
  /** Completes "expected …" in an error. */
  readonly expected: string;
  /**
   * The value as a number, or NaN when the cell does not spell one. A 64-bit value is left in `halves`, and
   * the result is then 0.
   */
  read(cell: Scalar): number;
  /** Form of the text, anchored at both ends; absent where the words are all there is, or where any text will do. */
  readonly pattern?: RegExp;
  /** Words with a meaning of their own; a pattern does not have to cover them. */
  readonly words?: readonly string[];
  /** Where a JSON number may be written: its range. */
  readonly range?: { readonly min: number; readonly max: number; readonly integer: boolean };
  /** Whether a JSON boolean may be written. */
  readonly boolean?: true;
}

/** Where `read` leaves a 64-bit value: one object, because a row's values are taken one after the other. */
export const halves = { hi: 0, lo: 0 };

const literal = /^(-?[0-9]{1,16}|0[xX][0-9a-fA-F]{1,13})$/;

/** An integer in min..max, decimal or hexadecimal, or one of the words. */
export function integer(
  min: number,
  max: number,
  expected: string,
  words: Readonly<Record<string, number>> = {},
): ValueType {
  const byWord = new Map(Object.entries(words));
  return {
    expected,
    pattern: literal,
    words: [...byWord.keys()],
    range: { min, max, integer: true },
    read(cell) {
      if (typeof cell === 'boolean') return Number.NaN;
      const value =
        typeof cell === 'number' ? cell : (byWord.get(cell) ?? (literal.test(cell) ? Number(cell) : Number.NaN));
      // Adding 0 turns the -0 of JSON and of "-0" into 0.
      return Number.isInteger(value) && value >= min && value <= max ? value + 0 : Number.NaN;
    },
  };
}

/** One of the words; each stands for the number at its name. */
export function word(words: Readonly<Record<string, number>>, expected: string): ValueType {
  const byWord = new Map(Object.entries(words));
  return {
    expected,
    words: [...byWord.keys()],
    read: (cell) => (typeof cell === 'string' ? (byWord.get(cell) ?? Number.NaN) : Number.NaN),
  };
}

const flagWords = new Map<Scalar, number>([
  ['0', 0],
  ['1', 1],
  ['false', 0],
  ['true', 1],
  [false, 0],
  [true, 1],
  [0, 0],
  [1, 1],
]);

/** A level or another yes/no value. */
export const flag: ValueType = {
  expected: '0 or 1',
  words: ['0', '1', 'false', 'true'],
  range: { min: 0, max: 1, integer: true },
  boolean: true,
  read: (cell) => flagWords.get(cell) ?? Number.NaN,
};

const safeRange = { min: 0, max: Number.MAX_SAFE_INTEGER, integer: true };

const bits = { enable: Ctl.enable, imask: Ctl.imask, istatus: Ctl.istatus } as const;
const bitNames = Object.keys(bits).join('|');

/** CNTx_CTL: a number, or the names of the bits that are set. */
export const ctl: ValueType = {
  expected: 'a number 0..2^53-1 or bit names such as enable|imask',
  pattern: new RegExp(`^([0-9]{1,16}|0[xX][0-9a-fA-F]{1,14}|(${bitNames})( *\\| *(${bitNames}))*)$`),
  range: safeRange,
  read(cell) {
    if (typeof cell === 'boolean') return Number.NaN;
    let value = Number(cell);
    if (typeof cell === 'string') {
      if (!this.pattern?.test(cell)) return Number.NaN;
      if (Number.isNaN(value)) {
        value = 0;
        for (const name of cell.split('|')) value |= bits[name.trim() as keyof typeof bits];
      }
    }
    return Number.isSafeInteger(value) && value >= 0 ? value + 0 : Number.NaN;
  },
};

function keep(value: { hi: number; lo: number } | undefined): number {
  if (value === undefined) return Number.NaN;
  halves.hi = value.hi;
  halves.lo = value.lo;
  return 0;
}

function keepNumber(value: number): number {
  // Above 2^53 a JSON number has already lost bits: only text is exact there.
  if (!Number.isSafeInteger(value) || value < 0) return Number.NaN;
  halves.hi = Math.floor(value / 0x100000000);
  halves.lo = value % 0x100000000;
  return 0;
}

/** A 64-bit value: decimal, hexadecimal, or `~0`. */
export const u64: ValueType = {
  expected: 'a number 0..2^64-1, decimal or 0x hexadecimal, or ~0 (in JSON as text above 2^53-1)',
  pattern: /^(~0|0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20})$/,
  range: safeRange,
  read(cell) {
    if (typeof cell === 'number') return keepNumber(cell);
    if (typeof cell === 'boolean') return Number.NaN;
    return keep(cell === '~0' ? { hi: -1, lo: -1 } : parseU64(cell));
  },
};

/** A kernel pointer: the 16 digits that `%p` prints, or a number. */
export const pointer: ValueType = {
  expected: 'a pointer: 16 hexadecimal digits, or 0x and hexadecimal digits',
  pattern: /^([0-9a-fA-F]{16}|0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20})$/,
  range: safeRange,
  read(cell) {
    if (typeof cell === 'number') return keepNumber(cell);
    if (typeof cell === 'boolean') return Number.NaN;
    return keep(parseU64(/^[0-9a-fA-F]{16}$/.test(cell) ? `0x${cell}` : cell));
  },
};

/** Decimal digits by which a unit is longer than a nanosecond. */
const unitDigits = { ns: 0, us: 3, ms: 6, s: 9 } as const;

const duration = /^([0-9]{1,16})(?:\.([0-9]{1,9}))?(ns|us|ms|s)?$/;
/** The same for a time of a clock, which may lie far away, and before zero where a recorder moved the clock. */
const clockTime = /^(-?[0-9]{1,32})(?:\.([0-9]{1,9}))?(ns|us|ms|s)?$/;

/** A time in whole nanoseconds, below 2^53; a number without a suffix is in the given unit. */
export function time(unit: 's' | 'ns', expected: string): ValueType {
  return {
    expected,
    // With an origin it is a time of the trace's clock, see `timeSince`.
    pattern: unit === 's' ? clockTime : duration,
    range: { min: 0, max: Number.MAX_SAFE_INTEGER / 10 ** unitDigits[unit], integer: unit === 'ns' },
    read: (cell) => {
      const value = instant(cell, unit, duration);
      // Two exact parts: 0.1 + 0.2 has no place in a timestamp.
      const nanoseconds = value === undefined ? Number.NaN : Number(value.whole) * value.scale + value.fraction;
      return Number.isSafeInteger(nanoseconds) ? nanoseconds : Number.NaN;
    },
  };
}

/** The parts of a time: `whole` units of `scale` nanoseconds, and nanoseconds beyond them. */
function instant(cell: Scalar, unit: keyof typeof unitDigits, form: RegExp) {
  if (typeof cell === 'boolean') return undefined;
  const match = form.exec(typeof cell === 'number' ? decimal(cell) : cell);
  if (match === null) return undefined;
  const digits = unitDigits[(match[3] as keyof typeof unitDigits | undefined) ?? unit];
  const fraction = match[2] ?? '';
  if (/[1-9]/.test(fraction.slice(digits))) return undefined;
  return {
    whole: match[1] as string,
    scale: 10 ** digits,
    fraction: Number(fraction.slice(0, digits).padEnd(digits, '0') || '0'),
  };
}

/**
 * Nanoseconds from an origin to a time in seconds, as the `time` column spells it: exact however far both are from
 * zero, and negative before the origin. Beyond 2^53 it is the nearest number that there is, which is what was written.
 *
 * @param origin nanoseconds
 * @returns NaN when the cell spells no time
 */
export function timeSince(origin: bigint, cell: Scalar): number {
  const value = instant(cell, 's', clockTime);
  if (value === undefined) return Number.NaN;
  const fraction = BigInt(value.fraction);
  const whole = BigInt(value.whole) * BigInt(value.scale);
  return Number(whole + (value.whole.startsWith('-') ? -fraction : fraction) - origin);
}

/** The shortest decimal text of a JSON number, without an exponent where it is a number of nanoseconds. */
function decimal(value: number): string {
  const text = String(value);
  if (!text.includes('e-')) return text;
  const fixed = value.toFixed(9);
  // What is lost below a nanosecond must not pass for a whole one.
  return Number(fixed) === value ? fixed : text;
}

/** An exact number of nanoseconds as seconds with nine decimals. */
export function formatOrigin(nanoseconds: bigint): string {
  // Of a negative number both the quotient and the rest would have the sign.
  const magnitude = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const fraction = String(magnitude % 1_000_000_000n).padStart(9, '0');
  return `${nanoseconds < 0n ? '-' : ''}${magnitude / 1_000_000_000n}.${fraction}`;
}

/** Nanoseconds in the kernel's spelling: seconds with six decimals, or nine where the last three are not zero. */
export function formatSeconds(nanoseconds: number): string {
  const seconds = Math.floor(nanoseconds / 1e9);
  const fraction = String(nanoseconds % 1e9).padStart(9, '0');
  return `${seconds}.${fraction.endsWith('000') ? fraction.slice(0, 6) : fraction}`;
}

/** A kernel pointer as `%p` prints it. */
export function formatPointer(hi: number, lo: number): string {
  return formatU64(hi, lo).slice(2).padStart(16, '0');
}

/** prev_state of sched_switch: 1 for a thread that sleeps, 0 for one that stays runnable. */
export const threadState: ValueType = {
  expected: 'the letters of prev_state, such as R, R+, S or D',
  pattern: /^[RSDTtXxZPIKWN](\|[RSDTtXxZPIKWN])*\+?$/,
  read(cell) {
    if (typeof cell !== 'string' || !this.pattern?.test(cell)) return Number.NaN;
    // "+" marks a preempted thread: it stays runnable whatever its state says.
    return cell.startsWith('R') || cell.endsWith('+') ? 0 : 1;
  },
};

/** Text for the human reader, which no event keeps. */
export const remark: ValueType = {
  expected: 'text',
  read: (cell) => (typeof cell === 'string' ? 0 : Number.NaN),
};
