import { type Catalogue, type EventSpec, type FieldSpec, notWanted } from '../../../src/input/catalogue.js';
import { openRandomAccess } from '../../../src/input/random-access.js';
import { maxFields, type Record, type RecordingFacts, type RecordSink } from '../../../src/input/record.js';
import { openTraceDat } from '../../../src/input/trace-dat/reader.js';

/** An event or a loss as `trace-cmd report -R -t` prints it. */
interface Line {
  readonly text: string;
  readonly lost: number;
  readonly cpu: number;
  readonly comm: string;
  readonly pid: number;
  /** Nanoseconds; the recordings' clocks began with the machine, so they are exact. */
  readonly time: number;
  readonly name: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/**
 * A point parts the seconds from the nanoseconds, or nothing does: so trace-cmd prints clocks whose name it does not take
 * for one of nanoseconds, and now and then a file of version 6 that names no clock, where it has not set what it asks.
 */
const eventLine = /^(?:\S+: )? *(.*)-(\d+) +\[(\d+)\] +(?:(\d+)\.)?(\d+): +([^:\s]+): *(.*)$/;
const lossLine = /CPU:(\d+) \[(?:(\d+) )?EVENTS DROPPED\]$/;

/** The lines of a report that are records or losses; anything else but its head is an error of the caller's. */
export function* reportLines(report: string): Generator<Line> {
  let start = 0;
  for (let end = report.indexOf('\n'); end >= 0; end = report.indexOf('\n', start)) {
    const text = report.slice(start, end);
    start = end + 1;
    const event = eventLine.exec(text);
    if (event !== null) {
      const [, comm, pid, cpu, seconds, nanoseconds, name, args] = event;
      const time = Number(seconds ?? 0) * 1e9 + Number(nanoseconds);
      yield { text, lost: 0, cpu: +cpu!, comm: comm!, pid: +pid!, time, name: name!, fields: fieldsOf(args!) };
      continue;
    }
    const loss = lossLine.exec(text);
    if (loss !== null)
      yield { text, lost: +(loss[2] ?? -1), cpu: +loss[1]!, comm: '', pid: 0, time: 0, name: '', fields: [] };
    else if (!/cpus=\d+$|CPU \d+ is empty$/.test(text)) throw new Error(`unexpected line of a report: ${text}`);
  }
}

/** `name=value` with blanks between; a word without `=` belongs to the value before it. */
function fieldsOf(args: string): [string, string][] {
  const fields: [string, string][] = [];
  for (const word of args.split(' ')) {
    const equals = word.indexOf('=');
    if (equals > 0) fields.push([word.slice(0, equals), word.slice(equals + 1)]);
    else if (fields.length > 0 && word !== '') fields.at(-1)![1] += fields.at(-1)![1] === '' ? word : ` ${word}`;
  }
  return fields;
}

/** A printed number, or undefined for a word. Zero may be padded (`00000000`), addresses come without `0x`. */
function numberOf(value: string): bigint | undefined {
  if (/^0x[0-9a-f]+$/.test(value)) return BigInt(value);
  if (/^f[0-9a-f]{15}$/.test(value)) return BigInt(`0x${value}`);
  if (/^-?\d+$/.test(value)) return BigInt(value);
  return undefined;
}

/** Everything that the records of a report show, as a catalogue: so that nothing is passed over when it is compared. */
export class ReportCatalogue implements Catalogue {
  readonly events: EventSpec[] = [];
  private readonly names = new Map<string, number>();
  /** The same event for a probe that is known by its function and for one that is known by its name. */
  private readonly probe: number;
  private readonly alias: number;

  constructor(lines: Iterable<Line>) {
    const seen = new Map<string, Map<string, Set<string>>>();
    for (const { name, fields, lost } of lines) {
      if (lost !== 0) continue;
      const event = isProbe(fields) ? '(probe)' : name;
      if (!seen.has(event)) seen.set(event, new Map());
      const known = seen.get(event)!;
      for (const [field, value] of fields) {
        if (!known.has(field)) known.set(field, new Set());
        if (numberOf(value) === undefined && value !== '') known.get(field)!.add(value);
      }
    }
    for (const [event, fields] of seen) {
      this.names.set(event, this.events.length);
      const specs = [...fields].map(([name, words]): FieldSpec => {
        if (words.size === 0) return { name, type: 'number' };
        return { name, type: 'symbol', symbols: Object.fromEntries([...words].map((word, index) => [word, index])) };
      });
      this.events.push({ name: event, fields: specs.slice(0, maxFields) });
    }
    this.probe = this.names.get('(probe)') ?? this.names.get('function') ?? notWanted;
    this.alias = this.probe < 0 ? notWanted : this.events.push(this.events[this.probe]!) - 1;
  }

  tracepoint(name: string): number {
    return this.names.get(name) ?? notWanted;
  }

  functionEntry(): number {
    return this.probe;
  }

  probeAlias(): number {
    return this.alias;
  }
}

function isProbe(fields: Line['fields']): boolean {
  return fields.some(([name]) => name === '__probe_ip' || name === '__probe_func');
}

/** Compares what a reader delivers with the lines of a report, one after the other. */
export class Comparison implements RecordSink {
  /** The first differences. */
  readonly differences: string[] = [];
  readonly conditions: string[] = [];
  records = 0;
  facts: RecordingFacts = {};
  /** Of everything that was delivered, so that two forms of one recording can be compared. */
  digest = 0;
  /** Losses that the report does not show. */
  unprinted = 0;
  /** Records of the function tracer whose function the file's symbols do not name. */
  unresolved = 0;
  private readonly catalogue: ReportCatalogue;
  private readonly lines: Iterator<Line> | undefined;
  private line: Line | undefined;

