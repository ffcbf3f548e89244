import type { Finding, VcpuName } from '../../check/facts.js';
import type { Naming } from '../../check/findings.js';
import type { ObservedTrace, Observer } from '../../check/observe.js';
import type { TimerEvent } from '../../events/event.js';
import type { Host, Machine } from '../../machine/machine.js';
import { designs } from '../../models/designs/index.js';
import type { ModelId } from '../../models/model.js';
import { type Assumption, Assumptions, assumptionNames } from './assumptions.js';
import { claims } from './claims.js';
import { StimulusExtractor } from './extract.js';
import {
  type DesignDivergence,
  type DesignOutcome,
  type Hazard,
  type ModelsDiff,
  type SignalName,
  signalNames,
} from './facts.js';
import { GuestOnDesign } from './guest.js';
import { HazardCheck } from './hazards.js';
import { StimulusQueue } from './queue.js';
import { Act, type Stimulus } from './stimulus.js';

/** Designs of the time before guests had a physical timer. */
const withoutPtimer: readonly ModelId[] = ['world-switch', 'rfc-load-put'];

/** One design at work, with the check of what it records. */
class Side {
  readonly guest: GuestOnDesign;
  readonly hazards: HazardCheck;

  constructor(
    readonly model: ModelId,
    host: Host,
    hasPtimer: boolean,
    origin: bigint,
  ) {
    this.hazards = new HazardCheck(model, host, origin);
    this.guest = new GuestOnDesign(designs[model], host, hasPtimer, (event) => this.hazards.event(event));
  }
}

/** Shows the guest of a recording to two designs as it is read, and compares what they make of it. */
export class Comparison implements Observer {
  readonly #models: readonly [ModelId, ModelId];
  readonly #givenHost: Host | undefined;
  readonly #naming: Naming;
  readonly #assumptions = new Assumptions();
  readonly #extractor: StimulusExtractor;
  readonly #signals: Record<SignalName, { both: number; onlyFirst: number; onlySecond: number }>;
  #host: Host = 'nvhe';
  #hostFrom: ModelsDiff['hostFrom'] = 'assumed';
  #hasPtimer = true;
  #sides: readonly [Side, Side] | undefined;
  #stimuli = 0;
  #vcpus = 0;
  #guestDivergence: DesignDivergence | null = null;
  #hostDivergence: DesignDivergence | null = null;

  constructor(models: readonly [ModelId, ModelId], host: Host | undefined, naming: Naming) {
    this.#models = models;
    this.#givenHost = host;
    this.#naming = naming;
    const none = () => ({ both: 0, onlyFirst: 0, onlySecond: 0 });
    this.#signals = { interrupts: none(), raised: none(), lowered: none(), taken: none() };
    const queue = new StimulusQueue((stimulus) => this.#take(stimulus), this.#assumptions);
    this.#extractor = new StimulusExtractor(queue, this.#assumptions);
  }

  begin({ candidates, host }: ObservedTrace): void {
    this.#extractor.begin(candidates.length === 1 ? candidates[0] : undefined);
    this.#host = this.#givenHost ?? host ?? 'nvhe';
    this.#hostFrom = this.#givenHost !== undefined ? 'given' : host !== undefined ? 'trace' : 'assumed';
    this.#hasPtimer = !this.#models.every((model) => withoutPtimer.includes(model));
  }

  event(event: TimerEvent, machine: Machine): void {
    this.#extractor.event(event, machine);
  }

  end(): void {
    this.#extractor.end();
    for (let vcpu = 0; vcpu < this.#vcpus; vcpu++) this.#compareSignals(vcpu);
  }

  // --- stimuli ----------------------------------------------------------------

  get #both(): readonly [Side, Side] {
    if (this.#sides === undefined) {
      // The clock's origin is known with the first event.
      const origin = BigInt(this.#naming.time(0).replace('.', ''));
      const side = (model: ModelId) => new Side(model, this.#host, this.#hasPtimer, origin);
      this.#sides = [side(this.#models[0]), side(this.#models[1])];
    }
    return this.#sides;
  }

  #take(stimulus: Stimulus): void {
    const [first, second] = this.#both;
    this.#stimuli++;
    this.#vcpus = Math.max(this.#vcpus, stimulus.vcpu + 1);
    // A new deadline: what the designs made of the one before can be compared.
    if (stimulus.act === Act.exit && stimulus.ctl >= 0) this.#compareSignals(stimulus.vcpu);
    first.guest.take(stimulus);
    second.guest.take(stimulus);
    if (this.#guestDivergence === null && stimulus.act === Act.entry) this.#compareGuests(stimulus, first, second);
    if (this.#hostDivergence === null) this.#compareHosts(stimulus, first, second);
  }

  #compareSignals(vcpu: number): void {
    const [first, second] = this.#both;
    const one = first.guest.counter.signalled(vcpu);
    const other = second.guest.counter.signalled(vcpu);
    for (const name of signalNames) {
      const shared = this.#signals[name];
      if (one[name] > 0 && other[name] > 0) shared.both++;
      else if (one[name] > 0) shared.onlyFirst++;
      else if (other[name] > 0) shared.onlySecond++;
    }
    one.clear();
    other.clear();
  }

  #compareGuests(stimulus: Stimulus, first: Side, second: Side): void {
    const one = first.guest.seenByGuest(stimulus.vcpu);
    const other = second.guest.seenByGuest(stimulus.vcpu);
    if (one === other) return;
    this.#guestDivergence = this.#divergence(stimulus, 'the guest sees another timer', first, second);
  }

  #compareHosts(stimulus: Stimulus, first: Side, second: Side): void {
    const one = first.guest.counter.signalled(stimulus.vcpu);
    const other = second.guest.counter.signalled(stimulus.vcpu);
    for (const name of signalNames) {
      if (one[name] === other[name]) continue;
      const what = `${signalTexts[name]}: ${one[name]} against ${other[name]}`;
      this.#hostDivergence = this.#divergence(stimulus, what, first, second);
      return;
    }
  }

  #divergence(stimulus: Stimulus, what: string, first: Side, second: Side): DesignDivergence {
    return {
      time: this.#naming.time(stimulus.time),
      vcpu: this.#naming.vcpu(stimulus.vcpu),
      cpu: stimulus.cpu,
      after: Act[stimulus.act],
      what,
      first: first.guest.state(stimulus.vcpu, stimulus.cpu),
      second: second.guest.state(stimulus.vcpu, stimulus.cpu),
    };
  }

