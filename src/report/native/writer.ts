import type { CanonicalSink } from '../../check/canonical.js';
import type { ConditionKind } from '../../events/conditions.js';
import type { TimerEvent } from '../../events/event.js';
import { eventColumns, nativeHeader, nativeObject, nativeRow } from '../../events/native.js';
import type { ColumnName } from '../../events/native-columns.js';
import { formatCondition, formatCpuEnd, formatTime, type StatedEnd } from '../../events/native-facts.js';
import { formatOrigin } from '../../events/native-values.js';
import { formatTimerNames } from '../../events/timer-names.js';
import type { NativeForm } from '../formats.js';
import { withoutControls } from '../printable.js';

/** The facts of a recording that the notation has a name for; each is undefined where it is not known. */
type Facts = Parameters<CanonicalSink['fact']>[0];

/** One line of a form: a fact, or an event. */
interface Lines {
  readonly header: string;
  fact(name: string, value: string | number): string;
  event(event: TimerEvent, time: string, comm: string): string;
}

/**
 * Columns of a CSV trace behind those written by hand: time, which counts from the trace's own origin, and comm, which
 * is no field of an event. What nearly all events have comes first, in about the order of an ftrace line.
 */
const leading: readonly ColumnName[] = ['pid', 'tgid', 'cpu', 'context', 'vm', 'vcpu', 'pointer', 'certainty', 'event'];
const csvColumns: readonly ColumnName[] = [
  ...leading,
  ...eventColumns.filter((name) => name !== 'time' && !leading.includes(name)),
];

/** A cell of text: quoted where it would not be read as it stands. */
function cell(text: string): string {
  return /[",]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const csv: Lines = {
  header: `time,comm,${nativeHeader(csvColumns)}\n`,
  fact: (name, value) => `# ${name}: ${value}\n`,
  event: (event, time, comm) => `${time},${cell(comm)},${nativeRow(event, csvColumns)}\n`,
};

const jsonl: Lines = {
  header: '',
  fact: (name, value) => `${JSON.stringify({ [name]: value })}\n`,
  event: (event, time, comm) => `${JSON.stringify({ ...nativeObject(event), time, ...(comm !== '' && { comm }) })}\n`,
};

/**
 * Writes canonical events in the native notation; the text is taken off piece by piece. A thread may call itself
 * anything: what would end a line, or steer the terminal that shows it, is written as `?`.
 */
export class NativeWriter implements CanonicalSink {
  readonly #lines: Lines;
  #text: string[] = [];
  #origin: bigint | undefined;
  #headed = false;

  constructor(form: NativeForm) {
    this.#lines = form === 'csv' ? csv : jsonl;
  }

  /** What has been written since the last call. */
  taken(): string {
    const text = this.#text.join('');
    this.#text = [];
    return text;
  }

  fact(facts: Facts): void {
    const { recording, model, host, kernel, clock, cpus, origin } = facts;
    for (const [name, value] of Object.entries({ recording, model, host, kernel, clock, cpus }))
      if (value !== undefined) this.#fact(name, value);
    if (facts.frequency !== undefined) this.#fact('frequency', facts.frequency);
    if (facts.count !== undefined) this.#fact('count', `0x${facts.count.toString(16)}`);
    if (facts.timerNames !== undefined) this.#fact('timer-names', formatTimerNames(facts.timerNames));
    if (origin === undefined) return;
    // Rows from here on have times of the trace's clock.
    this.#origin = origin;
    this.#fact('origin', formatOrigin(origin));
  }

  recorded(source: string): void {
    this.#fact('recorded', source);
  }

  condition(kind: ConditionKind, count: number, detail: string | undefined): void {
    this.#fact('condition', formatCondition(kind, count, detail));
  }

  event(event: TimerEvent, comm: string): void {
    this.#header();
    this.#text.push(this.#lines.event(event, formatTime(event.time, this.#origin), withoutControls(comm)));
  }

  cpuEnd(end: StatedEnd): void {
    this.#fact('cpu-end', formatCpuEnd(end));
  }

  end(records: number | undefined): void {
    this.#header();
    if (records !== undefined) this.#fact('records', records);
  }

  #header(): void {
    if (!this.#headed) this.#text.push(this.#lines.header);
    this.#headed = true;
  }

  #fact(name: string, value: string | number): void {
    this.#text.push(this.#lines.fact(name, typeof value === 'string' ? withoutControls(value) : value));
  }
}
