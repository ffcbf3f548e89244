import { Context } from '../../events/event.js';
import { type Catalogue, notWanted } from '../catalogue.js';
import { Record, type RecordSink } from '../record.js';
import { aliasEvent, farthestEntry } from '../text/probes.js';
import { Tally as Conditions } from '../text/tally.js';
import type { CpuStream, Tally } from './cpu-stream.js';
import { FieldReader } from './fields.js';
import type { EventFormat, FormatField } from './formats.js';
import type { Layout } from './layout.js';
import { addressKey, type Place, Symbols } from './symbols.js';

/** Bits of common_flags (enum trace_flag_type). */
const hardirqOrNmi = 0x08 | 0x40;
const softirq = 0x10;

/** Bytes of the common fields, the pid included. */
const commonSize = 8;

/** The function tracer's event. */
const functionTracer = { system: 'ftrace', name: 'function' } as const;

/** Most addresses of one probe or tracer that are remembered. */
const mostAddresses = 65_536;

/** A function that a probe or the function tracer shows. */
interface Target {
  /** Index of the event, or `notWanted`. */
  readonly event: number;
  readonly source: 'function' | 'alias';
  readonly isResolved: boolean;
  readonly reader: FieldReader | undefined;
}

const unresolved: Target = { event: notWanted, source: 'function', isResolved: false, reader: undefined };

/** One wanted event of the file. */
interface Wanted {
  readonly format: EventFormat;
  /** Of a tracepoint. */
  readonly event: number;
  readonly reader: FieldReader | undefined;
  /** Of a probe or the function tracer: where the function's address stands, and the functions seen by address. */
  readonly address: FormatField | undefined;
  readonly isReturn: boolean;
  readonly isOnce: boolean;
  readonly targets: Map<number, Target>;
  /** The address and function of the record before: mostly those of the next as well. */
  lastKey: number;
  last: Target;
}

/** From a stop of a CPU's walk to a delivered record. */
export class DatEvents {
  readonly record = new Record();
  private readonly catalogue: Catalogue;
  private readonly sink: RecordSink;
  private readonly layout: Layout;
  private readonly tally: Tally;
  private readonly wanted: Wanted[] = [];
  private readonly malformed = new Conditions('malformed-fields');
  private readonly unresolved = new Conditions('unresolved-function');
  private readonly repeated = new Conditions('repeated-event');
  /** By CPU and event id, the buffer that showed such a record first; only where there are several buffers. */
  private readonly owners: Map<number, number> | undefined;
  /** Ids of events of which one record says all, and has been delivered: the event of each. */
  private readonly told = new Map<number, number>();
  private functions: Symbols | null | undefined;

  constructor(layout: Layout, tally: Tally, catalogue: Catalogue, sink: RecordSink) {
    this.owners = layout.buffers.length > 1 ? new Map() : undefined;
    this.layout = layout;
    this.tally = tally;
    this.catalogue = catalogue;
    this.sink = sink;
    for (const format of layout.formats.wanted()) this.add(format);
    const { comms } = layout;
    this.record.comm = () => (this.record.pid === 0 ? '<idle>' : (comms.get(this.record.pid) ?? '<...>'));
  }

  /**
   * Delivers the record that a stream stands at.
   *
   * @param time nanoseconds since the first record of the trace
   */
  deliver(stream: CpuStream, time: number): void {
    if (this.owners !== undefined && this.isRepeated(stream, this.owners)) return;
    const wanted = this.wanted[stream.event]!;
    const record = this.record;
    record.position = stream.position;
    if (stream.length < commonSize) {
      this.malformed.add(stream.id, stream.position);
      return;
    }
    record.time = time;
    record.cpu = stream.cpu;
    record.pid = stream.words[stream.payload + 1]! | 0;
    const flags = stream.bytes[stream.payload * 4 + 2]!;
    record.context =
      (flags & hardirqOrNmi) !== 0 ? Context.hardirq : (flags & softirq) !== 0 ? Context.softirq : Context.task;
    if (wanted.address !== undefined) {
      this.deliverFunction(stream, wanted, wanted.address);
      return;
    }
    const reader = wanted.reader!;
    reader.read(stream, record);
    if ((record.present & reader.required) !== reader.required) {
      this.malformed.add(stream.id, stream.position);
      return;
    }
    record.event = wanted.event;
    record.source = 'tracepoint';
    record.isReturn = false;
    if (wanted.isOnce) this.tell(stream.id, wanted.event);
    this.sink.record(record);
  }

  /** The record at hand says all that is to be known of its event: further ones are only counted. */
  private tell(id: number, event: number): void {
    // Whether another buffer repeats it can be told only record by record.
    if (this.owners !== undefined) return;
    this.tally.wanted[id] = -1;
    this.told.set(id, event);
  }

  /** Reports what was gathered. */
  finish(): void {
    const { formats } = this.layout;
    const name = (id: number) => formats.name(id) ?? `event id ${id}`;
    const { unused, firstUnused } = this.tally;
    for (let id = 0; id < unused.length; id++) {
      if (unused[id] === 0) continue;
      const told = this.told.get(id);
      if (told !== undefined) {
        this.sink.repeated(told, unused[id]!);
        continue;
      }
      const kind = formats.name(id) === undefined ? 'unknown-event' : 'unused-event';
      this.sink.condition(kind, unused[id]!, firstUnused[id]!, name(id));
    }
    this.unresolved.report(this.sink, name);
    this.repeated.report(this.sink, name);
    this.malformed.report(this.sink, name);
  }

