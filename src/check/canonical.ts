import type { ConditionKind } from '../events/conditions.js';
import type { TimerEvent } from '../events/event.js';
import type { StatedEnd } from '../events/native-facts.js';
import type { RecordingFacts } from '../input/record.js';

/**
 * Takes the canonical events of an input, and all that must be known beside them to judge them as the input's own. The
 * order of the calls is that of the input: what precedes an event was known before it.
 */
export interface CanonicalSink {
  fact(facts: RecordingFacts): void;
  /** From here on the recording has records of this tracepoint or probed function. */
  recorded(source: string): void;
  /** @param detail what exactly, where that differs from case to case */
  condition(kind: ConditionKind, count: number, detail: string | undefined): void;
  /** The event is reused: copy what must last. @param comm name of its thread, empty when not known */
  event(event: TimerEvent, comm: string): void;
  /** The last record of a CPU. */
  cpuEnd(end: StatedEnd): void;
  /** The input has ended. @param records those of a recording, the ones that gave no event included */
  end(records: number | undefined): void;
}
