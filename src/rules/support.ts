import { Timer, type TimerEvent, timerNames } from '../events/event.js';
import { formatU64 } from '../events/u64.js';
import type { Machine } from '../machine/machine.js';
import { contextCount, type VcpuState } from '../machine/state.js';
import { type ModelId, modelIds } from '../models/model.js';
import type { RuleContext } from './context.js';
import { Occasion } from './occasion.js';
import type { Severity } from './rule.js';

/** The same severity for every model. */
export function everyModel(severity: Severity): Record<ModelId, Severity> {
  return Object.fromEntries(modelIds.map((id) => [id, severity])) as Record<ModelId, Severity>;
}

/** The same severity for every model in which the hardware holds the timer from load to put: all but that of 4.4 to 4.14. */
export function everyModelSinceRfc(severity: Severity): Record<Exclude<ModelId, 'world-switch'>, Severity> {
  const { 'world-switch': _, ...others } = everyModel(severity);
  return others;
}

/** The models of 5.1 and later, whose traces record every save and restore. */
export const tracedModels = ['timer-map', 'offset', 'stateless-level'] as const satisfies readonly ModelId[];

/** The same severity for every model of 5.1 and later. */
export function everyTracedModel(severity: Severity): Record<(typeof tracedModels)[number], Severity> {
  return { 'timer-map': severity, offset: severity, 'stateless-level': severity };
}

/** The landed load/put models before save and restore were traced. */
export const loadPutModels = ['load-put-4.15', 'load-put-4.16', 'load-put-5.0'] as const satisfies readonly ModelId[];

/** The same severity for every model of 4.15 to 5.0. */
export function everyLoadPutModel(severity: Severity): Record<(typeof loadPutModels)[number], Severity> {
  return { 'load-put-4.15': severity, 'load-put-4.16': severity, 'load-put-5.0': severity };
}

/** The models whose irq.level is the line as the timer last saw it, and whose handler leaves a high one alone. */
export const cachingModels: readonly ModelId[] = ['rfc-load-put', 'load-put-4.15'];

/** Whether the model is one of them, whichever of the candidates it is. */
export function cachesLine({ candidates }: RuleContext): boolean {
  return candidates.every((id) => cachingModels.includes(id));
}

/** Whether a vcpu may run a hypervisor: its timer map tells; without one nothing does, and from 6.4 on any may. */
export function mayNest({ candidates }: RuleContext, vcpu: VcpuState): boolean {
  if (vcpu.emulVtimer !== Timer.unknown) return vcpu.isNested;
  return candidates.some((id) => id === 'offset' || id === 'stateless-level');
}

/** A vcpu as messages name it. */
export function vcpuName(machine: Machine, index: number): string {
  const id = machine.vcpus[index]?.id ?? -1;
  return id >= 0 ? `vcpu ${id}` : `vcpu#${index}`;
}

/** CTL as messages print it. */
export function ctlText(ctl: number): string {
  return ctl < 0 ? '?' : `0x${ctl.toString(16)}`;
}

/** CVAL of an event as messages print it. */
export function cvalText(event: TimerEvent): string {
  return event.hasCval ? formatU64(event.cvalHi, event.cvalLo) : '?';
}

/** Name of a timer context in messages. */
export function timerText(timer: number): string {
  return timerNames[timer] ?? 'timer';
}

/** The timer context whose registers an event shows: a probe that names none shows those of the virtual timer. */
export function shownTimer(event: TimerEvent): number {
  return event.timer >= 0 ? event.timer : Timer.vtimer;
}

/** Events of a vcpu's timer contexts that wait, kept by vcpu and context, are not decided any more. */
export function undecideContexts(context: RuleContext, waiting: Slots, vcpu: number, reason: string): void {
  if (waiting.isEmpty) return;
  for (let timer = 0; timer < contextCount; timer++) {
    const event = waiting.take(vcpu * contextCount + timer);
    if (event !== undefined) context.undecided(event, reason);
  }
}

/** A slot for one kept event per key (CPU, vcpu or both): keeping one neither copies nor allocates. */
export class Slots {
  /** By key; a slot that is not kept still holds its event until the next `set`. */
  readonly #slots: (TimerEvent | undefined)[] = [];
  readonly #kept: boolean[] = [];
  #size = 0;
  /** There is one while anything is kept. */
  readonly occasion: Occasion;

  /** @param occasion one that several share: there is one while any of them keeps anything */
  constructor(occasion: Occasion = new Occasion()) {
    this.occasion = occasion;
  }

  /** Nothing is kept: most of the time, so that the answer saves the search. */
  get isEmpty(): boolean {
    return this.#size === 0;
  }

  set(key: number, event: TimerEvent): void {
    while (this.#kept.length <= key) {
      this.#kept.push(false);
      this.#slots.push(undefined);
    }
    const before = this.#slots[key];
    this.#slots[key] = event.retain();
    if (!this.#kept[key]) {
      this.#size++;
      this.occasion.add();
    }
    this.#kept[key] = true;
    before?.release();
  }

  /** The kept event, or undefined after `clear`. It stays readable until the next `set` of its key. */
  get(key: number): TimerEvent | undefined {
    return this.#size > 0 && this.#kept[key] === true ? this.#slots[key] : undefined;
  }

  clear(key: number): void {
    this.take(key);
  }

  /** Clears and gives what was kept. */
  take(key: number): TimerEvent | undefined {
    if (this.#size === 0 || this.#kept[key] !== true) return undefined;
    this.#kept[key] = false;
    this.#size--;
    this.occasion.remove();
    return this.#slots[key];
  }

  /** Calls back with every kept event. */
  each(callback: (event: TimerEvent, key: number) => void): void {
    this.#kept.forEach((kept, key) => {
      if (kept) callback(this.#slots[key] as TimerEvent, key);
    });
  }
}

/** Whether two events carry the same 64-bit value. */
export function isSameValue(a: TimerEvent, b: TimerEvent): boolean {
  return a.valueHi === b.valueHi && a.valueLo === b.valueLo;
}

/** Whether an event carries the value 0. */
export function isZeroValue(event: TimerEvent): boolean {
  return event.valueHi === 0 && event.valueLo === 0;
}

/** Value of an event as messages print it. */
export function valueText(event: TimerEvent): string {
  return event.hasValue ? formatU64(event.valueHi, event.valueLo) : '?';
}
/** A duration as messages print it. @param nanoseconds */
export function durationText(nanoseconds: number): string {
  const size = Math.abs(nanoseconds);
  if (size < 1e6) return `${(size / 1e3).toFixed(1)} us`;
  return size < 1e9 ? `${(size / 1e6).toFixed(2)} ms` : `${(size / 1e9).toFixed(3)} s`;
}

/** Facts with which an example in the native notation gives the counter: 62.5 MHz, and 0x100000 at time 0. */
export const givenCounter = '# clock: mono\n# frequency: 62500000\n# count: 0x100000\n';
