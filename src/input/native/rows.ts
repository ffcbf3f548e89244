import type { ConditionSink } from '../../events/conditions.js';
import { TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import { type Cell, NativeRows } from '../../events/native.js';
import { InputError } from '../errors.js';
import type { RecordingFacts } from '../record.js';

/** Where a reader of the native notation delivers: it has events already, so nothing is left to decode. */
export interface NativeSink extends ConditionSink {
  /** The event is reused for the next row: copy what must last. Its `position` is the line. */
  event(event: TimerEvent): void;
  /** Number of rows since the last call. */
  counted(rows: number): void;
  /** A fact of the recording as a whole. */
  fact(facts: RecordingFacts): void;
}

/** What is common to the forms of the notation: rows become events, or an error that names the line. */
export class RowSink {
  private readonly rows = new NativeRows();
  private readonly lastTime = new Map<number, number>();
  private uncounted = 0;

  /**
   * @param sink    gets events, conditions and facts
   * @param explain says what is wrong with a row that could not be read
   */
  constructor(
    private readonly sink: NativeSink,
    private readonly explain: (cells: readonly Cell[]) => string,
  ) {}

  /** @throws InputError when the row is not valid */
  row(cells: readonly Cell[], line: number): void {
    const { sink } = this;
    const event = TimerEvent.take();
    if (!this.rows.read(cells, event)) throw new InputError(`line ${line}: ${this.explain(cells)}`);
    event.position = line;
    this.uncounted++;
    if (event.cpu >= 0) {
      if (event.time < (this.lastTime.get(event.cpu) ?? 0)) {
        sink.condition('time-backwards', 1, line, `CPU ${event.cpu}`);
      }
      this.lastTime.set(event.cpu, event.time);
    }
    if (event.kind === Kind.lost) {
      sink.condition('lost-events', Math.max(1, event.lostCount), line, `CPU ${event.cpu}`);
    }
    sink.event(event);
    event.release();
  }

  /** A directive: a fact about the recording that its author states. */
  fact(facts: RecordingFacts): void {
    this.sink.fact(facts);
  }

  /** Reports the rows since the last call. */
  count(): void {
    if (this.uncounted === 0) return;
    this.sink.counted(this.uncounted);
    this.uncounted = 0;
  }
}
