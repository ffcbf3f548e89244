import { check } from '../check/check.js';
import { describeCertainty, describeEvent } from '../check/describe.js';
import type { CheckOptions, Fact } from '../check/facts.js';
import type { Naming } from '../check/findings.js';
import type { ObservedTrace, Observer } from '../check/observe.js';
import type { Input } from '../check/read.js';
import { Timer, type TimerEvent, timerNames } from '../events/event.js';
import { Kind, type KindName, kindNames } from '../events/kinds.js';
import type { Machine } from '../machine/machine.js';
import type { VcpuState } from '../machine/state.js';
import { rules } from '../rules/index.js';
import { Effects, type Host } from './effects.js';
import { changes, type Moment, type MomentEffect, stateOf, type TimerState } from './moment.js';

/** Which events are shown; each condition narrows the choice. */
export interface Selection {
  /** A vcpu_id, of any VM or of that one. */
  readonly vcpu?: { readonly id: number; readonly vm?: number };
  readonly cpu?: number;
  readonly kinds?: readonly KindName[];
  /** Seconds in the trace's clock, both inclusive. */
  readonly from?: number;
  readonly to?: number;
}

/** Options of `replay`. */
export interface ReplayOptions extends Pick<CheckOptions, 'model' | 'host' | 'inputFormat'> {
  readonly select?: Selection;
  /** Whether moments have the effects of the model that follow them; default true. */
  readonly effects?: boolean;
}

/** A fact of a replay. */
export type ReplayFact = Fact | { readonly type: 'moment'; readonly path: string; readonly moment: Moment };

/** Most moments that wait for what follows them. */
const mostWaiting = 4096;

/** A moment whose effects are not complete. */
interface Waiting extends Host {
  readonly moment: Moment;
}

/** Makes moments of the events that were selected. */
class Recorder implements Observer {
  /** Those that may still get effects, and those behind them. */
  readonly #waiting: Waiting[] = [];
  readonly #effects: Effects | undefined;
  readonly #naming: Naming;
  readonly #select: Selection;
  readonly #kinds: ReadonlySet<number> | undefined;
  /** By vcpu, the state after its last event, selected or not. */
  readonly #states: (TimerState | undefined)[] = [];

  constructor(naming: Naming, select: Selection, withEffects: boolean) {
    this.#naming = naming;
    this.#select = select;
    if (withEffects) this.#effects = new Effects();
    this.#kinds = select.kinds === undefined ? undefined : new Set(select.kinds.map((name) => Kind[name]));
  }

  begin(trace: ObservedTrace): void {
    this.#effects?.begin(trace);
  }

  event(event: TimerEvent, machine: Machine, vcpu: VcpuState | undefined): void {
    const waiting = this.#isSelected(event) ? this.#moment(event, machine) : undefined;
    if (waiting === undefined && event.vcpu >= 0) this.#state(event, machine);
    this.#effects?.event(event, machine, vcpu, waiting);
    if (waiting !== undefined) this.#waiting.push(waiting);
  }

  end(): void {
    this.#effects?.end();
    for (const waiting of this.#waiting) waiting.open = 0;
  }

  /** Moments that are complete, in their order. */
  take(): Moment[] {
    const waiting = this.#waiting;
    const open = waiting.findIndex(({ open }) => open > 0);
    const count = open < 0 ? waiting.length : Math.max(open, waiting.length - mostWaiting);
    return waiting.splice(0, count).map(({ moment }) => moment);
  }

  /** What is known after the event, and what of it is other than after the one before. */
  #state(event: TimerEvent, machine: Machine): Pick<Moment, 'state' | 'changed'> {
    const before = this.#states[event.vcpu];
    const state = stateOf(machine.vcpu(event.vcpu));
    this.#states[event.vcpu] = state;
    return { state, changed: changes(before, state) };
  }

  #isSelected(event: TimerEvent): boolean {
    const { cpu, from, to, vcpu } = this.#select;
    if (cpu !== undefined && event.cpu !== cpu) return false;
    if (this.#kinds !== undefined && !this.#kinds.has(event.kind)) return false;
    if (vcpu !== undefined && !this.#isOf(event, vcpu)) return false;
    if (from === undefined && to === undefined) return true;
    const time = Number(this.#naming.time(event.time));
    return (from === undefined || time >= from) && (to === undefined || time <= to);
  }

  /** Losses concern whoever may have been there. */
  #isOf(event: TimerEvent, { id, vm }: { readonly id: number; readonly vm?: number }): boolean {
    if (event.kind === Kind.lost) return true;
    const name = event.vcpu < 0 ? null : this.#naming.vcpu(event.vcpu);
    return name !== null && name.id === id && (vm === undefined || name.vm === vm);
  }

  #moment(event: TimerEvent, machine: Machine): Waiting {
    const naming = this.#naming;
    const { state, changed } = event.vcpu < 0 ? { state: null, changed: [] } : this.#state(event, machine);
    const effects: MomentEffect[] = [];
    const moment: Moment = {
      time: naming.time(event.time),
      position: naming.position(event.position),
      cpu: event.cpu,
      pid: event.pid,
      comm: naming.comm(event.pid),
      vcpu: event.vcpu < 0 ? null : naming.vcpu(event.vcpu),
      event: kindNames[event.kind]!,
      timer: event.timer === Timer.vtimer ? '' : (timerNames[event.timer] ?? ''),
      text: describeEvent(event),
      certainty: describeCertainty(event),
      state,
      changed,
      effects,
    };
    return { moment, effects, open: 0 };
  }
}

/**
 * Replays traces, one after the other: each event as it comes, with what the machine knows of its vcpu after it. No rule
 * is checked. Memory does not grow with a trace.
 *
 * @throws RangeError for an option whose value does not exist
 */
export async function* replay(
  inputs: readonly Input[],
  options: ReplayOptions = {},
): AsyncGenerator<ReplayFact, void, undefined> {
  const { select = {}, effects = true, ...others } = options;
  let recorder: Recorder | undefined;
  const observe = (naming: Naming) => {
    recorder = new Recorder(naming, select, effects);
    return recorder;
  };
  const off = Object.fromEntries(rules.map(({ id }) => [id, 'off' as const]));
  let path = '';
  for await (const fact of check(inputs, { ...others, rules: off, observe })) {
    if (fact.type === 'trace-start') path = fact.path;
    for (const moment of recorder?.take() ?? []) yield { type: 'moment', path, moment };
    yield fact;
  }
}