  /** Whether another buffer records this CPU's events of the kind: each happened once, however many buffers have it. */
  private isRepeated(stream: CpuStream, owners: Map<number, number>): boolean {
    const key = stream.cpu * 0x10000 + stream.id;
    const owner = owners.get(key);
    if (owner === undefined) owners.set(key, stream.buffer);
    if (owner === undefined || owner === stream.buffer) return false;
    this.repeated.add(stream.id, stream.position);
    return true;
  }

  private add(format: EventFormat): void {
    const field = (name: string) => format.fields.find((candidate) => candidate.name === name);
    const isTracer = format.system === functionTracer.system && format.name === functionTracer.name;
    const returning = field('__probe_func');
    const address = returning ?? field('__probe_ip') ?? (isTracer ? field('ip') : undefined);
    if (address !== undefined && (address.offset % 4 !== 0 || (address.size !== 8 && address.size !== 4))) return;
    const event = address === undefined ? this.catalogue.tracepoint(format.name) : notWanted;
    if (address === undefined && event === notWanted) return;
    this.tally.wanted[format.id] = this.wanted.length;
    this.wanted.push({
      format,
      event,
      reader: address === undefined ? this.reader(event, format) : undefined,
      address,
      isReturn: returning !== undefined,
      isOnce: event !== notWanted && this.catalogue.events[event]!.once === true,
      targets: new Map(),
      lastKey: Number.NaN,
      last: unresolved,
    });
  }

  private reader(event: number, format: EventFormat): FieldReader {
    const { isBigEndian, longSize } = this.layout;
    return new FieldReader(this.catalogue.events[event]!, format, isBigEndian, longSize, (hi, lo) => {
      const place = this.place(hi, lo);
      return place !== undefined && place.offset <= farthestEntry ? place.names : undefined;
    });
  }

  /** The entry or return of a function: nothing is required of it, the user chose what it carries. */
  private deliverFunction(stream: CpuStream, wanted: Wanted, address: FormatField): void {
    if (address.offset + address.size > stream.length) {
      this.malformed.add(stream.id, stream.position);
      return;
    }
    const word = stream.payload + (address.offset >>> 2);
    const isLong = address.size === 8;
    const first = stream.words[word]!;
    const second = isLong ? stream.words[word + 1]! : 0;
    const { isBigEndian } = this.layout;
    const hi = isLong ? (isBigEndian ? first : second) : 0;
    const lo = isLong && isBigEndian ? second : first;
    const key = addressKey(hi, lo);
    if (key !== wanted.lastKey) {
      wanted.last = this.targetAt(wanted, key, hi, lo);
      wanted.lastKey = key;
    }
    const target = wanted.last;
    if (target.reader === undefined) {
      if (!target.isResolved) this.unresolved.add(stream.id, stream.position);
      else if (this.tally.unused[stream.id]!++ === 0) this.tally.firstUnused[stream.id] = stream.position;
      return;
    }
    const record = this.record;
    target.reader.read(stream, record);
    record.event = target.event;
    record.name = stream.id;
    record.source = target.source;
    record.isReturn = wanted.isReturn;
    this.sink.record(record);
  }

  private targetAt(wanted: Wanted, key: number, hi: number, lo: number): Target {
    let target = wanted.targets.get(key);
    if (target === undefined) {
      target = this.target(wanted, hi, lo);
      if (wanted.targets.size < mostAddresses) wanted.targets.set(key, target);
    }
    return target;
  }

  /** What a probe at an address is: by the function there, else by the name that its user gave it. */
  private target(wanted: Wanted, hi: number, lo: number): Target {
    const { format, isReturn } = wanted;
    const isTracer = format.system === functionTracer.system;
    const place = this.place(hi, lo);
    const inside = place === undefined ? notWanted : this.functionOf(place);
    const isAtEntry = place !== undefined && (isReturn || place.offset <= farthestEntry);
    if (isAtEntry) return this.known(inside, 'function', format);
    // The tracer sits at the beginning of each function, so the file's symbols do not have this one.
    if (isTracer) return unresolved;
    const alias = aliasEvent(format.name, this.catalogue);
    // In the middle of that very function its arguments are gone; in that of another one, the file's symbols lack it.
    if (alias !== notWanted) return this.known(alias === inside ? notWanted : alias, 'alias', format);
    // A uprobe's address is not the kernel's.
    const isKernel = hi >>> 28 === 0xf;
    return place === undefined && isKernel ? unresolved : this.known(notWanted, 'alias', format);
  }

  private known(event: number, source: 'function' | 'alias', format: EventFormat): Target {
    const reader = event === notWanted ? undefined : this.reader(event, format);
    return { event, source, isResolved: true, reader };
  }

  private functionOf(place: Place): number {
    for (const name of place.names) {
      const event = this.catalogue.functionEntry(name);
      if (event !== notWanted) return event;
    }
    return notWanted;
  }

  private place(hi: number, lo: number): Place | undefined {
    if (this.functions === undefined) {
      const text = this.layout.kallsyms();
      this.functions = text === undefined ? null : new Symbols(text);
    }
    return this.functions?.at(hi, lo);
  }
}
