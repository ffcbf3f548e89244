import { type Catalogue, type EventSpec, notWanted } from '../catalogue.js';
import type { RecordSink } from '../record.js';
import type { ArgumentReader } from './arguments.js';
import { ascii, Byte, matches, skipBlanks, skipWord } from './bytes.js';
import { LabelReader } from './labels.js';
import { NameTable } from './names.js';
import { Probe, ProbeReader } from './probes.js';
import { Result, type Scanner, Treatment } from './scanner.js';
import { SchedSwitchReader } from './sched-switch.js';
import { Tally } from './tally.js';
import { TextRecord } from './text-record.js';

/** Value of an event name that is no tracepoint the catalogue wants; its records may still be those of a probe. */
const unknownName = -1;
/** trace-cmd's name for the records of the function tracer. */
const functionTracer = -2;

const functionTracerName = 'function';
const arrow = ascii('<-');
const rawFunction = ascii('ip=');

/**
 * From an event's name to a delivered record: what all text formats share once the columns before the name are
 * read. The caller fills `record`'s time, cpu, pid and so on before it calls `event`.
 */
export class TextEvents {
  readonly record: TextRecord;
  private readonly scanner: Scanner;
  private readonly sink: RecordSink;
  private readonly catalogue: Catalogue;
  /** By event; made at its first record, since most traces have few of the events. */
  private readonly readers: (ArgumentReader | undefined)[];
  /** By event: 1 where a name that a thread has chosen may begin the arguments, so that they cannot betray a probe. */
  private readonly beginsWithComm: Uint8Array;
  /** By event: number of records, of those that are delivered once; -1 for the others. */
  private readonly seen: Float64Array;
  private readonly names: NameTable;
  private readonly functions: NameTable;
  private readonly probes = new ProbeReader();
  private readonly unused = new Tally('unused-event');
  private readonly unresolved = new Tally('unresolved-function');
  private readonly malformed = new Tally('malformed-fields');
  private readonly pointers = { hashedPointers: 0 };
  private firstHashed = 0;
  private nameEnd = 0;

  constructor(scanner: Scanner, catalogue: Catalogue, sink: RecordSink) {
    this.scanner = scanner;
    this.record = new TextRecord(scanner);
    this.sink = sink;
    this.catalogue = catalogue;
    this.readers = catalogue.events.map(() => undefined);
    this.seen = Float64Array.from(catalogue.events, ({ once }) => (once === true ? 0 : -1));
    this.beginsWithComm = Uint8Array.from(catalogue.events, ({ shape }) => (shape === 'sched_switch' ? 1 : 0));
    this.names = new NameTable((name) => {
      const event = catalogue.tracepoint(name);
      if (event !== notWanted) return event;
      return name === functionTracerName ? functionTracer : unknownName;
    });
    this.functions = new NameTable((name) => catalogue.functionEntry(name));
  }

  /**
   * One event: `kvm_entry: PC: 0x…`, `kvm:kvm_entry: …`, or the function tracer's `function <-caller`.
   *
   * @param from position of the name
   */
  event(bytes: Uint8Array, from: number, end: number): void {
    const { scanner } = this;
    this.record.choose(0);
    const place = scanner.name(from);
    let name: number;
    let args: number;
    if (place >= 0) {
      name = scanner.values[place]!;
      args = scanner.results[Result.args]!;
    } else {
      name = this.findName(bytes, from, end);
      if (name < 0) return;
      args = skipBlanks(bytes, this.nameEnd + 1, end);
      this.keepName(bytes, from, name);
    }
    const first = args < end ? bytes[args]! : 0;
    const event = this.names.values[name]!;
    if ((first === Byte.openRound || first === Byte.underscore) && this.beginsWithComm[event] !== 1) {
      if (this.probes.read(bytes, args, end)) {
        this.probe(bytes, name, end);
        return;
      }
    }
    if (event >= 0) {
      this.deliver(event, bytes, args, end);
      if (name < scanner.treatments.length) scanner.treatments[name] = this.treatment(event);
    } else if (event === functionTracer) {
      this.functionRecord(bytes, name, args, end);
    } else {
      this.unused.add(name, this.record.position);
      if (name < scanner.treatments.length) scanner.treatments[name] = Treatment.passOver;
    }
  }

