import type { ConditionKind, ConditionSeverity } from '../events/conditions.js';
import type { KindName } from '../events/kinds.js';
import type { Severity } from '../rules/rule.js';
import type { EvidenceName } from '../timing/evidence.js';
import type { Naming } from './findings.js';
import type { Observer } from './observe.js';

/** `clean`: checked, and it held. `inconclusive`: nothing was checked, or events were lost inside the trace. */
export type Verdict = 'clean' | 'violations' | 'inconclusive';

/** A place in an input: a line of text or a byte offset. */
export interface Position {
  readonly line?: number;
  readonly offset?: number;
}

/** Who a vcpu is, as far as the trace tells. VM numbers are made up by the tool, from 0. */
export interface VcpuName {
  readonly vm: number;
  /** The kernel's vcpu_id; -1 when no record named it. */
  readonly id: number;
  readonly pid: number;
  readonly comm: string;
}

/** One event of a finding's witness: the chain that proves it. */
export interface WitnessEvent {
  /** Seconds in the trace's clock with nine decimals. */
  readonly time: string;
  readonly cpu: number;
  readonly pid: number;
  readonly comm: string;
  readonly position: Position;
  /** Canonical kind. */
  readonly event: string;
  /** The event in the kernel's spelling, as the trace shows it. */
  readonly text: string;
  /** How the event is known: recorded, derived, approximate. */
  readonly certainty: string;
  /** True for the event at which the rule answered. */
  readonly decisive: boolean;
}

/** A bug that the timer code has had, as a finding names it. */
export interface BugName {
  /** `bug-01` to `bug-29`, `W1` to `W15`; what `explain` takes. */
  readonly id: string;
  /** The commit that fixed it first, then others that belong to it; empty where none is known. */
  readonly commits: readonly string[];
  readonly title: string;
  /** Kernels that had it. */
  readonly kernels: string;
}

/** Where something was recorded. */
export interface Occurrence {
  /** Seconds in the trace's clock with nine decimals. */
  readonly time: string;
  readonly cpu: number;
  readonly pid: number;
  readonly position: Position;
  /** Of a violation that went on: how often it happened from there on. */
  count?: number;
}

/** One occurrence of a violation that went on, a storm or a livelock: its beginning, its count and its end. */
export interface Episode extends Occurrence {
  /** The finding's sentence about this occurrence. */
  message: string;
  /** Times that it happened, the first one included; final once it has ended. */
  count: number;
  /** When it happened last. */
  last: string;
  /** Seconds from the first to the last time with nine decimals. */
  duration: string;
  /** The event that brought it about, null where none is known. */
  cause: WitnessEvent | null;
  /** The event that ended it, null while it goes on and where none did. */
  end: WitnessEvent | null;
  /** How it ended, as a sentence; null while it goes on. */
  ended: string | null;
}

/** A violated invariant at one place; further ones with the same fingerprint are counted in `count`. */
export interface Finding {
  readonly rule: string;
  /** Which of the rule's messages: the sub-diagnosis. */
  readonly diagnosis: string;
  /** Whose violation it is, `vtimer` or `ptimer`; null where the rule does not tell timers apart. */
  readonly timer: string | null;
  readonly severity: Severity;
  /** Null when the event belongs to no vcpu. The VM's number is final only in the trace's summary. */
  vcpu: VcpuName | null;
  readonly cpu: number;
  /** Seconds in the trace's clock with nine decimals. */
  readonly time: string;
  readonly position: Position;
  /** One sentence. */
  message: string;
  /** The argument: these events, then this must hold, but that happened, therefore this follows. */
  argument: {
    readonly given: string;
    readonly must: string;
    readonly but: string;
    readonly therefore: string;
  };
  /** Known bugs of which it is the sign, among those that the recorded kernel may have. */
  readonly bugs: readonly BugName[];
  readonly witness: readonly WitnessEvent[];
  /** State of the vcpu and CPU before and after the decisive event, in the kernel's field names. */
  readonly before: Readonly<Record<string, string>>;
  readonly after: Readonly<Record<string, string>>;
  /** Sixteen hexadecimal digits that do not depend on times, pids, addresses or vcpu numbers. */
  readonly fingerprint: string;
  /** How often this finding occurred; final only in the trace's summary. */
  count: number;
  /** Where the first occurrences were (bounded), the first one included. */
  readonly occurrences: Occurrence[];
  /** Of a violation that goes on: `count` is the sum of all episodes' counts, each has one entry in `occurrences`. */
  readonly episodes?: {
    /** Number of episodes. */
    count: number;
    /** The first one: that of the finding's time, message and witness. */
    readonly first: Episode;
    /** The one with the highest count. */
    longest: Episode;
  };
}

