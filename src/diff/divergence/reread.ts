import { check } from '../../check/check.js';
import type { CheckOptions, WitnessEvent } from '../../check/facts.js';
import { type Naming, snapshot, witnessEvent } from '../../check/findings.js';
import type { Observer } from '../../check/observe.js';
import type { Input } from '../../check/read.js';
import type { TimerEvent } from '../../events/event.js';
import { Kind } from '../../events/kinds.js';
import type { Machine } from '../../machine/machine.js';
import { rules } from '../../rules/index.js';
import type { SideName } from '../facts.js';
import type { Side } from '../side.js';
import { findDivergence, type Place } from './divergence.js';
import type { Divergence, DivergentSide } from './facts.js';

/** Events shown before the place, and at it. */
const before = 5;
const most = 16;

/** What is seen at a place. */
type Seen = Pick<DivergentSide, 'events' | 'before' | 'after'>;

/** Keeps the events around a place, and the state before and after it. */
class Onlooker implements Observer {
  readonly seen = { events: [] as WitnessEvent[], before: {}, after: {} } satisfies Seen;
  /** The place has been passed. */
  done = false;
  readonly #earlier: WitnessEvent[] = [];
  readonly #naming: Naming;
  readonly #place: Place;
  /** Of the vcpu before the event at hand. */
  #state: Record<string, string> = {};

  constructor(naming: Naming, place: Place) {
    this.#naming = naming;
    this.#place = place;
  }

  event(event: TimerEvent, machine: Machine): void {
    const { vcpu, from, to, position } = this.#place;
    if (this.done || event.vcpu !== vcpu) return;
    const { seen } = this;
    const begins = seen.events.length === 0 && event.time === from && event.position === position;
    if (seen.events.length === 0 && !begins) {
      if (event.time > from) this.done = true;
      this.#earlier.push(witnessEvent(event, this.#naming, false));
      if (this.#earlier.length > before) this.#earlier.shift();
      this.#state = snapshot(machine, event, this.#naming);
      return;
    }
    if (begins) {
      seen.events.push(...this.#earlier);
      seen.before = this.#state;
    }
    // Nothing that stands after the next piece's first event belongs to this one.
    if (event.time > to || seen.events.length >= this.#earlier.length + most || event.kind === Kind.lost) {
      this.done = true;
      return;
    }
    const isNext = !begins && event.time === to && event.position === this.#place.next;
    if (isNext) {
      this.done = true;
      return;
    }
    seen.events.push(witnessEvent(event, this.#naming, true));
    seen.after = snapshot(machine, event, this.#naming);
  }

  end(): void {}
}

/**
 * Reads a recording again up to a place, for the events and the state there: to keep them of all places would take too
 * much memory. What has no places to go back to, as a pipe, is not read again.
 */
async function seenAt(input: Input, place: Place, options: CheckOptions): Promise<Seen> {
  const nothing = { events: [], before: {}, after: {} };
  const file = input.openFile?.();
  if (file === undefined) return nothing;
  file.close();
  let onlooker: Onlooker | undefined;
  const off = Object.fromEntries(rules.map(({ id }) => [id, 'off' as const]));
  const observe = (naming: Naming) => {
    onlooker = new Onlooker(naming, place);
    return onlooker;
  };
  for await (const _ of check([input], { ...options, rules: off, observe })) if (onlooker?.done === true) break;
  return onlooker?.seen ?? nothing;
}

/** The first divergence of two recordings, with the events and the state there. */
export async function readDivergence(
  old: Side,
  next: Side,
  inputs: Readonly<Record<SideName, Input>>,
  options: CheckOptions,
): Promise<Divergence> {
  const side = ({ summary, profile: { steps } }: Side) => ({ summary, steps });
  const { divergence, places } = findDivergence(side(old), side(next));
  const { first } = divergence;
  if (first === null || places === null) return divergence;
  const seen = async (name: SideName) => ({ ...first[name], ...(await seenAt(inputs[name], places[name], options)) });
  return { ...divergence, first: { ...first, old: await seen('old'), new: await seen('new') } };
}
