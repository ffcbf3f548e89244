/**
 * What a reader has to extract: the wanted events and, for each, the wanted fields. Readers know nothing of
 * timers; `decode/` writes the catalogue, and each format's reader finds the fields in its own way (by label
 * in text, by offset in a binary record).
 */

/** How a field's value is written and stored. */
export type FieldType =
  /** decimal or `0x` number up to 64 bits, also negative decimal; stored as two 32-bit halves (two's complement) */
  | 'number'
  /** hexadecimal with or without `0x`; `(____ptrval____)` is absent */
  | 'pointer'
  /** a word looked up in `symbols`; stored as the number found there, or as `otherSymbol` */
  | 'symbol';

/** Value of a `symbol` field whose text is not in its table. */
export const otherSymbol = 0x7fffffff;

export interface FieldSpec {
  /** The field's name in the event format (binary readers, `raw` and `fields` printing: `name=value`). */
  readonly name: string;
  readonly type: FieldType;
  /**
   * Labels that precede the value in text, tried in this order; `name=` is always tried last. A label matches
   * at the start of the arguments or after a blank, comma or opening bracket, and may contain blanks.
   * The first occurrence counts.
   */
  readonly labels?: readonly string[];
  /** The value is the word directly before this text instead (`TRAP` before `: HSR_EC:`). */
  readonly before?: string;
  /**
   * For symbols: text to number. The value is the longest text up to a blank, comma, `:`, `+`, `/`, `(` or the
   * end, unless `toEnd`: then everything up to the end of the line (interrupt names contain blanks).
   * A value that is a plain number is stored as that number.
   */
  readonly symbols?: Readonly<Record<string, number>>;
  readonly toEnd?: boolean;
  /**
   * For symbols whose record holds a pointer to the text: the small fields of the record that together name the same
   * thing, and what their values, joined by commas, are in numbers. Each is one byte.
   */
  readonly parts?: { readonly names: readonly string[]; readonly values: Readonly<Record<string, number>> };
  /** A record without this field is malformed. */
  readonly required?: boolean;
  /** A record without this field is counted as malformed, and used for the fields that it has. */
  readonly expected?: boolean;
}

/** How the arguments of a wanted event are taken apart in text. */
export type TextShape =
  /** each field by its label */
  | 'labels'
  /** sched_switch in its three spellings (kernel and perf, trace-cmd's plugin, raw) */
  | 'sched_switch';

export interface EventSpec {
  /** Tracepoint name, or for a probe the name of the function. */
  readonly name: string;
  readonly fields: readonly FieldSpec[];
  readonly shape?: TextShape;
  /** One record says all that is to be known: a reader delivers the first, and counts the others (`repeated`). */
  readonly once?: boolean;
}

/** Result of a name look-up: index into `events`, or one of these. */
export const notWanted = -1;

/**
 * The wanted events.
 *
 * `tracepoints` are found by event name; `functions` by the function that a kprobe, kretprobe, fprobe or
 * function-tracer record shows; `aliases` by the name a user gave a probe, where the record shows only an
 * address (trace-cmd report).
 */
export interface Catalogue {
  readonly events: readonly EventSpec[];
  /** Event name without system (`kvm_entry`) to index into `events`, or `notWanted`. */
  tracepoint(name: string): number;
  /** Function name, suffixes such as `.isra.0` included, to index into `events`, or `notWanted`. */
  functionEntry(name: string): number;
  /** Event name of a probe whose function is not shown, to index into `events`, or `notWanted`. */
  probeAlias(name: string): number;
}