/** How often a rule was decided, and why not. */
export interface RuleCoverage {
  held: number;
  violated: number;
  undecided: number;
  /** Undecided evaluations by reason. */
  reasons: Record<string, number>;
}

/** What became of a rule in a trace. */
export type RuleStatus =
  /** evaluated and never violated */
  | 'held'
  | 'violated'
  /** evaluated, never decided */
  | 'undecided'
  /** no event evaluated it; `reason` says what was missing */
  | 'not-exercised'
  /** the model has no such rule */
  | 'not-applicable'
  /** switched off by the user */
  | 'off';

export interface RuleSummary extends RuleCoverage {
  readonly status: RuleStatus;
  readonly severity: Severity | 'off';
  /** Why the rule was not decided, for the statuses that need a reason. */
  readonly reason?: string;
  /** Coverage by vcpu, in the order of the trace's `vcpus`. */
  readonly byVcpu: readonly { readonly held: number; readonly violated: number; readonly undecided: number }[];
}

export interface ConditionSummary {
  readonly kind: ConditionKind;
  readonly severity: ConditionSeverity;
  readonly sentence: string;
  count: number;
  /** First place. */
  readonly position: Position;
  /** Count by detail (event name, CPU), where there are details. */
  readonly details: Record<string, number>;
}

export interface VcpuSummary extends VcpuName {
  /** Whether the VM is `recorded` (thread group, offset, or native column) or `assumed`. */
  readonly vmCertainty: 'recorded' | 'derived' | 'assumed';
  /** Seconds in the trace's clock from which the vcpu's load state is known; null when never. */
  readonly knownSince: string | null;
  readonly events: number;
}

export interface ModelChoice {
  /** The chosen model, or null when several remain. */
  readonly id: string | null;
  readonly candidates: readonly string[];
  /** Each piece of evidence as a sentence, in order of appearance. */
  readonly reasons: readonly string[];
}

export interface HostChoice {
  readonly id: 'vhe' | 'nvhe' | null;
  readonly reasons: readonly string[];
}

/** What a trace shows of the counter of one timer, against its own clock (specification §6). */
export interface CounterSummary {
  /** Null where CNTVOFF was given: then all timers of all vcpus have one counter. */
  readonly vcpu: VcpuName | null;
  readonly timer: 'vtimer' | 'ptimer';
  /** Constraints that agreed, by what they are taken from; `armed` are equalities. */
  readonly constraints: Readonly<Record<EvidenceName, number>>;
  /** Bounds of the count at the end of the trace, hexadecimal; null where there is none. */
  readonly least: string | null;
  readonly most: string | null;
  /** Distance of the two, nanoseconds; null where one is missing. */
  readonly width: number | null;
  /** How often the counter was set to another value. */
  readonly changes: number;
  /** Where the first changes show, in seconds of the trace's clock with nine decimals, and by how much, nanoseconds. */
  readonly changed: readonly { readonly time: string; readonly position: Position; readonly by: number }[];
}

/** What a trace shows of the system counter. */
export interface TimingSummary {
  /** Hz; null where neither the trace shows nor the user gives it. */
  readonly frequency: number | null;
  readonly source: 'given' | 'inferred' | null;
  readonly counters: readonly CounterSummary[];
}

/** Records of one name. */
export interface SourceSummary {
  /** Tracepoint, or probed function; the name of the probe where its function is not known. */
  readonly name: string;
  readonly records: number;
  readonly use: 'used' | 'not used' | 'not resolved' | 'malformed';
}

/** Kinds of events of which one is needed and none is recorded. */
export interface MissingKinds {
  readonly kinds: readonly KindName[];
  /** Rules that cannot be decided without. */
  readonly rules: readonly string[];
  /** `system:tracepoint` or function to probe; null where the kernel has nothing that records it. */
  readonly source: string | null;
  /** Not all of the kernels that may have recorded the trace have the source. */
  readonly mayLack: boolean;
}

export interface RecordingAdvice {
  readonly missing: readonly MissingKinds[];
  /** Shell commands of a recording that has what is missing and what there was; none when nothing can be added. */
  readonly commands: readonly string[];
}

