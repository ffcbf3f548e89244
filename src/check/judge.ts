import { Certainty, TimerEvent } from '../events/event.js';
import { Kind, type KindName, kindNames } from '../events/kinds.js';
import { type Host, Machine } from '../machine/machine.js';
import { type VcpuState, yes } from '../machine/state.js';
import { models } from '../models/index.js';
import { type Model, type ModelId, stepTable } from '../models/model.js';
import type { Handler, Ongoing, RuleHandlers, Violation } from '../rules/context.js';
import { Occasion } from '../rules/occasion.js';
import { type Rule, type Severity, severities } from '../rules/rule.js';
import { Timing, type TimingSetup } from '../timing/timing.js';
import { Coverage } from './coverage.js';
import { OpenEpisode } from './episodes.js';
import type { CheckOptions, Finding } from './facts.js';
import { Findings, type Naming, snapshot } from './findings.js';
import { Gaps } from './gaps.js';
import { Handlers } from './handlers.js';
import { Needs } from './needs.js';
import type { Observer } from './observe.js';
import { type Offer, OfferedContext } from './offered.js';
import type { Recorded } from './recorded.js';

/** Most distinct findings kept unless the user says otherwise. */
const defaultMaxFindings = 100;

/** What comes later than this is missing, unless the user says otherwise, nanoseconds. */
const defaultMaxLatency = 100_000_000;

/** Number of events from which a trace is long. */
const manyEvents = 1 << 17;

export interface JudgeSetup {
  readonly rules: readonly Rule[];
  readonly options: CheckOptions;
  readonly candidates: readonly ModelId[];
  readonly host: Host | undefined;
  readonly naming: Naming;
  readonly observer: Observer | undefined;
  readonly recorded: Recorded;
  /** Number of CPUs that the recording says it has; 0 when it has not said yet. */
  readonly cpus: number;
  /** False for a native trace. */
  readonly ringBuffers: boolean;
  /** What is given of the counter. */
  readonly timing: Omit<TimingSetup, 'maxLatency' | 'emulatesAlways' | 'recordsSaveRestore' | 'records'>;
  /** Called with the first occurrence of every finding. */
  found(finding: Finding): void;
  /** Called when the first episode of a finding that goes on has ended. */
  ended(finding: Finding): void;
}

/** A rule at work in one trace. */
export interface ActiveRule {
  readonly rule: Rule;
  /** `off` by the user, undefined when the model has no such rule. */
  readonly severity: Severity | 'off' | undefined;
  readonly coverage: Coverage;
  /** The worst severity with which it was violated. */
  worst: Severity | undefined;
}

/** A violation of the event at hand. */
interface Pending {
  readonly active: ActiveRule;
  readonly violation: Violation;
  /** Where it goes on. */
  readonly episode: OpenEpisode | undefined;
}

/**
 * Replays attributed events: for each, the rules' `before` handlers, the model's step, the rules' `after` handlers.
 * Handlers stand in flat tables by event kind.
 */
export class Judge {
  readonly machine = new Machine();
  readonly timing: Timing;
  readonly active: readonly ActiveRule[];
  readonly findings: Findings;
  readonly #setup: JudgeSetup;
  readonly #steps: ReturnType<typeof stepTable>;
  readonly #isWorldSwitch: boolean;
  readonly #before = kindNames.map(() => new Handlers());
  readonly #after = kindNames.map(() => new Handlers());
  readonly #ends: Handler[] = [];
  /** Violations that go on, by what they have begun. */
  readonly #episodes = new Set<OpenEpisode>();
  readonly #gaps: Gaps;
  readonly #recorded: Recorded;
  readonly #observer: Observer | undefined;
  /** By kind: the occasion that the trace records it, as of this version of what it has shown. */
  readonly #occasions = new Map<Kind, Occasion>();
  #shown = -1;
  #serial = 0;
  /** Violations of the event at hand, reported once the model has applied it. */
  readonly #pending: Pending[] = [];
  #stateBefore: Record<string, string> | undefined;

  constructor(setup: JudgeSetup) {
    this.#setup = setup;
    this.#recorded = setup.recorded;
    this.#observer = setup.observer;
    const maxLatency = setup.options.maxLatency ?? defaultMaxLatency;
    const emulatesAlways = setup.candidates.every((id) => id === 'stateless-level');
    const recordsSaveRestore = !setup.candidates.every((id) => !models[id].recordsSaveRestore);
    const records = (kind: Kind) => this.#recorded.records(kind);
    this.timing = new Timing(this.machine, {
      ...setup.timing,
      emulatesAlways,
      recordsSaveRestore,
      records,
      maxLatency,
    });
    this.#gaps = new Gaps(setup.cpus, setup.ringBuffers);
    this.findings = new Findings(setup.naming, setup.options.maxFindings ?? defaultMaxFindings);
    // With several candidates the newest drives the machine; only rules that all of them have are asked.
    const driver = setup.candidates[setup.candidates.length - 1];
    const model = driver === undefined ? undefined : models[driver];
    this.#isWorldSwitch = driver === 'world-switch';
    this.#steps = model === undefined ? kindNames.map(() => undefined) : stepTable(model);
    this.active = setup.rules.map((rule) => ({
      rule,
      severity: this.#severity(rule),
      coverage: new Coverage(),
      worst: undefined,
    }));
    if (model !== undefined) for (const active of this.active) this.#activate(active, model);
  }

