import { lostToTheEnd } from '../../events/event.js';
import { InputError } from '../errors.js';
import type { RecordSink } from '../record.js';
import { Byte, skipBlanks, textOf } from './bytes.js';

/** Nothing longer than this is a note of the tracer. */
const longestNote = 300;

/**
 * The lines of a tracer that are no events: headers, lost events, the beginning of a CPU's buffer. They are
 * few, so they may be read as text.
 */
export class Notes {
  /** The header says that the ring buffer was overwritten: CPUs begin at different times. */
  isOverwritten = false;
  private readonly sink: RecordSink;
  /** Called where the tracer says that a CPU's buffer begins. */
  private readonly started: (cpu: number, position: number) => void;
  /** Whether there were events before the line at hand. */
  private readonly isBehindEvents: () => boolean;

  constructor(sink: RecordSink, started: (cpu: number, position: number) => void, isBehindEvents: () => boolean) {
    this.sink = sink;
    this.started = started;
    this.isBehindEvents = isBehindEvents;
  }

  /**
   * Takes a line that is no event.
   *
   * @returns whether it was understood.
   */
  read(bytes: Uint8Array, start: number, end: number, position: number): boolean {
    const first = skipBlanks(bytes, start, end);
    if (first >= end) return true;
    const text = textOf(bytes, first, end, longestNote);
    if (bytes[first] === Byte.hash) return this.header(text, position);
    return this.loss(text, position) || this.report(text, position) || isContinuation(text);
  }

  /** `# tracer: nop`, `##### CPU 1 buffer started ####`, `# entries-in-buffer/entries-written: 681/116762   #P:2` */
  private header(text: string, position: number): true {
    this.start(text, position);
    const tracer = /^# tracer: (\S+)/.exec(text)?.[1];
    if (tracer?.startsWith('function_graph')) throw graphError(position, text);
    if (tracer !== undefined) this.anotherRecording(position);
    const entries = /entries-in-buffer\/entries-written: (\d+)\/(\d+)/.exec(text);
    if (entries && Number(entries[2]) > Number(entries[1])) this.isOverwritten = true;
    const latency = /^# latency: .*#(\d+)\/(\d+), CPU#/.exec(text);
    if (latency && Number(latency[2]) > Number(latency[1])) this.isOverwritten = true;
    const cpus = /#P:(\d{1,5})\b/.exec(text);
    this.cpus(cpus?.[1]);
    const kernel = /^# \S+ latency trace v\S+ on (\S+)/.exec(text);
    if (kernel?.[1]) this.sink.fact({ kernel: kernel[1] });
    return true;
  }

  /** No machine is without a CPU: such a note does not know. */
  private cpus(digits: string | undefined): void {
    if (Number(digits) > 0) this.sink.fact({ cpus: Number(digits) });
  }

  /** Behind events the first line of a header begins another recording: nothing of the one before holds. */
  private anotherRecording(position: number): void {
    if (this.isBehindEvents()) this.sink.discontinuity(position);
  }

  /** `##### CPU 1 buffer started ####`. @returns whether the text is that. */
  start(text: string, position: number): boolean {
    const cpu = /##### CPU (\d{1,5}) buffer started ####/.exec(text)?.[1];
    if (cpu !== undefined) this.started(Number(cpu), position);
    return cpu !== undefined;
  }

  /**
   * `CPU:0 [LOST 14448 EVENTS]` (kernel), `CPU:1 [214 EVENTS DROPPED]`, `CPU:1 [EVENTS DROPPED]` (trace-cmd).
   *
   * @returns whether the text is one of these.
   */
  loss(text: string, position: number): boolean {
    const found = /(?:^|[\s:])CPU:(\d{1,5}) \[(?:LOST (\d+) EVENTS|(?:(\d+) )?EVENTS DROPPED)\]/.exec(text);
    if (!found) return false;
    const count = found[2] ?? found[3];
    reportLoss(this.sink, Number(found[1]), count === undefined ? -1 : Number(count), position);
    return true;
  }

  /** What `trace-cmd report` says of the file: `cpus=2`, `version = 7`, `CPU 1 is empty`, behind a buffer's name. */
  private report(text: string, position: number): boolean {
    const cpus = /(?:^|: )cpus=(\d{1,5})$/.exec(text);
    if (cpus?.index === 0 && text.startsWith('cpus=')) this.anotherRecording(position);
    this.cpus(cpus?.[1]);
    return cpus !== null || /^version = \d+$|(?:^|: )CPU \d+ is empty$|CPU:\d+ \[SUBBUFFER START\]/.test(text);
  }
}

/** Tells the sink of lost records. @param count -1 when the trace does not say how many */
export function reportLoss(sink: RecordSink, cpu: number, count: number, position: number): void {
  // A damaged input may name any number of them: an exact one can be kept, added up and written.
  const counted = Math.min(count, Number.MAX_SAFE_INTEGER);
  sink.lost(cpu, count < lostToTheEnd ? count : -1, position);
  sink.condition('lost-events', counted > 0 ? counted : 1, position, cpu >= 0 ? `CPU ${cpu}` : undefined);
}

/** Lines of a stack trace (` => vcpu_load`), and what `trace-cmd report --debug` adds to an event. */
function isContinuation(text: string): boolean {
  return /^=> |^\*?\s*=> |^(?:PADDING|TIME EXTEND|TIME STAMP): /.test(text);
}

/** The refusal of function_graph output. */
export function graphError(position: number, found: string): InputError {
  return new InputError(
    `line ${position}: this is output of the function_graph tracer, which has neither thread nor event on a line ` +
      `(found \`${found.trim().slice(0, 80)}\`): record with the kvm, irq, timer and sched events instead, e.g. ` +
      '`trace-cmd record -e kvm -e irq -e hrtimer -e sched_switch`, with `nop` as current_tracer',
  );
}
