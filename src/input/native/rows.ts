import type { ConditionSink } from '../../events/conditions.js';
import { TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { type Cell, NativeRows } from '../../events/native.js';
import { columnIndex } from '../../events/native-columns.js';
import { countPattern, frequencyRange, parseCondition, parseCpuEnd, parseOrigin } from '../../events/native-facts.js';
import { parseTimerNames } from '../../events/timer-names.js';
import { isFormat } from '../detect.js';
import { InputError } from '../errors.js';
import type { RecordingFacts } from '../record.js';

/** Where a reader of the native notation delivers: it has events already, so nothing is left to decode. */
export interface NativeSink extends ConditionSink {
  /** An event, which is the sink's from now on: it is used again once the sink releases it. Its `position` is the line. */
  event(event: TimerEvent): void;
  /** Number of rows since the last call. */
  counted(rows: number): void;
  /** A fact of the recording as a whole. */
  fact(facts: RecordingFacts): void;
  /** The recording has records of this tracepoint or probed function. */
  recorded(source: string): void;
  /** The name of a thread, as the row of an event shows it, which is given next. */
  thread(pid: number, comm: string, isEntry: boolean): void;
  /** The last record of a CPU; the time counts from the first record of the trace, in nanoseconds. */
  cpuEnd(cpu: number, time: number, idle: boolean): void;
}

/** How much of a value a message shows. */
const shown = 80;

const commColumn = columnIndex.get('comm')!;

/** What is common to the forms of the notation: rows become events, or an error that names the line. */
export class RowSink {
  private readonly rows = new NativeRows();
  private readonly lastTime = new Map<number, number>();
  private uncounted = 0;
  /** The rows are those of a converted recording, and its facts are what `timervet convert` wrote. */
  isRecording = false;

  /**
   * @param sink    gets events, conditions and facts
   * @param explain says what is wrong with a row that could not be read, given the origin of its time
   */
  constructor(
    private readonly sink: NativeSink,
    private readonly explain: (cells: readonly Cell[], origin: bigint | undefined) => string,
  ) {}

  /** @throws InputError when the row is not valid */
  row(cells: readonly Cell[], line: number): void {
    const { sink } = this;
    const event = TimerEvent.take();
    if (!this.rows.read(cells, event)) throw new InputError(`line ${line}: ${this.explain(cells, this.rows.origin)}`);
    event.position = line;
    const comm = cells[commColumn];
    if (typeof comm === 'string' && comm !== '?' && event.pid >= 0)
      sink.thread(event.pid, comm, event.kind === Kind.entry);
    // In a converted recording the conditions are stated, and a loss is no record.
    if (this.isRecording) {
      if (event.kind !== Kind.lost) this.uncounted++;
    } else {
      this.uncounted++;
      this.conditions(event, line);
    }
    sink.event(event);
  }

  /** What the rows of a whole story say of its quality. */
  private conditions(event: TimerEvent, line: number): void {
    const { sink } = this;
    if (event.cpu >= 0) {
      if (event.time < (this.lastTime.get(event.cpu) ?? 0)) {
        sink.condition('time-backwards', 1, line, `CPU ${event.cpu}`);
      }
      this.lastTime.set(event.cpu, event.time);
    }
    if (event.kind === Kind.lost) {
      sink.condition('lost-events', Math.max(1, event.lostCount), line, `CPU ${event.cpu}`);
    }
  }

  /**
   * A fact about the recording that its author states.
   *
   * @returns false when the value is none that the fact can have
   */
  fact(name: string, value: string | number, line: number): boolean {
    const { sink } = this;
    const text = String(value);
    switch (name) {
      case 'model':
      case 'host':
      case 'kernel':
      case 'clock':
        sink.fact({ [name]: text });
        return true;
      case 'cpus':
        if (!/^[1-9][0-9]{0,5}$/.test(text)) return false;
        sink.fact({ cpus: Number(text) });
        return true;
      case 'frequency':
        if (!/^\d{1,11}$/.test(text) || Number(text) < frequencyRange.min || Number(text) > frequencyRange.max)
          return false;
        sink.fact({ frequency: Number(text) });
        return true;
      case 'count':
        if (!countPattern.test(text)) return false;
        sink.fact({ count: BigInt(text) });
        return true;
      case 'recording':
        if (!isFormat(text)) return false;
        this.isRecording = true;
        sink.fact({ recording: text });
        return true;
      case 'recorded':
        sink.recorded(text);
        return true;
      case 'origin': {
        const origin = parseOrigin(text);
        if (origin === undefined) return false;
        this.rows.origin = origin;
        sink.fact({ origin });
        return true;
      }
      case 'timer-names': {
        const timerNames = parseTimerNames(text);
        if (timerNames === undefined) return false;
        sink.fact({ timerNames });
        return true;
      }
      case 'condition': {
        const stated = parseCondition(text);
        if (stated === undefined) return false;
        sink.condition(stated.kind, stated.count, line, stated.detail);
        return true;
      }
      case 'cpu-end': {
        const end = parseCpuEnd(text);
        if (end === undefined) return false;
        sink.cpuEnd(end.cpu, end.time, end.idle);
        return true;
      }
      case 'records':
        if (!/^\d{1,15}$/.test(text)) return false;
        sink.fact({ records: Number(text) });
        return true;
      default:
        return false;
    }
  }

  /** Reports the rows since the last call. */
  count(): void {
    if (this.uncounted === 0) return;
    this.sink.counted(this.uncounted);
    this.uncounted = 0;
  }
}

/** An error about a fact of a converted recording whose value could not be read. */
export function unknownValue(value: unknown): string {
  return `expected a value that timervet convert writes, found ${JSON.stringify(value).slice(0, shown)}`;
}