  /** What the scanner may do with further lines of a wanted event, probes apart. */
  private treatment(event: number): Treatment {
    if (this.seen[event]! > 0) return Treatment.passOver;
    const { plan } = this.reader(event);
    return plan < 0 ? Treatment.read : plan + 1;
  }

  /** The scanner's record `index`, of a name that was seen before. */
  planned(name: number, index: number): void {
    this.record.choose(index);
    const event = this.names.values[name]!;
    const reader = this.reader(event);
    reader.planned(this.record);
    this.hand(event, reader);
  }

  /** Entry of the name at `from`; `nameEnd` is where it ends. Without a name the record is dealt with: -1. */
  private findName(bytes: Uint8Array, from: number, end: number): number {
    let start = from;
    let at = from;
    let hash = 0;
    for (;;) {
      while (at < end && bytes[at] !== Byte.colon && bytes[at] !== Byte.blank) {
        hash = (Math.imul(hash, 31) + bytes[at]!) | 0;
        at++;
      }
      if (at >= end || bytes[at] !== Byte.colon) {
        this.traced(bytes, start, at, end);
        return -1;
      }
      if (start !== from || at + 1 >= end || bytes[at + 1]! <= Byte.blank) break;
      // `system:event:`
      start = at + 1;
      at = start;
      hash = 0;
    }
    // Behind the second colon may be perf's modifiers (`:H`).
    this.nameEnd = skipWord(bytes, at, end);
    return this.names.entry(bytes, start, at, hash);
  }

  /** Remembers the name that `findName` has found: it has looked at nothing behind the blank. */
  private keepName(bytes: Uint8Array, from: number, name: number): void {
    const { scanner, nameEnd } = this;
    const length = nameEnd - from;
    if (bytes[nameEnd] !== Byte.blank || length > scanner.longestText || !this.names.isOneName(name)) return;
    scanner.keep(scanner.namesOwner, from, length, name);
  }

  /** Reports what was gathered. */
  finish(): void {
    this.collectPassed();
    this.unused.report(this.sink, (name) => this.names.names[name]!);
    this.unresolved.report(this.sink, (name) => this.names.names[name]!);
    this.malformed.report(this.sink, (event) => this.catalogue.events[event]!.name);
    this.seen.forEach((records, event) => {
      if (records > 1) this.sink.repeated(event, records - 1);
    });
    if (this.pointers.hashedPointers > 0) {
      this.sink.condition('hashed-pointers', this.pointers.hashedPointers, this.firstHashed);
      this.pointers.hashedPointers = 0;
    }
  }

  /** Counts the lines that the scanner has passed over. */
  private collectPassed(): void {
    const { passed } = this.scanner;
    for (let name = 0; name < Math.min(passed.length, this.names.names.length); name++) {
      const event = this.names.values[name]!;
      if (event >= 0) this.seen[event]! += passed[name]!;
      else if (passed[name]! > 0) this.unused.addMore(name, passed[name]!);
      passed[name] = 0;
    }
  }

  private reader(event: number): ArgumentReader {
    return this.readers[event] ?? this.newReader(event);
  }

  private newReader(event: number): ArgumentReader {
    const reader = this.argumentReader(this.catalogue.events[event]!);
    this.readers[event] = reader;
    return reader;
  }

  private argumentReader(spec: EventSpec): ArgumentReader {
    return spec.shape === 'sched_switch'
      ? new SchedSwitchReader(spec, this.scanner)
      : new LabelReader(spec, this.scanner, this.pointers);
  }