/** What was recorded, and what a recording could add. */
export interface RecordingSummary {
  /** Format of the recording that a native trace was converted from. */
  readonly convertedFrom: string | null;
  /** Version of the file format, and the compression inside the file. */
  readonly version: string | null;
  readonly compression: string | null;
  readonly buffers: readonly {
    readonly name: string;
    readonly clock: string | null;
    readonly cpus: number | null;
    readonly pageSize: number | null;
  }[];
  /** First and last are seconds in the trace's clock with nine decimals. */
  readonly cpus: readonly {
    readonly cpu: number;
    readonly records: number;
    readonly first: string;
    readonly last: string;
    readonly lost: number;
  }[];
  /** The most frequent first. */
  readonly sources: readonly SourceSummary[];
  readonly kinds: readonly { readonly kind: KindName; readonly events: number }[];
  /** Kinds of which the trace has records, or would have if they had happened. */
  readonly shown: readonly KindName[];
  readonly advice: RecordingAdvice;
}

/** All that is known of one trace at its end. */
export interface TraceSummary {
  readonly path: string;
  /** Format id, see `--input-format`. */
  readonly format: string;
  /** Kernel release where the input names it. */
  readonly kernel: string | null;
  readonly clock: string | null;
  readonly model: ModelChoice;
  readonly host: HostChoice;
  /** Records in the input, of any event. */
  readonly events: number;
  /** Canonical timer events among them, derived ones not counted. */
  readonly timerEvents: number;
  readonly cpus: number;
  /** Seconds from the first to the last record with nine decimals. */
  readonly duration: string;
  readonly vcpus: readonly VcpuSummary[];
  readonly vms: number;
  readonly verdict: Verdict;
  /** Why the verdict is what it is, as sentences. */
  readonly because: readonly string[];
  readonly conditions: readonly ConditionSummary[];
  readonly recording: RecordingSummary;
  readonly timing: TimingSummary;
  readonly rules: Readonly<Record<string, RuleSummary>>;
  readonly findings: readonly Finding[];
  /** Distinct findings beyond `--max-findings`, not in `findings`. */
  readonly findingsOmitted: number;
}

/** An input that could not be read; the run goes on with the next one. */
export interface TraceFailure {
  readonly path: string;
  /** What was expected, found, and what to do. */
  readonly error: string;
}

export interface RunSummary {
  readonly verdict: Verdict;
  /** 0, 1, 3 or 4, see the design's table. */
  readonly exitCode: number;
  readonly traces: readonly TraceSummary[];
  readonly failures: readonly TraceFailure[];
  /** Coverage over all traces. */
  readonly rules: Readonly<Record<string, RuleCoverage>>;
}

/** The stream of facts that a check yields; every reporter is a consumer of it. */
export type Fact =
  | { readonly type: 'trace-start'; readonly path: string; readonly format: string }
  /** As soon as it is decided. */
  | { readonly type: 'model'; readonly path: string; readonly model: ModelChoice; readonly host: HostChoice }
  /** The first occurrence of a finding, as it is found. */
  | { readonly type: 'finding'; readonly path: string; readonly finding: Finding }
  /** The first episode of such a finding has ended. */
  | { readonly type: 'finding-end'; readonly path: string; readonly finding: Finding }
  /** Every so often, for a progress line. */
  | { readonly type: 'progress'; readonly path: string; readonly bytes: number; readonly events: number }
  | { readonly type: 'trace-end'; readonly path: string; readonly summary: TraceSummary }
  | { readonly type: 'trace-failed'; readonly path: string; readonly failure: TraceFailure }
  | { readonly type: 'run-end'; readonly run: RunSummary };

export interface CheckOptions {
  /** Model id, or automatic. */
  readonly model?: string;
  readonly host?: 'vhe' | 'nvhe';
  /** Format id, or by content. */
  readonly inputFormat?: string;
  /** Severity overrides by rule id. */
  readonly rules?: Readonly<Record<string, Severity | 'off'>>;
  /** Least severity that makes the verdict `violations`; default `warning`. */
  readonly failOn?: Severity;
  /** Accept lost events: they no longer make the run inconclusive. */
  readonly allowLoss?: boolean;
  /** Most distinct findings kept per trace; default 100. */
  readonly maxFindings?: number;
  /** Makes an observer for each trace. */
  readonly observe?: (naming: Naming) => Observer;
  /** Longest delay that is only late, nanoseconds: beyond it an interrupt or wakeup counts as missing; default 100 ms. */
  readonly maxLatency?: number;
  /** Frequency of the counter, Hz, instead of the one that the trace shows. */
  readonly frequency?: number;
  /** CNTVOFF of all virtual machines, counts: their virtual and physical timers then are one. */
  readonly cntvoff?: bigint;
}
