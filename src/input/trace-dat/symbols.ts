import { InputError } from '../errors.js';

/** A place inside a function. */
export interface Place {
  /** Names of the function; several may share one address. */
  readonly names: readonly string[];
  /** Bytes from its beginning. */
  readonly offset: number;
}

const newline = 0x0a;
const blank = 0x20;
const tab = 0x09;

/** Types of /proc/kallsyms that are code: t, T, w, W. */
const codeTypes = new Set([0x74, 0x54, 0x77, 0x57]);

/** Longest symbol name (KSYM_NAME_LEN). */
const longestName = 512;

/** Most names of one function that are looked at; only system calls that a kernel lacks share an address with more. */
const mostNames = 64;

/** More functions than the largest kernels have with all their modules, some million. */
const mostFunctions = 1 << 21;

/** Bytes of an address as the kernel prints it. */
const addressLength = 16;

/**
 * Addresses that are looked for in the text. One takes a tenth of the time that a table takes, and most traces have
 * the addresses of a few functions, at their entries.
 */
const mostSearches = 6;

/**
 * The functions of the recorded kernel by address, from the file's copy of /proc/kallsyms.
 *
 * The text is kept as it is, and a name is made only of a symbol that is asked for. The first addresses are looked for
 * in the text; a table of all is made for more of them, or for one that no function begins at.
 */
export class Symbols {
  private readonly text: Buffer;
  private readonly found = new Map<number, Place>();
  private searches = 0;
  private table: Table | undefined;

  /** @param text lines of `ADDRESS TYPE NAME [MODULE]` */
  constructor(text: Uint8Array) {
    this.text = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  }

  /**
   * The function that holds an address; undefined when the first function begins after it.
   *
   * @throws InputError when there are more functions than in any kernel
   */
  at(hi: number, lo: number): Place | undefined {
    const address = addressKey(hi, lo);
    if (this.table === undefined) {
      const place = this.found.get(address) ?? this.search(hi, lo);
      if (place !== undefined) {
        this.found.set(address, place);
        return place;
      }
    }
    this.table ??= new Table(this.text);
    return this.table.at(address);
  }

  /** The function that begins at an address, found by the address's text. */
  private search(hi: number, lo: number): Place | undefined {
    // The kernel prints all digits of an address; with a lesser one it is not certain how many there are.
    if (hi < 0x10000000 || this.searches++ >= mostSearches) return undefined;
    const { text } = this;
    const digits = Buffer.from(`${hi.toString(16)}${lo.toString(16).padStart(8, '0')} `, 'latin1');
    const names: string[] = [];
    for (let at = text.indexOf(digits); at >= 0 && names.length < mostNames; ) {
      const type = at + addressLength + 1;
      const isLine = (at === 0 || text[at - 1] === newline) && (text[type + 1] === blank || text[type + 1] === tab);
      if (isLine && codeTypes.has(text[type]!)) names.push(nameAt(text, type + 2));
      at = text.indexOf(digits, at + addressLength);
    }
    return names.length === 0 ? undefined : { names: names.reverse(), offset: 0 };
  }
}

/** All functions in order of address, which are found by bisection. */
class Table {
  private readonly text: Buffer;
  /** Address and place in the text of each function. */
  private readonly addresses: Float64Array;
  private readonly places: Uint32Array;

  constructor(text: Buffer) {
    this.text = text;
    let { addresses, places, isSorted } = scan(text);
    if (!isSorted) {
      const order = new Uint32Array(addresses.length).map((_, index) => index);
      // Equal addresses keep the order of the file.
      order.sort((a, b) => addresses[a]! - addresses[b]! || a - b);
      addresses = Float64Array.from(order, (index) => addresses[index]!);
      places = Uint32Array.from(order, (index) => places[index]!);
    }
    this.addresses = addresses;
    this.places = places;
  }

  at(address: number): Place | undefined {
    let from = 0;
    let to = this.addresses.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (this.addresses[middle]! <= address) from = middle + 1;
      else to = middle;
    }
    if (from === 0) return undefined;
    const start = this.addresses[from - 1]!;
    const names: string[] = [];
    for (let index = from - 1; index >= Math.max(0, from - mostNames) && this.addresses[index] === start; index--)
      names.push(nameAt(this.text, this.places[index]!));
    return { names, offset: address - start };
  }
}

function nameAt(text: Buffer, start: number): string {
  let end = start;
  while (end < text.length && end - start < longestName && text[end]! > blank) end++;
  return text.toString('latin1', start, end);
}

/**
 * An address as a number: kernel addresses are the highest 2^53 of their space, so taken as negative they are exact;
 * what lies below is user space, and exact as well.
 */
export function addressKey(hi: number, lo: number): number {
  return (hi >= 0xffe00000 ? hi - 0x100000000 : hi) * 0x100000000 + lo;
}

function scan(text: Buffer): { addresses: Float64Array; places: Uint32Array; isSorted: boolean } {
  // A line has at least `0 t x` and its end.
  let addresses = new Float64Array(Math.min(1 << 16, Math.ceil(text.length / 6)));
  let places = new Uint32Array(addresses.length);
  let count = 0;
  let isSorted = true;
  let last = Number.NEGATIVE_INFINITY;
  for (let at = 0; at < text.length; ) {
    let hi = 0;
    let lo = 0;
    const start = at;
    for (; at < text.length; at++) {
      const digit = hexDigit(text[at]!);
      if (digit < 0) break;
      hi = ((hi << 4) | (lo >>> 28)) >>> 0;
      lo = ((lo << 4) | digit) >>> 0;
    }
    const isSymbol = at > start && text[at] === blank && (text[at + 2] === blank || text[at + 2] === tab);
    if (isSymbol && codeTypes.has(text[at + 1]!) && (hi | lo) !== 0) {
      if (count === mostFunctions)
        throw new InputError(`the symbols of the kernel: expected at most ${mostFunctions} functions, found more`);
      if (count === addresses.length) {
        const larger = new Float64Array(count * 2);
        larger.set(addresses);
        addresses = larger;
        const more = new Uint32Array(count * 2);
        more.set(places);
        places = more;
      }
      const address = addressKey(hi, lo);
      if (address < last) isSorted = false;
      last = address;
      addresses[count] = address;
      places[count] = at + 3;
      count++;
    }
    const end = text.indexOf(newline, at);
    at = end < 0 ? text.length : end + 1;
  }
  return { addresses: addresses.subarray(0, count), places: places.subarray(0, count), isSorted };
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
