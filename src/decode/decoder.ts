import type { ConditionSink } from '../events/conditions.js';
import { Timer, TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import type { Record } from '../input/record.js';
import { catalogue } from './catalogue.js';
import { functionDecoders } from './functions.js';
import { Learned } from './learned.js';
import { type Decode, tracepointDecoders } from './tracepoints.js';

/** Receives the canonical events of a recording. */
export interface EventSink extends ConditionSink {
  /** An event, which is the sink's from now on: it is used again once the sink releases it. */
  event(event: TimerEvent): void;
  /** A record that is no event but tells something of the recording: which source it came from. */
  seen(source: number): void;
}

/** By catalogue index: how a record becomes an event; undefined for evidence only. */
const decoders: readonly (Decode | undefined)[] = catalogue.events.map(
  ({ name }) =>
    (tracepointDecoders as Readonly<{ [name: string]: Decode }>)[name] ??
    (functionDecoders as Readonly<{ [name: string]: Decode }>)[name],
);

/** 1 for sources whose records concern a vcpu by the callback of their hrtimer: where it has no name, they show nothing. */
const byCallback = Uint8Array.from(catalogue.events, ({ name }) =>
  ['hrtimer_start', 'hrtimer_cancel', 'hrtimer_expire_entry', 'hrtimer_expire_exit'].includes(name) ? 1 : 0,
);

/** What a recording has shown of one source. */
class SourceState {
  /** Number of its records. */
  records = 0;
  isSeen = false;
  /** How a record becomes an event, once the source was seen. */
  decode: Decode | undefined = undefined;
}

/** Turns records into canonical events (specification §0.2, §3): one instance per recording. */
export class Decoder {
  readonly #sink: EventSink;
  readonly #learned = new Learned();
  /** Event name through which a probed function is read: a second probe of it repeats what the first said. */
  readonly #probeName = new Map<number, number>();
  /** By catalogue index. */
  readonly #sources: readonly SourceState[] = catalogue.events.map(() => new SourceState());

  constructor(sink: EventSink) {
    this.#sink = sink;
  }

  /** Names seen that tell the kernel's generation, a set of `TimerName`. */
  get timerNames(): number {
    return this.#learned.names;
  }

  /** By catalogue index: number of records of each source. */
  get sourceCounts(): readonly number[] {
    return this.#sources.map(({ records }) => records);
  }

  /** Further records of a source of which one says all. */
  repeated(source: number, records: number): void {
    this.#sources[source]!.records += records;
  }

  /** Decodes one record; emits at most one event. */
  record(record: Record): void {
    const source = this.#sources[record.event] as SourceState;
    source.records++;
    if (record.source !== 'tracepoint' && this.#isRepeated(record)) return;
    const decode = source.decode ?? this.#appear(record.event, source);
    if (decode === undefined) return;
    const event = TimerEvent.take();
    event.time = record.time;
    event.cpu = record.cpu;
    event.pid = record.pid;
    event.tgid = record.tgid;
    event.context = record.context;
    event.position = record.position;
    if (!decode(record, event, this.#learned)) return event.release();
    if (isPossible(event)) return this.#sink.event(event);
    this.#sink.condition('malformed-fields', 1, record.position, catalogue.events[record.event]!.name);
    event.release();
  }

  /** A source is seen for the first time, but for those whose records show nothing yet. */
  #appear(index: number, source: SourceState): Decode | undefined {
    const decode = decoders[index];
    if (!source.isSeen && (byCallback[index] === 0 || this.#learned.namesCallbacks)) {
      source.isSeen = true;
      source.decode = decode;
      this.#sink.seen(index);
    }
    return decode;
  }

  /** Records were lost on a CPU (specification §4.0, M2). */
  lost(cpu: number, count: number, time: number, position: number): void {
    const event = TimerEvent.take();
    event.kind = Kind.lost;
    event.hasDetails = true;
    event.cpu = cpu;
    event.lostCount = count;
    event.time = time;
    event.position = position;
    this.#sink.event(event);
  }

  /** Whether a function's record says nothing new: its return, or what another probe has shown. */
  #isRepeated(record: Record): boolean {
    // A return adds nothing that the entry and the tracepoints have not said.
    if (record.isReturn) return true;
    const name = this.#probeName.get(record.event);
    if (name === undefined) this.#probeName.set(record.event, record.name);
    return name !== undefined && name !== record.name;
  }
}

/** Whether a kernel can have written the record: no other contexts exist, and models and rules find theirs by number. */
function isPossible(event: TimerEvent): boolean {
  const { kind, timer } = event;
  if (kind !== Kind.timer_map) return timer >= Timer.unknown && timer <= Timer.hptimer;
  const { directVtimer, directPtimer, emulVtimer, emulPtimer } = event;
  return isContext(directVtimer) && isContext(directPtimer) && isContext(emulVtimer) && isContext(emulPtimer);
}

function isContext(timer: number): boolean {
  return timer >= Timer.unknown && timer <= Timer.hptimer;
}
