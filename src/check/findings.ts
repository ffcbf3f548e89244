import type { TimerEvent } from '../events/event.js';
import { Kind, kindNames } from '../events/kinds.js';
import { formatOrigin } from '../events/native-values.js';
import { formatU64 } from '../events/u64.js';
import type { Machine } from '../machine/machine.js';
import { nowhere } from '../machine/state.js';
import type { Violation } from '../rules/context.js';
import type { Message, Rule, Severity } from '../rules/rule.js';
import { describeCertainty, describeEvent } from './describe.js';
import type { OpenEpisode, Told } from './episodes.js';
import type { BugName, Episode, Finding, Occurrence, Position, VcpuName, WitnessEvent } from './facts.js';

/** Loaded with the first finding: it takes milliseconds, and most runs find nothing. */
let crypto: typeof import('node:crypto') | undefined;

/** Most places kept of one finding; the count goes on. */
const maxOccurrences = 1000;

/** What findings need to know of the trace they belong to. */
export interface Naming {
  /** Seconds in the trace's clock with nine decimals, from nanoseconds since the trace began. */
  time(relative: number): string;
  position(position: number): Position;
  vcpu(index: number): VcpuName | null;
  /** Name of a thread, empty when unknown. */
  comm(pid: number): string;
  /** Known bugs of which an answer is the sign. */
  bugs(rule: string, diagnosis: string, timer: string | undefined): readonly BugName[];
}

/** A violation as it is told. */
export interface Claim {
  readonly rule: Rule;
  readonly severity: Severity;
  /** The event at hand. */
  readonly event: TimerEvent;
  readonly violation: Violation;
  /** State before and after the decisive event. */
  readonly before: Record<string, string>;
  readonly after: Record<string, string>;
}

/** The findings of one trace: the first of each fingerprint in full, the others as a count. */
export class Findings {
  readonly list: Finding[] = [];
  omitted = 0;
  readonly #byFingerprint = new Map<string, Finding>();
  readonly #omittedFingerprints = new Set<string>();
  /** Index of each finding's vcpu. */
  readonly #vcpus: number[] = [];
  readonly #naming: Naming;
  readonly #limit: number;

  constructor(naming: Naming, limit: number) {
    this.#naming = naming;
    this.#limit = limit;
  }

  /** Whether a violation would only be counted, because its like has been told. */
  knows(rule: Rule, violation: Violation, event: TimerEvent): boolean {
    return this.#byFingerprint.has(fingerprintOf(rule.id, violation, chain(violation.witness, violation.at ?? event)));
  }

  /**
   * Counts a violation.
   *
   * @returns the finding when it is the first with its fingerprint and within the limit
   */
  add(claim: Claim): Finding | undefined {
    const { finding, isNew } = this.#add(claim, this.#occurrence(claim.violation.at ?? claim.event));
    return isNew ? finding : undefined;
  }