  // --- the end ----------------------------------------------------------------

  result(): ModelsDiff {
    const [first, second] = this.#both;
    const [one, other] = [first.guest.counter, second.guest.counter];
    return {
      host: this.#host,
      hostFrom: this.#hostFrom,
      hasPtimer: this.#hasPtimer,
      first: this.#outcome(first),
      second: this.#outcome(second),
      stimuli: this.#stimuli,
      assumed: counts(this.#assumptions),
      signals: this.#signals,
      hazards: hazards(this.#findings(first), this.#findings(second)),
      guestDivergence: this.#guestDivergence,
      hostDivergence: this.#hostDivergence,
      claims: claims(one, other, this.#host),
    };
  }

  #outcome({ model, guest }: Side): DesignOutcome {
    const { counter, assumptions, simulation, stopped } = guest;
    if (simulation.stormsCut > 0) assumptions.add('storm-cut', simulation.stormsCut);
    return {
      model,
      costs: counter.costs,
      signals: counter.signals,
      assumed: counts(assumptions),
      stopped: stopped === undefined ? null : { ...stopped, at: this.#naming.time(stopped.time) },
    };
  }

  /** The simulated vcpus are numbered as the recording's are found; people know them by the recording's names. */
  #findings({ hazards: check }: Side): readonly Finding[] {
    const named = (vcpu: VcpuName | null) => (vcpu === null ? null : this.#naming.vcpu(vcpu.id));
    return check.end().map((finding) => ({ ...finding, vcpu: named(finding.vcpu) }));
  }
}

/** What is compared, as it is told. */
const signalTexts: Readonly<Record<SignalName, string>> = {
  interrupts: 'interrupts that the host took since the guest wrote its timer',
  raised: 'reports of a high level since then',
  lowered: 'reports of a low level since then',
  taken: 'virtual interrupts that the guest took since then',
};

function counts(assumptions: Assumptions): Partial<Record<Assumption, number>> {
  return Object.fromEntries(
    assumptionNames.flatMap((name) => (assumptions.count(name) > 0 ? [[name, assumptions.count(name)]] : [])),
  );
}

/** Findings of both sides, joined by their fingerprints. */
function hazards(first: readonly Finding[], second: readonly Finding[]): Hazard[] {
  const others = new Map(second.map((finding) => [finding.fingerprint, finding]));
  const shared = first.map((finding): Hazard => {
    const other = others.get(finding.fingerprint);
    others.delete(finding.fingerprint);
    return { in: other === undefined ? 'first' : 'both', finding, counts: [finding.count, other?.count ?? 0] };
  });
  return [
    ...shared,
    ...[...others.values()].map((finding): Hazard => ({ in: 'second', finding, counts: [0, finding.count] })),
  ];
}
