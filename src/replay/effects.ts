import type { MarkedEffect } from '../cost/derive.js';
import { type CostSetting, Deriver } from '../cost/deriver.js';
import { Episodes } from '../cost/episodes.js';
import type { EpisodeSink, Slot } from '../cost/slots.js';
import { foreseen, symbolOfEvent } from '../cost/symbols.js';
import { type TimerEvent, timerNames } from '../events/event.js';
import { Kind } from '../events/kinds.js';
import type { Machine } from '../machine/machine.js';
import type { VcpuState } from '../machine/state.js';
import { type Design, operationMeanings } from '../models/design.js';
import { designs } from '../models/designs/index.js';
import type { MomentEffect } from './moment.js';

/** An event that effects can follow. */
export interface Host {
  /** Effects so far. */
  readonly effects: MomentEffect[];
  /** Runs that may still add some. */
  open: number;
}

/** A run of the kernel's functions that is under way: its events, and which effect each of them shows. */
interface Run {
  /** Undefined for those that nobody wants. */
  readonly hosts: (Host | undefined)[];
  /** -1 for the event with which it began. */
  readonly symbols: number[];
}

/** Comes between the way into the guest and the way out of it. */
const guestRuns: MomentEffect = {
  operation: 'guest',
  text: operationMeanings.guest[0],
  kernel: 'kvm_arch_vcpu_ioctl_run',
  inMemory: false,
  mark: 'derived',
};

/** Puts what the model did between the events of a trace behind the events that it followed. */
export class Effects implements EpisodeSink {
  #design: Design | undefined;
  #episodes: Episodes | undefined;
  #deriver: Deriver | undefined;
  readonly #runs = new Map<Slot, Run>();
  /** Of each vcpu, its last entry: up to 4.14 the way out of the guest is over when the exit is recorded. */
  readonly #entries: (Host | undefined)[] = [];
  /** The event at hand. */
  #host: Host | undefined;
  #event: TimerEvent | undefined;

  begin(setting: CostSetting): void {
    const id = setting.candidates[setting.candidates.length - 1];
    if (id === undefined) return;
    this.#design = designs[id];
    this.#episodes = new Episodes(designs[id], this);
    this.#deriver = new Deriver(this.#episodes, setting);
  }

  /** @param host what the effects after the event are put into, undefined where nobody wants them */
  event(event: TimerEvent, machine: Machine, vcpu: VcpuState | undefined, host: Host | undefined): void {
    this.#host = host;
    this.#event = event;
    this.#episodes?.event(event, machine, vcpu);
    if (event.kind === Kind.entry && event.vcpu >= 0) this.#entries[event.vcpu] = host;
  }

  end(): void {
    this.#episodes?.end();
  }

  began(slot: Slot): void {
    const run: Run = { hosts: [], symbols: [] };
    this.#runs.set(slot, run);
    const isExit = this.#event?.kind === Kind.exit && this.#episodes?.isWayOut(slot) === true;
    this.#add(run, isExit ? this.#entries[slot.vcpu] : this.#host, -1);
  }

  showed(slot: Slot): void {
    const run = this.#runs.get(slot);
    if (run !== undefined) this.#add(run, this.#host, symbolOfEvent(this.#event!));
  }

  dropped(slot: Slot): void {
    for (const host of this.#runs.get(slot)?.hosts ?? []) close(host);
    this.#runs.delete(slot);
  }

  ended(node: number, slot: Slot): void {
    const run = this.#runs.get(slot);
    this.#runs.delete(slot);
    if (run === undefined) return;
    for (const host of run.hosts) close(host);
    if (run.hosts.every((host) => host === undefined)) return;
    const { episode, effects } = this.#deriver!.derive(node).derivation;
    this.#distribute(run, episode === 'leave', effects);
  }

  #add(run: Run, host: Host | undefined, symbol: number): void {
    if (host !== undefined) host.open++;
    run.hosts.push(host);
    run.symbols.push(symbol);
  }

  /** Each effect goes to the event that it followed, or that shows it. */
  #distribute({ hosts, symbols }: Run, isWayOut: boolean, effects: readonly MarkedEffect[]): void {
    let at = 0;
    if (isWayOut && effects.some(({ cost }) => cost !== undefined)) hosts[0]?.effects.push(guestRuns);
    for (const effect of effects) {
      if (effect.symbol >= 0) {
        const shown = symbols.findIndex((symbol, index) => index > at && foreseen(symbol) === effect.symbol);
        if (shown > at) at = shown;
      }
      // Reports, saves and restores are events of their own.
      if (effect.operation !== 'record') hosts[at]?.effects.push(this.#describe(effect));
    }
  }

  #describe({ operation, timer, role, operand, value, viaHyp, mark }: MarkedEffect): MomentEffect {
    const [text, cost] = operationMeanings[operation as keyof typeof operationMeanings];
    const shown =
      value !== undefined && operand !== 'vcpu' && operand !== 'NULL' ? String(value) : String(operand ?? '');
    const of = timerNames[timer] ?? 'x';
    const filled = text.replace('$', () => shown).replace(/\bx\b(?=[),])/, of);
    return {
      operation,
      text: viaHyp ? `${filled} by HVC` : filled,
      kernel: this.#design?.functions.find((each) => each.role === role)?.kernel ?? role,
      inMemory: cost === 'memory' || cost === 'interrupts' || cost === 'guest',
      mark,
    };
  }
}

function close(host: Host | undefined): void {
  if (host !== undefined) host.open--;
}
