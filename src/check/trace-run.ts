import { bugsBehind } from '../bugs/index.js';
import { catalogue } from '../decode/catalogue.js';
import type { ConditionKind } from '../events/conditions.js';
import { TimerEvent } from '../events/event.js';
import { Kind, type KindName, kindNames } from '../events/kinds.js';
import { formatOrigin } from '../events/native-values.js';
import { InputError } from '../input/errors.js';
import type { RecordingFacts } from '../input/record.js';
import type { Host } from '../machine/machine.js';
import { type Choice, Evidence } from '../models/choose.js';
import { models } from '../models/index.js';
import type { ModelId } from '../models/model.js';
import type { Rule } from '../rules/rule.js';
import type { Feeds } from '../track/feeds.js';
import { Tracker } from '../track/tracker.js';
import { Batch } from './batch.js';
import { Conditions } from './conditions.js';
import type { CheckOptions, Fact, HostChoice, ModelChoice, Position, TraceSummary, VcpuName } from './facts.js';
import type { Naming } from './findings.js';
import { Intake } from './intake.js';
import { Judge, type JudgeSetup } from './judge.js';
import type { Observer } from './observe.js';
import { Recorded } from './recorded.js';
import { summarise } from './summary.js';
import { groupVms, type VmGrouping } from './vms.js';

/** Most events held back until the model is chosen: enough for a recording's first seconds, bounded for a pipe. */
const heldBack = 4096;
/** Most events that are taken before they are judged in one go. */
const batchSize = 64;
/** Fewest events that show what a trace records. */
const fewest = 64;
/** Trace time after which a decisive choice is not waited for any longer, nanoseconds. */
const patience = 1_000_000_000;

/** A CPU that was running a thread and has recorded nothing for so long has lost its end; nanoseconds, five ticks. */
const earlyEnd = 20_000_000;
/** What a vcpu writes between its load and its put: of those every recording of vcpus has some. */
const whileLoaded = [Kind.entry, Kind.exit, Kind.restore, Kind.save, Kind.update_irq];

/**
 * The run of one trace: takes records or canonical events, holds the first ones back until the evidence has
 * chosen the model, and passes the rest through tracker, model and rules as they come.
 */
