// Recordings as lines that can be edited: parsing what a fault needs to know of a line, and edits that keep the
// rest of the recording byte for byte what the kernel wrote.

/** One line of `trace-cmd report` or of tracefs' trace file. */
export interface Line {
  readonly text: string;
  /** Everything before the time, columns and all. */
  readonly head: string;
  readonly pid: number;
  readonly cpu: number;
  /** The time as it is printed. */
  readonly time: string;
  /** Empty for a line that is no record. */
  readonly event: string;
  readonly args: string;
}

/** comm-pid, perhaps (tgid), [cpu], perhaps flags, time, event. */
const record = /^(.*?-(\d+)\s+(?:\(\s*[\d-]+\)\s+)?\[(\d+)\]\s+(?:[\w.#]+\s+)?)(\d+\.\d+): (\w+):\s*(.*)$/;

/** Parses one line; a header, a blank or a foreign line has no event. */
export function parseLine(text: string): Line {
  const match = record.exec(text);
  if (match === null) return { text, head: '', pid: -1, cpu: -1, time: '', event: '', args: '' };
  const [, head = '', pid, cpu, time = '', event = '', args = ''] = match;
  return { text, head, pid: Number(pid), cpu: Number(cpu), time, event, args };
}

function make(head: string, time: string, event: string, args: string): Line {
  return parseLine(`${head}${time}: ${event}: ${args}`);
}

/** The same record with other arguments. */
export function withArgs(line: Line, args: string): Line {
  return make(line.head, line.time, line.event, args);
}

/** The same record with one part of its arguments replaced; that it occurs is part of the fault's definition. */
export function withArg(line: Line, pattern: RegExp | string, replacement: string): Line {
  const args = line.args.replace(pattern, replacement);
  if (args === line.args) throw new Error(`nothing to replace by ${replacement} in: ${line.text}`);
  return withArgs(line, args);
}

/** The same record at another time: a moved line takes that of its new neighbour, so that time stays monotone. */
export function withTime(line: Line, time: string): Line {
  return make(line.head, time, line.event, line.args);
}

/** The same record on another CPU. */
export function withCpu(line: Line, cpu: number): Line {
  const head = line.head.replace(/\[(\d+)\]/, (_, digits: string) => `[${String(cpu).padStart(digits.length, '0')}]`);
  return make(head, line.time, line.event, line.args);
}

/** A new record in the place (thread, CPU, time) of another one. */
export function recordLike(place: Line, event: string, args: string): Line {
  return make(place.head, place.time, event, args);
}

/** The same in hard interrupt context, which tracefs' text shows in the third flag. */
export function interruptLike(place: Line, event: string, args: string): Line {
  const head = place.head.replace(/(\]\s+[\w.#]{2})[\w.#]([\w.#]*\s+)$/, '$1h$2');
  return make(head, place.time, event, args);
}

/** A copy of the line: edits know lines by identity, so that a duplicate needs one of its own. */
export function copy(line: Line): Line {
  return { ...line };
}

/** The edits of one fault; lines are named by their identity, so that edits do not disturb each other. */
export class Edit {
  readonly #lines: readonly Line[];
  readonly #removed = new Set<Line>();
  readonly #replaced = new Map<Line, Line>();
  readonly #before = new Map<Line, Line[]>();
  readonly #after = new Map<Line, Line[]>();

  constructor(lines: readonly Line[]) {
    this.#lines = lines;
  }

  remove(...lines: Line[]): void {
    for (const line of lines) this.#removed.add(line);
  }

  /** Replaces a line and returns what stands there now. */
  replace(line: Line, by: Line): Line {
    this.#replaced.set(line, by);
    return by;
  }

  /** Inserts lines before another one, at its time; returns them as they stand there. */
  before(line: Line, ...lines: Line[]): Line[] {
    const timed = lines.map((inserted) => withTime(inserted, line.time));
    this.#before.set(line, [...(this.#before.get(line) ?? []), ...timed]);
    return timed;
  }

  /** Inserts lines after another one, at its time; returns them as they stand there. */
  after(line: Line, ...lines: Line[]): Line[] {
    const timed = lines.map((inserted) => withTime(inserted, line.time));
    this.#after.set(line, [...(this.#after.get(line) ?? []), ...timed]);
    return timed;
  }

  /** The edited recording. */
  apply(): Line[] {
    const result: Line[] = [];
    for (const line of this.#lines) {
      result.push(...(this.#before.get(line) ?? []));
      if (!this.#removed.has(line)) result.push(this.#replaced.get(line) ?? line);
      result.push(...(this.#after.get(line) ?? []));
    }
    return result;
  }
}

// --- what the arguments say ---------------------------------------------

/** CTL, CVAL and context of a save or restore. */
export function registers(line: Line): { ctl: number; cval: bigint; timer: number } {
  const match = /CTL: (\w+) CVAL:\s+(\w+) arch_timer_ctx_index: (\d)/.exec(line.args);
  if (match === null) throw new Error(`no registers in: ${line.text}`);
  // %#08x prints a zero without its prefix.
  const [, ctl = '', cval = '', timer] = match;
  return { ctl: Number.parseInt(ctl.replace(/^0x/, ''), 16), cval: BigInt(cval), timer: Number(timer) };
}

export function withCtl(line: Line, ctl: number): Line {
  return withArg(line, /CTL: \w+/, `CTL: 0x${ctl.toString(16).padStart(6, '0')}`);
}

export function withCval(line: Line, cval: bigint): Line {
  const text = `0x${BigInt.asUintN(64, cval).toString(16)}`;
  return withArg(line, /CVAL:\s+\w+/, `CVAL: ${text.padStart(16)}`);
}

/** IRQ number and level of kvm_timer_update_irq and vgic_update_irq_pending. */
export function level(line: Line): { irq: number; level: number } {
  const match = /IRQ (\d+), level:? (\d)/.exec(line.args);
  if (match === null) throw new Error(`no level in: ${line.text}`);
  return { irq: Number(match[1]), level: Number(match[2]) };
}

export function withLevel(line: Line, to: number): Line {
  return withArg(line, /(level:? )\d/, `$1${to}`);
}

/** hrtimer pointer of an hrtimer event. */
export function hrtimer(line: Line): string {
  return /hrtimer=(\w+)/.exec(line.args)?.[1] ?? '';
}

/** Exception class of a kvm_exit. */
export function exceptionClass(line: Line): number {
  return Number(/HSR_EC: (0x\w+)/.exec(line.args)?.[1] ?? -1);
}
