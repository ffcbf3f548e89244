import { catalogue, Source, type SourceName } from '../decode/catalogue.js';
import { Decoder, type EventSink } from '../decode/decoder.js';
import type { ConditionKind } from '../events/conditions.js';
import type { TimerEvent } from '../events/event.js';
import { Kind, kindNames } from '../events/kinds.js';
import { emptyList } from '../events/list.js';
import { InputError } from '../input/errors.js';
import type { NativeSink } from '../input/native/rows.js';
import type { CpuRecords, Record as InputRecord, RecordingFacts, RecordSink } from '../input/record.js';
import { modelIds } from '../models/model.js';
import { LateEvents } from './late-events.js';
import { LeftOutThreads } from './left-out.js';

/** Most threads whose names are kept. */
const mostThreads = 65536;

/** No CPU and no thread has this number. */
const none = -0x80000000;

/** What a CPU has recorded. */
export class RecordingCpu {
  readonly index: number;
  /** Number of its records. */
  records = 0;
  /** Times of the first and the latest one, NaN where there is none. */
  firstTime = Number.NaN;
  lastTime = Number.NaN;
  /** The thread of the latest one, and whether it has recorded no entry since it came. */
  pid = none;
  isEntering = false;
  /** It came after another one's records, none lost since: its switch must be on record. */
  hasCome = false;
  /** The thread that ran then, 0 idle; `none` unknown. */
  current: number = none;
  /** Whether it has events. */
  hasEvents = false;

  constructor(index: number) {
    this.index = index;
  }
}

/**
 * From what a reader delivers to canonical events: decodes records, learns the names of threads, and counts what the
 * recording holds. What becomes of the events is left to those who extend it.
 */
export abstract class Intake implements RecordSink, NativeSink, EventSink {
  readonly format: string;
  /** Positions are byte offsets, not lines. */
  readonly binary: boolean;
  readonly recording: RecordingFacts = {};
  /** Time of the latest event, nanoseconds since the trace began. */
  lastTime = 0;
  /** By kind: number of events. */
  readonly kindCounts: Float64Array = new Float64Array(kindNames.length);
  protected readonly decoder: Decoder;
  /** What each CPU has recorded. */
  protected readonly recordingCpus: RecordingCpu[] = emptyList();
  /** That of the latest record, mostly that of the next as well. */
  #latest = new RecordingCpu(none);
  readonly #native: boolean;
  readonly #comms = new Map<number, string>();
  readonly #entered = new Set<number>();
  readonly #leftOut = new LeftOutThreads();
  readonly #late = new LateEvents();
  #counted = 0;

  constructor(format: string) {
    this.format = format;
    this.#native = format === 'native-csv' || format === 'native-jsonl';
    this.binary = format === 'trace-dat' || format === 'perf-data';
    this.decoder = new Decoder(this);
  }

  /** An event that is complete but for its vcpu. Whoever gets it releases it. */
  protected abstract take(event: TimerEvent): void;
  /** A record of this source, an index into the catalogue, is at hand. */
  abstract seen(source: number): void;
  /** The first event of a kind is at hand. */
  protected abstract appear(kind: Kind): void;
  /** A thread has run on a CPU without a record, until the switch at hand. */
  protected leftOut(pid: number, next: TimerEvent): void {
    this.condition('filtered-by-thread', 1, next.position, pid === 0 ? 'idle' : `thread ${pid}`);
  }

  abstract condition(kind: ConditionKind, count: number, position: number, detail?: string): void;

  /**
   * The trace is one whole story, as people write it by hand: what it does not show did not happen. A recording is
   * none, converted or not: each CPU had a buffer of its own, and of much there is no record.
   */
  get isStory(): boolean {
    return this.#native && this.recording.recording === undefined;
  }

  /** By index into the catalogue: number of records of each source. */
  get sourceCounts(): readonly number[] {
    return this.decoder.sourceCounts;
  }

  /** Number of records, wanted or not. */
  get records(): number {
    return this.recording.records ?? this.#counted;
  }