export class TraceRun extends Intake {
  readonly path: string;
  /** Facts that wait to be yielded. */
  readonly facts: Fact[] = [];
  readonly #options: CheckOptions;
  readonly #rules: readonly Rule[];
  readonly conditions = new Conditions();
  readonly #evidence = new Evidence();
  readonly shown = new Recorded(() => this.isStory);
  /** The first events, until the model is chosen. */
  #pending: TimerEvent[] = [];
  #tracker: Tracker | undefined;
  #judge: Judge | undefined;
  #choice: Choice | undefined;
  #firstTime = -1;
  #lastPosition = 0;
  #grouping: VmGrouping | undefined;
  #contradicted = false;
  readonly #observer: Observer | undefined;
  readonly #naming: Naming = {
    time: (relative) => this.time(relative),
    position: (position) => this.position(position),
    vcpu: (index) => this.#vcpuName(index),
    comm: (pid) => this.comm(pid),
    bugs: (rule, diagnosis, timer) =>
      bugsBehind({
        rule,
        diagnosis,
        ...(timer !== undefined && { timer }),
        candidates: this.#choice?.candidates ?? [],
        release: this.recording.kernel,
      }).map(({ id, commits, title, kernels }) => ({ id, commits, title, kernels })),
  };
  #feeds: Feeds | undefined;
  /** Events that are to be attributed, and those that are to be judged: with what is derived, they are more. */
  readonly #taken = new Batch(batchSize);
  readonly #attributed = new Batch(2 * batchSize);
  /** Number of events that are taken at a time: one, until the model is chosen. */
  #batchSize = 1;

  constructor(path: string, format: string, options: CheckOptions, rules: readonly Rule[]) {
    super(format);
    this.path = path;
    this.#options = options;
    this.#rules = rules;
    this.#observer = options.observe?.(this.#naming);
  }

  // --- what the intake delivers -------------------------------------------

  seen(source: number): void {
    this.judgeBatch();
    this.shown.source(source);
    this.#feed();
  }

  override fact(facts: RecordingFacts): void {
    this.judgeBatch();
    super.fact(facts);
    if (facts.clock !== undefined) this.#named(facts.clock);
    if (facts.kernel !== undefined) this.#evidence.kernel(facts.kernel);
    if (facts.cpus !== undefined) this.#judge?.hasCpus(facts.cpus);
    if (facts.model !== undefined || facts.host !== undefined) this.#evidence.named(facts.model, facts.host);
  }

  /** @throws InputError for a clock that leaves most records without an order (trace_clock_jiffies) */
  #named(clock: string): void {
    if (clock === 'uptime')
      throw new InputError(
        'clock: expected one that orders the records of all CPUs (mono, boot, local, global), found uptime, which counts ticks of 10 ms: nothing tells which of the records of two CPUs within one came first; record with trace-cmd record -C mono',
      );
    if (clock !== 'counter') return;
    this.condition('timeless-clock', 1, 0);
    this.#judge?.timing.clock.giveUp();
  }

  condition(kind: ConditionKind, count: number, position: number, detail?: string): void {
    this.conditions.add(kind, count, position, detail);
    if (kind === 'event-switched-on-late') this.#forget();
    if (kind !== 'filtered-by-thread' || this.shown.leavesOutThreads) return;
    this.judgeBatch();
    this.shown.leavesOutThreads = true;
  }

  /**
   * Up to 5.0 other threads than its own load, put and reset a vcpu (ioctls, PSCI CPU_ON): what one did that was left out
   * is as good as lost. From 5.1 on only interrupts and timers matter that came meanwhile, and what rests on them.
   */
  protected override leftOut(pid: number, next: TimerEvent): void {
    super.leftOut(pid, next);
    if (pid === 0 || (this.#choice !== undefined && this.shown.traced)) return;
    const gap = TimerEvent.take();
    gap.kind = Kind.lost;
    gap.cpu = next.cpu;
    gap.pid = pid;
    gap.time = next.time;
    gap.position = next.position;
    this.take(gap);
  }

  protected take(event: TimerEvent): void {
    // All that still speaks against the choice.
    if (event.kind === Kind.timer_map && this.#tracker !== undefined) this.#evidence.event(event);
    const taken = this.#taken;
    taken.pass(event);
    if (taken.length === this.#batchSize) this.judgeBatch();
  }

  protected appear(kind: Kind): void {
    this.judgeBatch();
    this.shown.kind(kind);
    this.#feed();
  }

  /**
   * Attributes and judges what has been taken since the last time. Three loops over a few events are quicker than one
   * in which reading, attribution and rules take turns: the code of each alone has room in the processor's first cache.
   * Whatever else the trace tells takes effect after the events before it.
   */
  judgeBatch(): void {
    const tracker = this.#tracker;
    const judge = this.#judge;
    const taken = this.#taken;
    if (tracker === undefined || judge === undefined) {
      this.#holdBack();
      return;
    }
    if (taken.length > 0) this.#lastPosition = (taken.events[taken.length - 1] as TimerEvent).position;
    for (let i = 0, { events, length } = taken; i < length; i++) {
      const event = events[i] as TimerEvent;
      tracker.event(event);
      event.release();
    }
    taken.length = 0;
    const attributed = this.#attributed;
    for (let i = 0, { events, length } = attributed; i < length; i++) {
      const event = events[i] as TimerEvent;
      judge.event(event);
      event.release();
    }
    attributed.length = 0;
    // What was held back is judged later than the CPUs have recorded.
    if (judge.isWaiting && this.#pending.length === 0) judge.heard(this.lastTimes);
  }

  /** Keeps the event that was taken until the model is chosen. */
  #holdBack(): void {
    if (this.#taken.length === 0) return;
    this.#taken.length = 0;
    const event = this.#taken.events[0] as TimerEvent;
    if (this.#firstTime < 0) this.#firstTime = event.time;
    this.#evidence.event(event);
    this.#evidence.timerNames(this.timerNames);
    this.#pending.push(event);
    const waited = event.time - this.#firstTime > patience && this.#pending.length >= fewest;
    if (
      this.#pending.length >= heldBack ||
      (waited && this.#evidence.decisive(this.#sources, this.#options.model as ModelId | undefined))
    )
      this.#release();
  }

  /** What is held back is not judged. */
  #forget(): void {
    this.judgeBatch();
    for (const event of this.#pending) event.release();
    this.#pending = [];
  }

  /** End of input: what is held back is judged, puts and pending rules are concluded. */
  end(): TraceSummary {
    if (this.#tracker === undefined) this.#release();
    this.judgeBatch();
    const times = this.isStory ? [] : this.lastTimes;
    times.forEach((time, cpu) => {
      if (this.lastTime - time > earlyEnd && this.recordingCpus[cpu] !== undefined && !this.rests(cpu))
        this.condition('missing-cpu-end', 1, this.#lastPosition, `CPU ${cpu}`);
    });
    if (this.format === 'perf-script' && this.kindCounts[Kind.userspace_exit]! > 0 && this.#showsNoRun())
      this.condition('dropped-guest-samples', 1, this.#lastPosition);
    const last = new TimerEvent();
    last.time = times.reduce((least, time) => (time < least ? time : least), this.lastTime);
    last.position = this.#lastPosition;
    this.#judge?.end(last, times);
    this.#contradict();
    for (const line of this.#judge?.timing.lines ?? []) {
      const [first] = line?.changed ?? [];
      if (line !== undefined && first !== undefined)
        this.condition('offset-changed', line.changes, first.event.position, `vcpu thread ${first.event.pid}`);
    }
    for (const [kind, { count, position }] of this.#tracker?.unattributed ?? [])
      this.condition('unattributed-event', count, position, kindNames[kind]);
    this.#grouping =
      this.#tracker === undefined ? undefined : groupVms(this.#tracker.threads.vcpus, (pid) => this.comm(pid));
    if (this.#grouping?.assumed) this.condition('vm-grouping-assumed', 1, 0);
    this.#observer?.end(this.lastTime);
    return summarise(this, this.#options);
  }

  /** Whether no record is of a kind that a loaded vcpu always writes, if it is recorded at all. */
  #showsNoRun(): boolean {
    return whileLoaded.every((kind) => this.kindCounts[kind] === 0);
  }

  // --- what the summary asks ----------------------------------------------

  get judge(): Judge | undefined {
    return this.#judge;
  }

  get grouping(): VmGrouping | undefined {
    return this.#grouping;
  }

  get tracker(): Tracker | undefined {
    return this.#tracker;
  }

  get modelChoice(): ModelChoice {
    const candidates = this.#choice?.candidates ?? [];
    return {
      id: candidates.length === 1 ? (candidates[0] as ModelId) : null,
      candidates,
      reasons: this.#choice?.modelReasons ?? [],
    };
  }

  get hostChoice(): HostChoice {
    return { id: this.#choice?.host ?? null, reasons: this.#choice?.hostReasons ?? [] };
  }

  /** Number of timer events. */
  get timerEvents(): number {
    return this.kindCounts.reduce((sum, count, kind) => (kind === Kind.lost ? sum : sum + count), 0);
  }

  /** Seconds from the first to the last event with nine decimals. */
  get duration(): string {
    const nanoseconds = this.#firstTime < 0 ? 0 : Math.round(this.lastTime - this.#firstTime);
    return formatOrigin(BigInt(nanoseconds));
  }

  position(position: number): Position {
    return this.binary ? { offset: position } : { line: position };
  }

  /** Seconds in the trace's clock with nine decimals. */
  time(relative: number): string {
    return formatOrigin((this.recording.origin ?? 0n) + BigInt(Math.round(relative)));
  }

  // --- choosing the model ---------------------------------------------------

  readonly #sources = {
    has: (name: string): boolean => {
      const index = catalogue.events.findIndex((spec) => spec.name === name);
      return index >= 0 && this.shown.hasSource(index);
    },
  };

  #release(): void {
    const choice = this.#evidence.choose(
      this.#sources,
      this.#options.model as ModelId | undefined,
      this.#options.host as Host | undefined,
    );
    this.#choice = choice;
    this.#evidence.settle();
    // Up to 5.0 schedule saves and unschedule restores as well: a record of either gives no put or load away.
    this.shown.traced = this.isStory || choice.candidates.every((id) => models[id].recordsSaveRestore);
    this.#contradict();
    if (choice.candidates.length === 0) this.condition('model-missing', 1, 0);
    else if (choice.candidates.length > 1) this.condition('model-undecided', 1, 0, choice.candidates.join(' or '));
    this.facts.push({ type: 'model', path: this.path, model: this.modelChoice, host: this.hostChoice });
    this.#judge = new Judge({
      rules: this.#rules,
      options: this.#options,
      candidates: choice.candidates,
      host: choice.host,
      naming: this.#naming,
      observer: this.#observer,
      recorded: this.shown,
      cpus: this.recording.cpus ?? 0,
      ringBuffers: !this.isStory,
      timing: this.#timing(),
      found: (finding) => this.facts.push({ type: 'finding', path: this.path, finding }),
      ended: (finding) => this.facts.push({ type: 'finding-end', path: this.path, finding }),
    });
    if (this.recording.clock === 'counter') this.#judge.timing.clock.giveUp();
    this.#observer?.begin?.({
      candidates: choice.candidates,
      host: choice.host,
      kernel: () => this.recording.kernel,
      timing: this.#judge.timing,
      records: (kind) => this.shown.records(kind),
    });

    this.#feeds = this.#whatFeeds();
    this.#feed();
    const tracker = new Tracker(this.#feeds, this.#attributed);
    this.recording.guests?.forEach(({ vcpus }, vm) => {
      for (const { id, pid } of vcpus) tracker.threads.ofGuest(vm, id, pid);
    });
    this.#tracker = tracker;
    this.#batchSize = batchSize;
    for (const event of this.#pending) {
      // Of what threads did that were left out; a loss that the recorder tells of is no thread's.
      if (event.kind === Kind.lost && event.pid > 0 && this.shown.traced) event.release();
      else this.#taken.pass(event);
      if (this.#taken.length === batchSize) this.judgeBatch();
    }
    this.judgeBatch();
    this.#pending = [];
  }

  /** What the user, or the notation, says of the counter, and the trace's clock. */
  #timing(): JudgeSetup['timing'] {
    const { frequency, cntvoff } = this.#options;
    return {
      frequency: frequency ?? this.recording.frequency,
      cntvoff,
      count: this.recording.count,
      // Of a recording the hrtimers tell as much, and a text that does not name its clock must say the same.
      monotonic: this.isStory && this.recording.clock === 'mono' ? Number(this.recording.origin ?? 0n) : undefined,
    };
  }

  /** Says once what speaks against the model or host. */
  #contradict(): void {
    if (this.#contradicted || this.#choice === undefined) return;
    const against = this.#evidence.against(this.#choice);
    if (against === undefined) return;
    this.#contradicted = true;
    this.condition('model-contradiction', 1, against.position, against.detail);
  }

  /** What is recorded, so that the tracker makes up for the rest. */
  #whatFeeds(): Feeds {
    const kind = (name: KindName) => this.shown.hasKind(Kind[name]);
    return {
      loadProbe: kind('load') || (this.isStory && kind('put')),
      putProbe: kind('put') || (this.isStory && kind('load')),
      timerLoadProbe: kind('timer_load'),
      timerPutProbe: kind('timer_put'),
      ringBuffers: !this.isStory,
      exits: kind('exit'),
      saves: false,
      restores: false,
      scheduleProbe: kind('schedule'),
      resetProbe: kind('reset') || this.isStory,
      hrtimerExpiry: false,
      timerIrqEnds: kind('vtimer_irq_end'),
      irqEnds: kind('irq_end'),
    };
  }

  /**
   * A vcpu that spins is not put for seconds, and a filter may let through little: the first save or expiry may come long
   * after the model is chosen. What else appears late the tracker sees itself.
   */
  #feed(): void {
    if (this.#feeds === undefined) return;
    const { traced } = this.shown;
    this.#feeds.saves = traced && this.shown.hasKind(Kind.save);
    this.#feeds.restores = traced && this.shown.hasKind(Kind.restore);
    this.#feeds.hrtimerExpiry = this.#sources.has('hrtimer_expire_entry');
  }

  #vcpuName(index: number): VcpuName | null {
    const vcpu = this.#tracker?.threads.vcpus[index];
    if (vcpu === undefined) return null;
    const grouping = this.#grouping ?? groupVms(this.#tracker?.threads.vcpus ?? [], (pid) => this.comm(pid));
    return { vm: grouping.vmOf[index] ?? 0, id: vcpu.id, pid: vcpu.thread, comm: this.comm(vcpu.thread) };
  }
}