  /** The recording says only now how many CPUs it has. */
  hasCpus(count: number): void {
    this.#gaps.hasCpus(count);
  }

  event(event: TimerEvent): void {
    const { machine } = this;
    const { kind } = event;
    const cpu = machine.cpu(event.cpu);
    const vcpu = event.vcpu >= 0 ? machine.vcpu(event.vcpu) : undefined;
    event.serial = ++this.#serial;
    if (this.#serial === manyEvents) this.#putTogether();
    this.#gaps.event(event);
    this.timing.event(event);
    if (this.#shown !== this.#recorded.version) this.#look();
    (this.#before[kind] as Handlers).call(event);
    if (kind === Kind.lost) machine.showsLeaving = this.#showsLeaving();
    const step = this.#steps[kind];
    if (step !== undefined) step(machine, cpu, vcpu, event);
    if (vcpu !== undefined) {
      if (vcpu.distrusted) machine.settleDistrust(vcpu, event);
      // A CPU without records may load the vcpu from now on. Up to 4.14 only probes show puts, which follow the switch.
      const { blind } = this.#gaps;
      if (kind === Kind.put_end || (kind === Kind.sched_switch && this.#isWorldSwitch)) machine.loseSight(vcpu, blind);
      else if ((blind || vcpu.unseen) && this.#mayLeave(vcpu)) machine.loseSight(vcpu, blind);
    }
    machine.remember(event, vcpu, cpu);
    if (this.#observer !== undefined) this.#observer.event(event, machine, vcpu);
    (this.#after[kind] as Handlers).call(event);
    if (this.#pending.length > 0) this.#report(event);
  }

  /** Whether a violation waits until other CPUs have recorded something later. */
  get isWaiting(): boolean {
    return this.#gaps.isWaiting;
  }

  /** All events of records up to these times have been judged; by CPU, NaN where it has recorded nothing. */
  heard(times: readonly number[]): void {
    this.#gaps.heard(times);
  }

  /**
   * The trace has ended: rules conclude what they were waiting for.
   *
   * @param last  its time is that up to which every CPU has recorded: later ones may have ended early
   * @param times by CPU: time of its last record, NaN where it has none
   */
  end(last: TimerEvent, times: readonly number[]): void {
    last.serial = ++this.#serial;
    this.timing.end(last);
    for (const handler of this.#ends) handler(last);
    if (this.#pending.length > 0) this.#report(last);
    for (const episode of this.#episodes) episode.end('trace-end');
    this.#episodes.clear();
    this.#gaps.end(times);
  }

  /** The trace is long: its handlers are worth a function for each kind. */
  #putTogether(): void {
    for (const handlers of [...this.#before, ...this.#after]) handlers.putTogether();
  }

  /** Whether puts of vcpus are recorded, or the switches of their threads without which none changes its CPU. */
  #showsLeaving(): boolean {
    const recorded = this.#recorded;
    return !this.#setup.ringBuffers || recorded.records(Kind.put) || recorded.records(Kind.sched_switch);
  }

  /** Whether a vcpu may be loaded on a CPU without records next, and nothing would tell before. */
  #mayLeave(vcpu: VcpuState): boolean {
    if (vcpu.inGuest === yes && this.#recorded.records(Kind.exit)) return false;
    return vcpu.cpu < 0 || !this.#showsLeaving();
  }

  /** The occasion that the trace has recorded a kind. */
  #occasion(kind: Kind): Occasion {
    const occasion = this.#occasions.get(kind) ?? new Occasion();
    this.#occasions.set(kind, occasion);
    return occasion;
  }

  /** The trace has shown something new. */
  #look(): void {
    this.#shown = this.#recorded.version;
    for (const [kind, occasion] of this.#occasions) occasion.set(this.#recorded.records(kind));
  }

  #severity(rule: Rule): Severity | 'off' | undefined {
    const { candidates, options } = this.#setup;
    const named = options.rules?.[rule.id];
    const own = candidates.map((id) => rule.models[id]);
    if (own.length === 0 || own.some((severity) => severity === undefined)) return undefined;
    if (named !== undefined) return named;
    return severities.find((severity) => own.includes(severity));
  }

  #activate(active: ActiveRule, model: Model): void {
    if (active.severity === undefined || active.severity === 'off') return;
    const needs = new Needs(
      active.rule,
      (kind) => this.#recorded.records(Kind[kind]),
      () => this.#recorded.version,
    );
    const context = new OfferedContext(this.#offer(model), needs, active.coverage, {
      violate: (event, violation) => this.#violate(active, event, violation, undefined),
      begin: (event, violation) => this.#begin(active, event, violation, needs),
    });
    const handlers: RuleHandlers = active.rule.create(context);
    for (const [table, part] of [
      [this.#before, handlers.before],
      [this.#after, handlers.after],
    ] as const) {
      for (const [name, handler] of Object.entries(part ?? {}))
        (table[kindNames.indexOf(name as KindName)] as Handlers).add(handler);
    }
    if (handlers.end !== undefined) this.#ends.push(handlers.end);
  }

  #offer(model: Model): Offer {
    return {
      machine: this.machine,
      model,
      candidates: this.#setup.candidates,
      host: this.#setup.host,
      maxLatency: this.#setup.options.maxLatency ?? defaultMaxLatency,
      timing: this.timing,
      trace: this.#recorded,
      occasion: (kind) => this.#occasion(kind),
    };
  }

  #violate(active: ActiveRule, event: TimerEvent, violation: Violation, episode: OpenEpisode | undefined): void {
    const kept = keepEvents(violation);
    if (!this.findings.knows(active.rule, kept, event))
      this.#stateBefore ??= snapshot(this.machine, violation.at ?? event, this.#setup.naming);
    this.#pending.push({ active, violation: kept, episode });
  }

  #begin(active: ActiveRule, event: TimerEvent, violation: Violation, needs: Needs): Ongoing {
    const first = new TimerEvent().copyFrom(violation.at ?? event);
    const episode = new OpenEpisode(first, active.coverage, active.rule.messages[violation.message]?.ends, () =>
      this.#episodes.delete(episode),
    );
    this.#episodes.add(episode);
    if (needs.met()) this.#violate(active, event, violation, episode);
    else episode.retract(needs.reason);
    return episode;
  }

  #report(event: TimerEvent): void {
    const before = this.#stateBefore ?? {};
    const isNew = this.#stateBefore !== undefined;
    this.#stateBefore = undefined;
    const vcpu = event.vcpu >= 0 ? this.machine.vcpu(event.vcpu) : undefined;
    const decisive = new TimerEvent().copyFrom(event);
    let distrusted = false;
    for (const { active, violation, episode } of this.#pending) {
      const at = violation.at ?? decisive;
      const after = isNew ? snapshot(this.machine, at, this.#setup.naming) : {};
      const settle = () => {
        const severity = violation.severity ?? (active.severity as Severity);
        if (active.worst === undefined || severities.indexOf(severity) > severities.indexOf(active.worst))
          active.worst = severity;
        const claim = { rule: active.rule, severity, event: decisive, violation, before, after };
        const { found, ended } = this.#setup;
        if (episode !== undefined) return episode.settle(this.findings.addEpisode(claim, episode, found, ended));
        active.coverage.violate(at.vcpu);
        const finding = this.findings.add(claim);
        if (finding !== undefined) found(finding);
      };
      distrusted ||= violation.distrustOwnership === true;
      if (vcpu !== undefined && violation.distrustRegisters !== undefined)
        this.machine.distrustRegisters(vcpu, violation.distrustRegisters);
      // The end of the trace is on no CPU: what is told there shows where the rule says so.
      const proved = event.cpu < 0 ? at : decisive;
      if (isLocal(violation, proved, vcpu, this.#showsLeaving())) {
        settle();
        continue;
      }
      this.#gaps.add({
        // Not where it shows: what its own CPU recorded must be whole up to where it is proved.
        event: proved,
        explainedBy: violation.explainedBy ?? [],
        settle,
        retract: (reason) =>
          episode === undefined ? active.coverage.undecide(at.vcpu, reason) : episode.retract(reason),
      });
    }
    this.#pending.length = 0;
    if (distrusted) this.machine.distrustOwnership(vcpu, event.cpu >= 0 ? this.machine.cpu(event.cpu) : undefined);
  }
}

/**
 * Whether a violation is proved by what one CPU recorded: of its own state, or of one vcpu while it was loaded there.
 * Then no loss of another CPU can explain it.
 */
function isLocal(
  violation: Violation,
  decisive: TimerEvent,
  vcpu: VcpuState | undefined,
  showsLeaving: boolean,
): boolean {
  if (decisive.certainty !== Certainty.recorded) return false;
  const evidence = [...violation.witness, violation.at ?? decisive].filter((event) => event.serial > 0);
  if (!evidence.every((event) => event.cpu === decisive.cpu)) return false;
  if (violation.ofCpu === true) return true;
  if (!showsLeaving) return false;
  // What shows at another vcpu's event, or at nobody's, is a silence: every CPU could have broken it.
  if (violation.at !== undefined && violation.at.vcpu !== decisive.vcpu) return false;
  const load = vcpu?.last[Kind.load];
  if (load?.serial === decisive.serial) return false;
  if (vcpu === undefined || load === undefined || load.serial === 0 || load.cpu !== decisive.cpu) return false;
  if (vcpu.last[Kind.put_end].serial > load.serial) return false;
  return evidence.every((event) => event.serial >= load.serial);
}

/** The machine's events change with the next step: a violation keeps copies. */
function keepEvents(violation: Violation): Violation {
  return {
    ...violation,
    witness: violation.witness.map((event) => new TimerEvent().copyFrom(event)),
    ...(violation.at !== undefined && { at: new TimerEvent().copyFrom(violation.at) }),
    ...(violation.cause !== undefined && { cause: new TimerEvent().copyFrom(violation.cause) }),
  };
}
