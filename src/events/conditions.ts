/**
 * Every way in which an input can be incomplete or strange: one table, so that no reader invents its own and
 * every report shows all of them. A condition is counted, never thrown; what makes an input unusable is an
 * `InputError` instead.
 *
 * Severity: `info` changes no verdict; `warning` says that the tool understood less than the trace holds;
 * `loss` says that the trace is incomplete inside, so that "no violation" is not "clean" (exit code 4 unless
 * `--allow-loss`).
 */
export const conditions = {
  'lost-events': {
    severity: 'loss',
    sentence: 'the recorder lost records of a CPU; what they would have shown is unknown',
  },
  'unmarked-loss': {
    severity: 'loss',
    sentence: "the recorder's statistics count lost records of a CPU, but no place in the trace shows where",
  },
  'missing-records': {
    severity: 'loss',
    sentence: "the recorder's statistics count more records of a CPU than the file holds; no place in it shows where",
  },
  'dropped-guest-samples': {
    severity: 'loss',
    sentence:
      'vcpus have run, and nothing between their loads and puts is here: up to Linux 6.12 perf script drops those records unless it is called with --guestkallsyms=/proc/kallsyms (a copy from the recorded machine)',
  },
  'missing-cpu-start': {
    severity: 'info',
    sentence: "a CPU's buffer begins later than the trace: overwritten before; unknown until then",
  },
  'missing-cpu-end': {
    severity: 'warning',
    sentence: "a CPU's buffer ends earlier than the trace while a thread was running there; unknown from then on",
  },
  'possible-gap': {
    severity: 'info',
    sentence:
      'an idle CPU of an overwritten buffer was silent for long; records may be missing, so its state is not trusted',
  },
  'filtered-by-thread': {
    severity: 'warning',
    sentence:
      'threads have run without a record: the recording or its report is filtered by thread, and what interrupts and timers did meanwhile is not known; leave the filter by pid out',
  },
  'event-switched-on-late': {
    severity: 'info',
    sentence:
      'events were switched on one after another while the trace was running; what came before is not judged; write 0 to tracing_on first, and 1 when all of them are on',
  },
  // What such a trace holds is understood whole: it holds no times.
  'timeless-clock': {
    severity: 'info',
    sentence:
      "the trace's clock counts records: their order is right, but what is shown in seconds is no time, and no deadline is judged; record with -C mono",
  },
  'time-backwards': {
    severity: 'warning',
    sentence: 'the clock of a CPU stepped back between two records; record order is kept',
  },
  'unparsed-line': {
    severity: 'warning',
    sentence: 'a line is neither an event nor a known note of the tracer; skipped',
  },
  'truncated-input': {
    severity: 'loss',
    sentence: 'the input ends early or its compressed data is damaged; what is whole was used',
  },
  'damaged-page': {
    severity: 'loss',
    sentence: 'a page of the ring buffer is damaged; its records from that place on were not used',
  },
  'unknown-event': {
    severity: 'loss',
    sentence: 'records of an event that the file does not describe; they may be of any kind and were not used',
  },
  'unread-buffer': {
    severity: 'loss',
    sentence:
      'a buffer of the file has another clock than the first one, so that its records have no order with those; not read',
  },
  'repeated-event': {
    severity: 'info',
    sentence: 'several buffers of the file recorded the same events of a CPU; those of the first buffer were used',
  },
  'damaged-metadata': {
    severity: 'warning',
    sentence: 'names of threads or functions in the file are damaged; the records were read without them',
  },
  'truncated-line': { severity: 'warning', sentence: 'the input ends inside a line; that line is not used' },
  'malformed-fields': {
    severity: 'warning',
    sentence:
      'a known event lacks a field that it must have, or has a value in one that does not exist; it, or that field, is not used',
  },
  'unresolved-function': {
    severity: 'info',
    sentence:
      'a probe shows only an address, and its name is not that of a function which a rule uses; not used, which is harmless unless it was meant to be one of them',
  },
  'hashed-pointers': {
    severity: 'info',
    sentence: 'pointers are printed as (____ptrval____): hrtimers and vcpus cannot be told apart by them',
  },
  'unused-event': { severity: 'info', sentence: 'records of event kinds that no model or rule uses' },
  'surrounding-text': { severity: 'info', sentence: 'lines around a dump in a kernel log, passed over' },
  'extra-dump': {
    severity: 'info',
    sentence: 'a further ftrace dump in the same log; each dump is read as a recording of its own, with unknown state',
  },
  'unattributed-event': {
    severity: 'info',
    sentence: 'timer events that cannot be given to one vcpu; no rule judges them',
  },
  'offset-changed': {
    severity: 'info',
    sentence:
      "a guest's counter was set to another value: from there on, all deadlines of the vcpu agree on another offset",
  },
  'vm-grouping-assumed': {
    severity: 'info',
    sentence:
      'which vcpus form a VM is assumed from thread names, vcpu ids and thread order; record with record-tgid to know',
  },
  'model-missing': {
    severity: 'warning',
    sentence: 'this version has no model for the kernel that recorded the trace; nothing was checked',
  },
  'model-undecided': {
    severity: 'warning',
    sentence: 'no evidence decides between kernel models; only rules common to the candidates run',
  },
  'model-contradiction': { severity: 'warning', sentence: 'a record contradicts the chosen kernel model' },
} as const satisfies Record<string, { severity: 'info' | 'warning' | 'loss'; sentence: string }>;

/** Name of a condition. */
export type ConditionKind = keyof typeof conditions;

/** Severity of a condition. */
export type ConditionSeverity = (typeof conditions)[ConditionKind]['severity'];

/** Receives conditions from readers and later rooms. */
export interface ConditionSink {
  /**
   * @param kind     which condition
   * @param count    how many records or lines it concerns, at least 1
   * @param position line or byte offset of the (first of these) place
   * @param detail   what exactly, where that differs from case to case (an event name, a CPU)
   */
  condition(kind: ConditionKind, count: number, position: number, detail?: string): void;
}
