import { catalogue } from '../decode/catalogue.js';
import type { ConditionKind } from '../events/conditions.js';
import type { TimerEvent } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import { inputFormats } from '../input/index.js';
import type { RecordingFacts } from '../input/record.js';
import type { CanonicalSink } from './canonical.js';
import { Conditions } from './conditions.js';
import type { ConditionSummary } from './facts.js';
import { Intake } from './intake.js';
import { type Input, readInput } from './read.js';

/** How far a conversion has come. */
export interface Conversion {
  /** Format of the input. */
  readonly format: string;
  /** Bytes read. */
  readonly bytes: number;
  /** Records read, of any event. */
  readonly records: number;
  /** Events delivered, marks of lost records not counted. */
  readonly events: number;
  /** How the input was incomplete or strange, in the order of the table. */
  conditions(): readonly ConditionSummary[];
}

/** Conditions that the rows of a whole story show by themselves. */
const shownByRows: readonly ConditionKind[] = ['lost-events', 'time-backwards'];

/** Hands on the canonical events of one input as they come; nothing is kept, so memory does not grow with it. */
class ConversionRun extends Intake implements Conversion {
  bytes = 0;
  events = 0;
  readonly #sink: CanonicalSink;
  readonly #conditions = new Conditions();
  readonly #seen = new Uint8Array(catalogue.events.length);

  constructor(format: string, sink: CanonicalSink) {
    super(format);
    this.#sink = sink;
    if (!this.isStory) sink.fact({ recording: format });
  }

  seen(source: number): void {
    if (this.#seen[source] === 1) return;
    this.#seen[source] = 1;
    this.#sink.recorded(catalogue.events[source]!.name);
  }

  protected appear(): void {}

  condition(kind: ConditionKind, count: number, position: number, detail?: string): void {
    this.#conditions.add(kind, count, position, detail);
    if (!this.isStory || !shownByRows.includes(kind)) this.#sink.condition(kind, count, detail);
  }

  override fact(facts: RecordingFacts): void {
    super.fact(facts);
    // The records are counted at the end.
    const { records: _, ...others } = facts;
    this.#sink.fact(others);
  }

  protected take(event: TimerEvent): void {
    if (event.kind !== Kind.lost) this.events++;
    const { timerNames } = this;
    if (timerNames !== (this.recording.timerNames ?? 0)) this.fact({ timerNames });
    this.#sink.event(event, this.comm(event.pid));
    event.release();
  }

  end(): void {
    if (!this.isStory) {
      const times = this.lastTimes;
      this.recordingCpus.forEach((_, cpu) => {
        const time = times[cpu] as number;
        if (!Number.isNaN(time)) this.#sink.cpuEnd({ cpu, time, idle: this.rests(cpu) });
      });
    }
    this.#sink.end(this.isStory ? undefined : this.records);
  }

  conditions(): readonly ConditionSummary[] {
    return this.#conditions.summary((position) => (this.binary ? { offset: position } : { line: position }));
  }
}

/**
 * Reads an input to its end and hands on its canonical events: those that its records are, before any are derived.
 *
 * @param inputFormat by default recognised by the content
 * @yields how far it has come, after each chunk and at the end; the object is the same every time
 * @throws InputError when the input cannot be read: what came before has been handed on
 * @throws RangeError for an input format that does not exist
 */
export async function* convert(
  input: Input,
  sink: CanonicalSink,
  inputFormat?: string,
): AsyncGenerator<Conversion, void, undefined> {
  if (inputFormat !== undefined && !inputFormats.includes(inputFormat))
    throw new RangeError(`unknown input format '${inputFormat}': expected one of ${inputFormats.join(', ')}`);
  let run: ConversionRun | undefined;
  const begin = (format: string): ConversionRun => {
    run = new ConversionRun(format, sink);
    return run;
  };
  for await (const bytes of readInput(input, inputFormat, begin)) {
    const current = run as unknown as ConversionRun;
    current.bytes = bytes;
    yield current;
  }
  const ended = run as unknown as ConversionRun;
  ended.end();
  yield ended;
}
