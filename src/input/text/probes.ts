import { type Catalogue, notWanted } from '../catalogue.js';
import { ascii, Byte, find, hexValue, matches, skipBlanks } from './bytes.js';

/** What a probe's record shows of its place. */
export enum Probe {
  /** the function's name */
  function = 0,
  /** an address in the kernel (trace-cmd and perf print no symbol) */
  kernelAddress = 1,
  /** an address elsewhere: a uprobe */
  otherAddress = 2,
}

const returnArrow = ascii(' <- ');
const rawEntry = ascii('__probe_ip=');
const rawReturn = ascii('__probe_func=');

/**
 * A probe at most this far inside a function still sees the arguments: an fprobe sits behind `bti` and the
 * patchable no-ops (kernel/trace/fprobe.c; arm64 reserves up to four instructions).
 */
export const farthestEntry = 0x10;

/** Characters that begin or continue a symbol: C's, and `.` and `$` of compiler-made suffixes. */
function isSymbolByte(c: number): boolean {
  return (
    (c >= 0x61 && c <= 0x7a) ||
    (c >= 0x41 && c <= 0x5a) ||
    (c >= 0x30 && c <= 0x39) ||
    c === 0x5f ||
    c === 0x2e ||
    c === 0x24
  );
}

/**
 * The place of a probe at the beginning of its arguments:
 *
 * - `(kvm_timer_vcpu_load+0x0/0x210) vcpu=…` kernel, kprobe; fprobe with `+0x4`
 * - `(kvm_arch_vcpu_load+0x68/0x1dc <- kvm_timer_vcpu_load) …` kernel, kretprobe and fprobe exit
 * - `(ffffaf7f8a26df20) …`, `(ffff… <- ffff…) …` trace-cmd and perf
 * - `__probe_ip=…`, `__probe_func=… __probe_ret_ip=…` raw, and the tracefs option `fields`
 */
export class ProbeReader {
  /** See `Probe`. */
  kind: number = Probe.function;
  isReturn = false;
  /** Whether the probe sits where the function's arguments are still in their registers. */
  isAtEntry = true;
  /** The function's name or address. */
  start = 0;
  end = 0;
  /** Where the fetched arguments begin. */
  args = 0;
  private readonly aliases = new Map<string, number>();

  /** @returns whether a probe's place stands at `from`. */
  read(bytes: Uint8Array, from: number, end: number): boolean {
    if (bytes[from] === Byte.underscore) return this.raw(bytes, from, end);
    let close = from + 1;
    while (close < end && bytes[close] !== Byte.closeRound) close++;
    if (close >= end) return false;
    const arrow = find(bytes, from, close, returnArrow);
    this.isReturn = arrow >= 0;
    this.args = close + 1;
    return this.place(bytes, arrow >= 0 ? arrow + returnArrow.length : from + 1, close);
  }

  /**
   * Reads a symbol or an address at `from`: `kind`, `start`, `end`, `isAtEntry`.
   *
   * @returns `kind`
   */
  symbol(bytes: Uint8Array, from: number, end: number): number {
    this.start = from;
    let at = from;
    let isHex = true;
    while (at < end && isSymbolByte(bytes[at]!)) {
      if (hexValue[bytes[at]!] === 255 && !(at === from + 1 && bytes[at] === 0x78)) isHex = false;
      at++;
    }
    this.end = at;
    this.isAtEntry = true;
    const isPrefixed = bytes[from] === Byte.zero;
    // A symbol never begins with a digit and no function's name is twelve hexadecimal digits.
    if (at > from && isHex && (isPrefixed || at - from >= 12)) {
      const digits = at - from - (isPrefixed && bytes[from + 1] === 0x78 ? 2 : 0);
      const top = isPrefixed && bytes[from + 1] === 0x78 ? from + 2 : from;
      this.kind = digits === 16 && bytes[top] === 0x66 ? Probe.kernelAddress : Probe.otherAddress;
    } else {
      this.kind = Probe.function;
      if (at < end && bytes[at] === Byte.plus) this.isAtEntry = this.offset(bytes, at + 1, end) <= farthestEntry;
    }
    return this.kind;
  }

  /** The same as `aliasEvent`, each name looked up once. */
  alias(name: string, catalogue: Catalogue): number {
    let event = this.aliases.get(name);
    if (event === undefined) {
      event = aliasEvent(name, catalogue);
      this.aliases.set(name, event);
    }
    return event;
  }

  private raw(bytes: Uint8Array, from: number, end: number): boolean {
    this.isReturn = matches(bytes, from, end, rawReturn);
    if (!this.isReturn && !matches(bytes, from, end, rawEntry)) return false;
    const start = from + (this.isReturn ? rawReturn : rawEntry).length;
    let to = start;
    while (to < end && bytes[to] !== Byte.blank) to++;
    this.args = to;
    return this.place(bytes, start, to);
  }

  private place(bytes: Uint8Array, from: number, end: number): boolean {
    const start = skipBlanks(bytes, from, end);
    this.symbol(bytes, start, end);
    if (this.isReturn) this.isAtEntry = true;
    if (this.end === start) return false;
    // `(a=1)` of some other event is no place; `(func+0x0/0x10 [kvm])` is.
    const next = this.end < end ? bytes[this.end]! : Byte.blank;
    return next === Byte.plus || next === Byte.blank;
  }

  private offset(bytes: Uint8Array, from: number, end: number): number {
    let at = from + 2;
    let value = 0;
    while (at < end && hexValue[bytes[at]!] !== 255 && value <= farthestEntry)
      value = value * 16 + hexValue[bytes[at++]!]!;
    return value;
  }
}

/**
 * The event that a probe is by the name its user gave it, where the function is not shown: the catalogue's
 * alias, or the function that the name tells (`p_kvm_timer_vcpu_load_0`, `kvm_timer_vcpu_load__return`).
 */
export function aliasEvent(name: string, catalogue: Catalogue): number {
  const event = catalogue.probeAlias(name);
  return event === notWanted ? catalogue.functionEntry(functionInName(name)) : event;
}

function functionInName(name: string): string {
  const kernelDefault = /^[pr]_(.+)_\d+$/.exec(name);
  return kernelDefault?.[1] ?? name.replace(/__(entry|exit|return)$/, '');
}