  /**
   * Counts a violation that goes on.
   *
   * @param found called with the finding when it is new, as for `add`
   * @param ended called with the finding when its first episode has ended
   */
  addEpisode(
    claim: Claim,
    open: OpenEpisode,
    found: (finding: Finding) => void,
    ended: (finding: Finding) => void,
  ): Told | undefined {
    const { violation } = claim;
    const at = violation.at ?? claim.event;
    const cause = violation.cause;
    const episode: Episode = {
      ...this.#occurrence(at),
      message: '',
      count: open.count,
      last: '',
      duration: '',
      cause: cause === undefined || cause.serial === 0 ? null : witnessEvent(cause, this.#naming, false),
      end: null,
      ended: null,
    };
    this.#describeEpisode(episode, claim, open);
    const { finding, isNew } = this.#add(claim, episode, { episode, open });
    if (finding === undefined) return undefined;
    if (isNew) found(finding);
    const { episodes } = finding;
    const occurrence = finding.occurrences[finding.occurrences.length - 1] as Occurrence;
    const isListed = finding.occurrences.length < maxOccurrences || isNew;
    return {
      again: () => {
        finding.count++;
      },
      ended: () => {
        if (isListed) occurrence.count = open.count;
        this.#describeEpisode(episode, claim, open);
        if (episodes === undefined) return;
        if (episode.count > episodes.longest.count) episodes.longest = episode;
        if (!isNew) return;
        finding.message = episode.message;
        finding.argument = argument(claim, episodeData(open));
        ended(finding);
      },
    };
  }

  /** Says of an episode what is known of it by now. */
  #describeEpisode(episode: Episode, claim: Claim, open: OpenEpisode): void {
    const data = episodeData(open);
    episode.message = fill(messageOf(claim).headline, { ...claim.violation.data, ...data });
    if (open.cause !== undefined) episode.cause ??= witnessEvent(open.cause, this.#naming, false);
    episode.count = open.count;
    episode.last = this.#naming.time(open.lastTime);
    episode.duration = seconds(open.lastTime - open.first.time);
    if (open.how === undefined) return;
    episode.end = open.by === undefined ? null : witnessEvent(open.by, this.#naming, false);
    episode.ended = fill(open.how, { ...claim.violation.data, ...data });
  }

  #occurrence(at: TimerEvent): Occurrence {
    return {
      time: this.#naming.time(at.time),
      cpu: at.cpu,
      pid: at.pid,
      position: this.#naming.position(at.position),
    };
  }

  #add(
    claim: Claim,
    place: Occurrence,
    going?: { readonly episode: Episode; readonly open: OpenEpisode },
  ): { finding?: Finding; isNew: boolean } {
    const episode = going?.episode;
    const { rule, severity, event, violation, before, after } = claim;
    const at = violation.at ?? event;
    const witness = chain(violation.witness, at);
    const fingerprint = fingerprintOf(rule.id, violation, witness);
    const times = episode?.count ?? 1;
    const { time, cpu, pid, position } = place;
    const occurrence: Occurrence = { time, cpu, pid, position, ...(episode !== undefined && { count: times }) };
    const known = this.#byFingerprint.get(fingerprint);
    if (known !== undefined) {
      known.count += times;
      if (known.episodes !== undefined) known.episodes.count++;
      if (known.occurrences.length < maxOccurrences) known.occurrences.push(occurrence);
      return { finding: known, isNew: false };
    }
    if (this.list.length >= this.#limit) {
      if (this.#omittedFingerprints.size < 10_000) this.#omittedFingerprints.add(fingerprint);
      this.omitted = this.#omittedFingerprints.size;
      return { isNew: false };
    }
    const shown = violation.cause === undefined ? witness : chain([...violation.witness, violation.cause], at);
    const finding: Finding = {
      rule: rule.id,
      diagnosis: violation.message,
      timer: violation.data?.timer?.toString() ?? null,
      severity,
      vcpu: this.#naming.vcpu(at.vcpu),
      cpu: at.cpu,
      time: occurrence.time,
      position: occurrence.position,
      message: episode?.message ?? fill(messageOf(claim).headline, violation.data ?? {}),
      argument: argument(claim, going === undefined ? {} : episodeData(going.open)),
      bugs: this.#naming.bugs(rule.id, violation.message, violation.data?.timer?.toString()),
      witness: shown.map((one) => witnessEvent(one, this.#naming, one === at)),
      before,
      after,
      fingerprint,
      count: times,
      occurrences: [occurrence],
      ...(episode !== undefined && { episodes: { count: 1, first: episode, longest: episode } }),
    };
    this.#byFingerprint.set(fingerprint, finding);
    this.#vcpus.push(at.vcpu);
    this.list.push(finding);
    return { finding, isNew: true };
  }

  /** Names every finding's vcpu again, now that all vcpus and their VMs are known. */
  rename(): void {
    this.list.forEach((finding, index) => {
      finding.vcpu = this.#naming.vcpu(this.#vcpus[index] as number);
    });
  }
}

/** An event as the reports show it. */
export function witnessEvent(event: TimerEvent, naming: Naming, decisive: boolean): WitnessEvent {
  return {
    time: naming.time(event.time),
    cpu: event.cpu,
    pid: event.pid,
    comm: naming.comm(event.pid),
    position: naming.position(event.position),
    event: kindNames[event.kind] as string,
    text: describeEvent(event),
    certainty: describeCertainty(event),
    decisive,
  };
}

/** The witness in the order of the trace, without events that never happened or stand twice. */
function chain(events: readonly TimerEvent[], decisive: TimerEvent): TimerEvent[] {
  const bySerial = new Map<number, TimerEvent>();
  for (const event of events) if (event.serial > 0) bySerial.set(event.serial, event);
  bySerial.set(decisive.serial, decisive);
  return [...bySerial.values()].sort((a, b) => a.serial - b.serial);
}

/** Independent of times, pids, addresses, vcpu numbers and of who was how sure. */
function fingerprintOf(rule: string, violation: Violation, witness: readonly TimerEvent[]): string {
  const kinds = witness.map((event) => kindNames[event.kind]).join(' ');
  const timer = violation.data?.timer ?? '';
  crypto ??= process.getBuiltinModule('node:crypto');
  return crypto
    .createHash('sha256')
    .update(`${rule} ${violation.message} ${timer} ${kinds}`)
    .digest('hex')
    .slice(0, 16);
}

function messageOf({ rule, violation }: Claim): Message {
  return rule.messages[violation.message] as Message;
}

function argument(claim: Claim, more: NonNullable<Violation['data']>): Finding['argument'] {
  const { given, must, but, therefore } = messageOf(claim);
  const data = { ...claim.violation.data, ...more };
  return {
    given: fill(given, data),
    must: fill(must, data),
    but: fill(but, data),
    therefore: fill(therefore, data),
  };
}

/** What an episode's sentences may name. */
function episodeData(open: OpenEpisode): NonNullable<Violation['data']> {
  const words = ['never', 'once', 'twice'];
  const milliseconds = (open.lastTime - open.first.time) / 1e6;
  return { ...open.data, times: words[open.count] ?? `${open.count} times`, duration: `${milliseconds.toFixed(3)} ms` };
}

/** Nanoseconds as seconds with nine decimals. */
function seconds(nanoseconds: number): string {
  return formatOrigin(BigInt(Math.round(nanoseconds)));
}

function fill(template: string, data: Readonly<Record<string, string | number>>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => (name in data ? String(data[name]) : whole));
}

const known = (value: number): string => (value < 0 ? '?' : String(value));

/** The state of an event's vcpu and CPU in the kernel's field names; what is not known is `?`. */
export function snapshot(machine: Machine, event: TimerEvent, naming: Naming): Record<string, string> {
  const reference = (index: number) => vcpuReference(naming, index);
  const state: Record<string, string> = {};
  if (event.vcpu >= 0) {
    const vcpu = machine.vcpu(event.vcpu);
    state['vcpu.cpu'] = vcpu.cpu === nowhere ? 'none' : known(vcpu.cpu);
    state['vcpu.in_guest'] = known(vcpu.inGuest);
    state['vcpu.blocked'] = known(vcpu.blocked);
    state['timer.enabled'] = known(vcpu.enabled);
    state['bg_timer.armed'] = known(vcpu.bgArmed);
    const timers = event.timer === 0 || event.timer === 1 ? [event.timer] : [1];
    for (const timer of timers) {
      const context = vcpu.contexts[timer];
      if (context === undefined) continue;
      const name = timer === 0 ? 'ptimer' : 'vtimer';
      state[`${name}.loaded`] = known(context.loaded);
      state[`${name}.level`] = known(context.level);
      state[`${name}.saved`] = pair(context.ctl, context.cvalKnown, context.cvalHi, context.cvalLo);
      state[`${name}.restored`] = pair(
        context.restoredCtl,
        context.restoredCvalKnown,
        context.restoredCvalHi,
        context.restoredCvalLo,
      );
    }
  }
  if (event.cpu >= 0) {
    const cpu = machine.cpu(event.cpu);
    state['cpu.running_vcpu'] = cpu.running === nowhere ? 'none' : reference(cpu.running);
    const owner = cpu.owner[1] as number;
    const offset = cpu.last[Kind.set_cntvoff];
    if (offset.hasValue) state['cpu.cntvoff'] = formatU64(offset.valueHi, offset.valueLo);
    state['cpu.cntv_owner'] = owner === nowhere ? 'none' : reference(owner);
  }
  return state;
}

function pair(ctl: number, cvalKnown: boolean, hi: number, lo: number): string {
  if (ctl < 0 && !cvalKnown) return '?';
  return `CTL ${ctl < 0 ? '?' : `0x${ctl.toString(16)}`} CVAL ${cvalKnown ? formatU64(hi, lo) : '?'}`;
}

function vcpuReference(naming: Naming, index: number): string {
  const name = index < 0 ? null : naming.vcpu(index);
  return name === null ? '?' : `vcpu ${name.id < 0 ? '?' : name.id} of VM ${name.vm}`;
}
