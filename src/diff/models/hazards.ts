import type { Finding } from '../../check/facts.js';
import { TraceRun } from '../../check/trace-run.js';
import { TimerEvent } from '../../events/event.js';
import type { Host } from '../../machine/machine.js';
import type { ModelId } from '../../models/model.js';
import { rules } from '../../rules/index.js';
import { tick } from '../../simulate/state.js';
import { clockStart } from './guest.js';

/** Checks what a simulated design records, as it comes, with the rules of its own model. */
export class HazardCheck {
  readonly #run: TraceRun;
  /** CLOCK_MONOTONIC at the beginning of the simulated clock, nanoseconds. */
  readonly #monotonic: number;

  /** @param origin of the trace's times, nanoseconds; undefined where it has none */
  constructor(model: ModelId, host: Host, origin: bigint | undefined) {
    const frequency = 1e9 / tick;
    this.#run = new TraceRun('simulation', 'native-csv', { model, host, frequency, maxFindings: 1000 }, rules);
    const start = (origin ?? 0n) - BigInt(clockStart);
    this.#monotonic = Number(start);
    this.#run.fact({ clock: 'mono', origin: start });
  }

  event(event: TimerEvent): void {
    const taken = TimerEvent.take().copyFrom(event);
    if (taken.expires >= 0) taken.expires += this.#monotonic;
    this.#run.event(taken);
    this.#run.facts.length = 0;
  }

  end(): readonly Finding[] {
    return this.#run.end().findings;
  }
}