  private deliver(event: number, bytes: Uint8Array, args: number, end: number): void {
    if (this.seen[event]! >= 0 && this.seen[event]!++ > 0) return;
    const reader = this.reader(event);
    reader.read(bytes, args, end, this.record);
    if (this.pointers.hashedPointers > 0 && this.firstHashed === 0) this.firstHashed = this.record.position;
    this.hand(event, reader);
  }

  /** Hands on the record whose fields the reader has read, if none is missing. */
  private hand(event: number, reader: ArgumentReader): void {
    const record = this.record;
    if ((record.present & reader.required) !== reader.required) {
      this.malformed.add(event, record.position);
      return;
    }
    if ((record.present & reader.expected) !== reader.expected) this.malformed.add(event, record.position);
    record.event = event;
    // Storing an object costs the collector's attention even when it is the same.
    if (record.source !== 'tracepoint') record.source = 'tracepoint';
    record.isReturn = false;
    this.sink.record(record);
  }

  /** The entry or return of a function: nothing is required of it, the user chose what it carries. */
  private deliverFunction(
    event: number,
    name: number,
    isAlias: boolean,
    isReturn: boolean,
    bytes: Uint8Array,
    args: number,
    end: number,
  ): void {
    const record = this.record;
    this.reader(event).read(bytes, args, end, record);
    if (this.pointers.hashedPointers > 0 && this.firstHashed === 0) this.firstHashed = record.position;
    record.event = event;
    record.name = name;
    record.source = isAlias ? 'alias' : 'function';
    record.isReturn = isReturn;
    this.sink.record(record);
  }

  private probe(bytes: Uint8Array, name: number, end: number): void {
    const probe = this.probes;
    if (probe.kind === Probe.function) {
      const entry = this.functions.entry(bytes, probe.start, probe.end, NameTable.hash(bytes, probe.start, probe.end));
      const event = this.functions.values[entry]!;
      if (event === notWanted || !probe.isAtEntry) this.unused.add(name, this.record.position);
      else this.deliverFunction(event, name, false, probe.isReturn, bytes, probe.args, end);
      return;
    }
    const event = this.probes.alias(this.names.names[name]!, this.catalogue);
    if (event !== notWanted) this.deliverFunction(event, name, true, probe.isReturn, bytes, probe.args, end);
    else if (probe.kind === Probe.kernelAddress) this.unresolved.add(name, this.record.position);
    else this.unused.add(name, this.record.position);
  }

  /** A record without an event name: the function tracer's `kvm_timer_vcpu_load <-kvm_arch_vcpu_load`. */
  private traced(bytes: Uint8Array, from: number, to: number, end: number): void {
    const next = skipBlanks(bytes, to, end);
    const isFunction = next >= end || matches(bytes, next, end, arrow) || bytes[next] === Byte.openSquare;
    if (!isFunction && bytes[to - 1] !== Byte.comma) {
      this.unused.add(this.names.entry(bytes, from, to, NameTable.hash(bytes, from, to)), this.record.position);
      return;
    }
    const text = ascii(functionTracerName);
    const name = this.names.entry(text, 0, text.length, NameTable.hash(text, 0, text.length));
    this.functionRecord(bytes, name, from, end);
  }

  /** `name <-- caller`, `name+0x0/0x80(vcpu=0x…) <-caller`, `ip=name parent_ip=caller`. */
  private functionRecord(bytes: Uint8Array, name: number, args: number, end: number): void {
    const from = matches(bytes, args, end, rawFunction) ? args + rawFunction.length : args;
    const kind = this.probes.symbol(bytes, from, end);
    if (kind === Probe.kernelAddress) {
      this.unresolved.add(name, this.record.position);
      return;
    }
    const { start, end: to } = this.probes;
    const entry = this.functions.entry(bytes, start, to, NameTable.hash(bytes, start, to));
    const event = this.functions.values[entry]!;
    if (event === notWanted) this.unused.add(name, this.record.position);
    else this.deliverFunction(event, name, false, false, bytes, to, end);
  }
}