  /** @param lines nothing when only the digest is of interest */
  constructor(catalogue: ReportCatalogue, lines?: Iterable<Line>) {
    this.catalogue = catalogue;
    this.lines = lines?.[Symbol.iterator]();
  }

  record(record: Record): void {
    this.records++;
    this.mix(record.time);
    this.mix(record.cpu * 0x100 + record.event * 4 + record.context);
    this.mix(record.pid);
    this.mix(record.position);
    this.mix(record.present);
    for (let slot = 0; slot < maxFields; slot++) {
      if (!record.has(slot)) continue;
      this.mix(record.high(slot));
      this.mix(record.low(slot));
    }
    const time = Number(this.facts.origin) + record.time;
    let line = this.next('a record');
    // The nearest function that trace-cmd names where the symbols lack one is wrong.
    while (line?.name === 'function' && line.time !== time) {
      this.unresolved--;
      line = this.next('a record');
    }
    if (line === undefined) return;
    const where = line.text.trim();
    if (line.lost !== 0) this.differ(`${where}: a record instead`);
    if (time !== line.time) this.differ(`${where}: time ${time}`);
    if (record.cpu !== line.cpu) this.differ(`${where}: cpu ${record.cpu}`);
    if (record.pid !== line.pid) this.differ(`${where}: pid ${record.pid}`);
    if (record.comm() !== line.comm) this.differ(`${where}: comm ${record.comm()}`);
    const spec = this.catalogue.events[record.event]!;
    const name = isProbe(line.fields) || (line.name === 'function' && spec.name === '(probe)') ? '(probe)' : line.name;
    if (spec.name !== name) this.differ(`${where}: event ${spec.name}`);
    for (const [name, value] of line.fields) this.field(record, spec, name, value, where);
  }

  private field(record: Record, spec: EventSpec, name: string, value: string, where: string): void {
    const slot = spec.fields.findIndex((field) => field.name === name);
    if (slot < 0) return;
    const number = numberOf(value);
    // The tracer's addresses have become the event.
    if (name === 'ip' || name === 'parent_ip') return;
    if (!record.has(slot)) {
      this.differ(`${where}: no ${name}`);
      return;
    }
    if (record.high(slot) === 0 && number === BigInt.asUintN(32, BigInt(record.low(slot)))) return;
    const found = BigInt.asUintN(64, (BigInt(record.high(slot)) << 32n) | BigInt.asUintN(32, BigInt(record.low(slot))));
    const expected = number ?? BigInt(spec.fields[slot]!.symbols?.[value] ?? -1);
    // An unsigned field that is printed as a signed one has only its own bits in common.
    // The recordings' symbols are not complete: trace-cmd names the nearest function before an address, however far away.
    if (number === undefined && found >> 48n === 0xffffn) return;
    const isSame = BigInt.asUintN(64, expected) === found || BigInt.asIntN(32, found) === expected;
    if (!isSame) this.differ(`${where}: ${name} ${found}`);
  }

  counted(): void {}
  repeated(): void {}

  lost(cpu: number, count: number): void {
    this.mix(cpu);
    this.mix(count);
    const line = this.next(`CPU ${cpu}: lost ${count}`);
    if (line === undefined) return;
    if (line.lost === 0) {
      this.unprinted++;
      this.line = line;
    } else if (line.lost !== count || line.cpu !== cpu) this.differ(`${line.text}: lost ${count}`);
  }

  fact(facts: RecordingFacts): void {
    this.facts = { ...this.facts, ...facts };
  }

  condition(kind: string, count: number, _position: number, detail?: string): void {
    if (kind === 'unresolved-function' && detail === 'function') this.unresolved += count;
    else if (kind !== 'lost-events') this.conditions.push(`${kind} ${count} ${detail ?? ''}`);
  }

  cpuStarted(): void {}
  discontinuity(): void {}

  /** The report must have nothing more. */
  finish(): void {
    let rest = this.take();
    while (rest?.name === 'function') {
      this.unresolved--;
      rest = this.take();
    }
    if (rest !== undefined) this.differ(`${rest.text}: not read`);
  }

  private next(what: string): Line | undefined {
    if (this.lines === undefined || this.differences.length >= 5) return undefined;
    const next = this.take();
    if (next === undefined) this.differ(`${what} beyond the end of the report`);
    return next;
  }

  private take(): Line | undefined {
    const kept = this.line;
    this.line = undefined;
    if (kept !== undefined) return kept;
    const next = this.lines?.next();
    return next === undefined || next.done ? undefined : next.value;
  }

  private differ(text: string): void {
    if (this.differences.length < 5) this.differences.push(text);
  }

  private mix(value: number): void {
    this.digest = (Math.imul(this.digest ^ value ^ Math.floor(value / 0x100000000), 16777619) + 1) | 0;
  }
}

/** Reads a file into a sink. */
export async function readInto(path: string, catalogue: Catalogue, sink: RecordSink): Promise<void> {
  const file = openRandomAccess(path)!;
  try {
    const reader = await openTraceDat(file, catalogue, sink);
    for (const _ of reader.slices());
  } finally {
    file.close();
  }
}
