import { type Catalogue, notWanted } from '../catalogue.js';
import { InputError } from '../errors.js';
import type { Record, RecordSink } from '../record.js';
import { reportLoss } from '../text/notes.js';
import { aliasEvent, farthestEntry } from '../text/probes.js';
import { Tally as Conditions } from '../text/tally.js';
import type { CpuStream, StreamSink } from './cpu-stream.js';
import { DatRecord } from './dat-record.js';
import type { EventFormat, FormatField } from './formats.js';
import type { Layout } from './layout.js';
import { addressKey, type Place, Symbols } from './symbols.js';
import type { Tally } from './tally.js';

/** The function tracer's event. */
const functionTracer = { system: 'ftrace', name: 'function' } as const;

/** Most addresses of one probe or tracer that are remembered. */
const mostAddresses = 65_536;

/** A function that a probe or the function tracer shows. */
interface Target {
  readonly isResolved: boolean;
  /** Nothing where the function is not wanted. */
  readonly record: DatRecord | undefined;
}

const unresolved: Target = { isResolved: false, record: undefined };
const unwanted: Target = { isResolved: true, record: undefined };

/** One wanted event of the file. */
interface Wanted {
  readonly format: EventFormat;
  /** Of a tracepoint. */
  readonly record: DatRecord | undefined;
  /** Of a probe or the function tracer: where the function's address stands, and the functions seen by address. */
  readonly address: FormatField | undefined;
  readonly isReturn: boolean;
  readonly isOnce: boolean;
  readonly targets: Map<number, Target>;
  /** The same by function: a return may be at any address in it. */
  readonly functions: Map<string, Target>;
  /** The address and function of the record before: mostly those of the next as well. */
  lastKey: number;
  last: Target;
}

/** From what a CPU's walk comes to, to a delivered record. */
export class DatEvents implements StreamSink {
  readonly plain: (DatRecord | undefined)[] = [];
  private readonly catalogue: Catalogue;
  private readonly sink: RecordSink;
  private readonly layout: Layout;
  private readonly tally: Tally;
  private readonly wanted: Wanted[] = [];
  private readonly records: DatRecord[] = [];
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
  }

  lost(stream: CpuStream, count: number): void {
    reportLoss(this.sink, stream.cpu, count, stream.position);
  }

  deliver(stream: CpuStream, event: number, payload: number, length: number): void {
    const wanted = this.wanted[event]!;
    if (this.owners !== undefined && this.isRepeated(stream, wanted.format.id, this.owners)) return;
    const record = wanted.record ?? this.ofFunction(stream, wanted, payload, length);
    if (record === undefined) return;
    if (!record.goTo(stream, payload, length)) {
      this.malformed.add(wanted.format.id, stream.position);
      return;
    }
    if (wanted.isOnce) this.tell(wanted.format.id, record.event);
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
    const { unused, firstUnused, unusedIds } = this.tally;
    for (const id of unusedIds.sort((a, b) => a - b)) {
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
    for (const record of this.records) {
      if (record.cut > 0) this.sink.condition('malformed-fields', record.cut, record.firstCut, name(record.name));
    }
  }

  /** Whether another buffer records this CPU's events of the kind: each happened once, however many buffers have it. */
  private isRepeated(stream: CpuStream, id: number, owners: Map<number, number>): boolean {
    const key = stream.cpu * 0x10000 + id;
    const owner = owners.get(key);
    if (owner === undefined) owners.set(key, stream.buffer);
    if (owner === undefined || owner === stream.buffer) return false;
    this.repeated.add(id, stream.position);
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
    const record = address === undefined ? this.recordOf(event, format, 'tracepoint', false) : undefined;
    const isOnce = event !== notWanted && this.catalogue.events[event]!.once === true;
    this.plain.push(this.owners === undefined && !isOnce ? record : undefined);
    this.wanted.push({
      format,
      record,
      address,
      isReturn: returning !== undefined,
      isOnce,
      targets: new Map(),
      functions: new Map(),
      lastKey: Number.NaN,
      last: unresolved,
    });
  }

  private recordOf(event: number, format: EventFormat, source: Record['source'], isReturn: boolean): DatRecord {
    const { layout } = this;
    const record = new DatRecord(this.catalogue.events[event]!, source, format, layout, (hi, lo) => {
      const place = this.place(hi, lo);
      return place !== undefined && place.offset <= farthestEntry ? place.names : undefined;
    });
    this.records.push(record);
    record.event = event;
    record.name = format.id;
    record.isReturn = isReturn;
    record.comm = () => (record.pid === 0 ? '<idle>' : (layout.comms.get(record.pid) ?? '<...>'));
    return record;
  }

  /** The record of the function whose entry or return this is; nothing where it is not wanted. */
  private ofFunction(stream: CpuStream, wanted: Wanted, payload: number, length: number): DatRecord | undefined {
    const { address, format } = wanted;
    if (address === undefined || address.offset + address.size > length) {
      this.malformed.add(format.id, stream.position);
      return undefined;
    }
    const word = payload + (address.offset >>> 2);
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
    const { record, isResolved } = wanted.last;
    if (record !== undefined) return record;
    if (!isResolved) this.unresolved.add(format.id, stream.position);
    else this.tally.leave(format.id, stream.position);
    return undefined;
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
    if (isAtEntry) return this.known(inside, 'function', wanted);
    // The tracer sits at the beginning of each function, so the file's symbols do not have this one.
    if (isTracer) return unresolved;
    const alias = aliasEvent(format.name, this.catalogue);
    // In the middle of that very function its arguments are gone; in that of another one, the file's symbols lack it.
    if (alias !== notWanted) return this.known(alias === inside ? notWanted : alias, 'alias', wanted);
    // A uprobe's address is not the kernel's.
    const isKernel = hi >>> 28 === 0xf;
    return place === undefined && isKernel ? unresolved : this.known(notWanted, 'alias', wanted);
  }

  private known(event: number, source: 'function' | 'alias', { format, isReturn, functions }: Wanted): Target {
    if (event === notWanted) return unwanted;
    const key = `${source} ${event}`;
    let target = functions.get(key);
    if (target === undefined) {
      target = { isResolved: true, record: this.recordOf(event, format, source, isReturn) };
      functions.set(key, target);
    }
    return target;
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
    try {
      return this.functions?.at(hi, lo);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      this.sink.condition('damaged-metadata', 1, 0, error.message);
      this.functions = null;
      return undefined;
    }
  }
}