  /** Names seen so far that tell the kernel's generation, a set of `TimerName`. */
  protected get timerNames(): number {
    return this.decoder.timerNames | (this.recording.timerNames ?? 0);
  }

  record(record: InputRecord): void {
    const { event, pid } = record;
    const cpu = this.#cpu(record.cpu);
    // A CPU writes many records of one thread in a row: only a change is worth a look.
    if (pid !== cpu.pid) this.#switched(record, cpu);
    if (this.#late.looks[event] !== 0 && this.#late.record(event, record.cpu, pid)) this.#switchedOn(record);
    if (event === Source.kvm_entry && cpu.isEntering) {
      cpu.isEntering = false;
      if (!this.#entered.has(pid)) this.thread(pid, record.comm(), true);
    }
    cpu.records++;
    cpu.lastTime = record.time;
    this.decoder.record(record);
  }

  #cpu(index: number): RecordingCpu {
    const latest = this.#latest;
    return latest.index === index ? latest : this.#goTo(index);
  }

  #goTo(index: number): RecordingCpu {
    this.#latest = this.recordingCpus[index] ?? this.#addCpu(index);
    return this.#latest;
  }

  #addCpu(index: number): RecordingCpu {
    const cpu = new RecordingCpu(index);
    this.recordingCpus[index] = cpu;
    return cpu;
  }

  /** A CPU's first record, or its first of another thread than before. */
  #switched(record: InputRecord, cpu: RecordingCpu): void {
    const { pid } = record;
    if (cpu.records === 0) cpu.firstTime = record.time;
    else if (cpu.pid >= 0 && pid >= 0) {
      // What a thread records last comes after its switch (kvm_sched_out), and the switch may be from before the trace.
      if (cpu.hasCome) this.#late.switched();
      cpu.hasCome = true;
    }
    cpu.pid = pid;
    cpu.isEntering = true;
    cpu.current = pid;
    this.#leftOut.wrote(pid, record.event);
    if (!this.#comms.has(pid)) this.thread(pid, record.comm(), false);
  }

  /** An event was switched on while the trace was running: before, all that it would have shown is missing. */
  #switchedOn({ event, position }: InputRecord): void {
    this.condition('event-switched-on-late', 1, position, catalogue.events[event]!.name);
    this.discontinuity(position);
  }

  /** A thread's name as its first record shows it, and again at its first entry: a VMM renames its vcpu threads. */
  thread(pid: number, comm: string, isEntry: boolean): void {
    if (isEntry && !this.#entered.has(pid) && this.#entered.size < mostThreads) this.#entered.add(pid);
    else if (this.#comms.has(pid) || this.#comms.size >= mostThreads) return;
    this.#comms.set(pid, comm);
  }

  repeated(event: number, records: number): void {
    this.decoder.repeated(event, records);
  }

  counted(records: number): void {
    this.#counted += records;
  }

  lost(cpu: number, count: number, position: number): void {
    // A CPU that the trace does not name (a console that dropped lines) may be any of them.
    if (cpu >= 0) this.#lost(cpu, count, position);
    else this.#lostAnywhere(count, position);
  }

  #lost(index: number, count: number, position: number): void {
    const cpu = this.recordingCpus[index];
    if (cpu !== undefined) this.#forgetThread(cpu);
    this.decoder.lost(index, count, this.lastTime, position);
  }

  #lostAnywhere(count: number, position: number): void {
    this.recordingCpus.forEach((cpu, index) => {
      if (cpu.hasEvents) this.#lost(index, count, position);
      else this.#forgetThread(cpu);
    });
  }

  /** The thread may have changed meanwhile. */
  #forgetThread(cpu: RecordingCpu): void {
    this.#late.lost();
    cpu.pid = none;
    cpu.hasCome = false;
  }

  cpuStarted(cpu: number, position: number): void {
    this.#lost(cpu, 0, position);
  }

  discontinuity(position: number): void {
    this.#lostAnywhere(0, position);
  }

  recorded(source: string): void {
    // A later version may know more of them.
    if (Object.hasOwn(Source, source)) this.seen(Source[source as SourceName]);
  }

  cpuEnd(index: number, time: number, idle: boolean): void {
    const cpu = this.#cpu(index);
    if (Number.isNaN(cpu.firstTime)) cpu.firstTime = time;
    cpu.lastTime = time;
    cpu.current = idle ? 0 : none;
  }

  fact(facts: RecordingFacts): void {
    Object.assign(this.recording, facts);
    if (facts.model !== undefined && !(modelIds as readonly string[]).includes(facts.model))
      throw new InputError(`model: expected one of ${modelIds.join(', ')}, found "${facts.model}"`);
    if (facts.host !== undefined && facts.host !== 'vhe' && facts.host !== 'nvhe')
      throw new InputError(`host: expected vhe or nvhe, found "${facts.host}"`);
  }

  /** A canonical event, from the decoder or from the native notation: the caller must not release it. */
  event(event: TimerEvent): void {
    const { cpu: index, kind, time } = event;
    if (this.kindCounts[kind]!++ === 0) this.appear(kind);
    if (time > this.lastTime) this.lastTime = time;
    if (index >= 0) {
      const cpu = this.#cpu(index);
      cpu.hasEvents = true;
      if (this.#native && kind !== Kind.lost) this.#rowOf(event, cpu);
      if (kind === Kind.sched_switch) {
        cpu.current = event.otherPid;
        // The notation keeps only what concerns vcpus: of its switches many are left out.
        if (!this.#native && this.#leftOut.switched(event) && !this.#stops(index, this.#leftOut.ran))
          this.leftOut(this.#leftOut.ran, event);
      } else if (kind === Kind.lost) this.#leftOut.lost(index);
    }
    this.take(event);
  }

  #rowOf({ time, pid }: TimerEvent, cpu: RecordingCpu): void {
    if (Number.isNaN(cpu.lastTime)) cpu.firstTime = time;
    cpu.records++;
    cpu.lastTime = time;
    cpu.current = pid;
  }

  /** Number of CPUs that have events. */
  get cpus(): number {
    return this.recordingCpus.reduce((count, { hasEvents }) => count + (hasEvents ? 1 : 0), 0);
  }

  /** What each CPU recorded, in the order of the CPUs; the wanted records only, where the reader does not count all. */
  get cpuRecords(): readonly CpuRecords[] {
    if (this.recording.cpuRecords !== undefined) return this.recording.cpuRecords;
    return this.recordingCpus.flatMap(({ records, firstTime, lastTime }, cpu) =>
      records > 0 ? [{ cpu, records, first: firstTime, last: lastTime }] : [],
    );
  }

  /**
   * By CPU: time of its last record, NaN where it has none. The wanted ones count where the reader does not tell of
   * all; in several buffers together a later record of the one shows nothing of the other.
   */
  protected get lastTimes(): number[] {
    const times = Array.from(this.recordingCpus, (cpu) => cpu?.lastTime ?? Number.NaN);
    if ((this.recording.buffers?.length ?? 1) > 1) return times;
    for (const { cpu, last } of this.recording.cpuRecords ?? []) {
      if (last > (times[cpu] ?? Number.NaN)) times[cpu] = last;
    }
    return times;
  }

  /** Whether nothing ran on a CPU after its last record: it was idle, or went offline. */
  protected rests(cpu: number): boolean {
    const current = this.recordingCpus[cpu]?.current ?? none;
    return current === 0 || this.#stops(cpu, current);
  }

  /** Whether a thread is the CPU's stopper, which takes it offline: from then on it records nothing (take_cpu_down). */
  #stops(cpu: number, pid: number): boolean {
    return this.comm(pid) === `migration/${cpu}`;
  }

  /** Name of a thread, empty when no record named it. */
  comm(pid: number): string {
    return this.#comms.get(pid) ?? '';
  }
}
