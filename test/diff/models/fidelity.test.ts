import { describe, expect, it } from 'vitest';
import { check } from '../../../src/check/check.js';
import { fileInput } from '../../../src/check/read.js';
import { Assumptions } from '../../../src/diff/models/assumptions.js';
import { StimulusExtractor } from '../../../src/diff/models/extract.js';
import { GuestOnDesign } from '../../../src/diff/models/guest.js';
import { StimulusQueue } from '../../../src/diff/models/queue.js';
import { Timer, type TimerEvent } from '../../../src/events/event.js';
import { Kind } from '../../../src/events/kinds.js';
import { designs } from '../../../src/models/designs/index.js';
import type { ModelId } from '../../../src/models/model.js';
import { rules } from '../../../src/rules/index.js';

const corpus = 'traces/recordings/';

/** By vcpu, for each trip into the guest: the levels that were reported from its entry to the next one. */
class Trips {
  readonly #trips: string[][] = [];

  event(vcpu: number, { kind, timer, level }: TimerEvent): void {
    if (vcpu < 0) return;
    this.#trips[vcpu] ??= [];
    const trips = this.#trips[vcpu]!;
    if (kind === Kind.entry) trips.push('');
    if (trips.length === 0) return;
    if (kind === Kind.exit) trips.push(`${trips.pop()}X`);
    if (kind === Kind.update_irq && timer === Timer.vtimer) trips.push(`${trips.pop()}${level}`);
  }

  get all(): readonly (readonly string[])[] {
    return this.#trips;
  }
}

/** What a kernel recorded, and what its own design makes of the guest of that recording. */
async function tripsOf(path: string, id: ModelId, host: 'vhe' | 'nvhe', hasPtimer: boolean) {
  const recorded = new Trips();
  const replayed = new Trips();
  const guest = new GuestOnDesign(designs[id], host, hasPtimer, (event) => replayed.event(event.vcpuId, event));
  const assumptions = new Assumptions();
  const queue = new StimulusQueue((stimulus) => guest.take(stimulus), assumptions);
  const extractor = new StimulusExtractor(queue, assumptions);
  const observe = () => ({
    begin: () => extractor.begin(id),
    event(event: TimerEvent, machine: Parameters<StimulusExtractor['event']>[1]) {
      recorded.event(event.vcpu, event);
      extractor.event(event, machine);
    },
    end: () => extractor.end(),
  });
  const off = Object.fromEntries(rules.map((rule) => [rule.id, 'off' as const]));
  for await (const fact of check([fileInput(corpus + path)], { model: id, host, rules: off, observe }))
    if (fact.type === 'trace-failed') throw new Error(fact.failure.error);
  return { recorded: recorded.all, replayed: replayed.all, stopped: guest.stopped };
}

// Nothing that the recorded timer code did is given to the replay: not its interrupts, levels, saves or restores. What it
// shows of deadlines is, so where the design is the recorded kernel's own the same reports must come out, in the same trips.
describe("a design on the guest of its own kernel's recording reports the levels that were recorded", () => {
  it.each([
    ['4.9-nvhe/kp-overcommit.txt.gz', 'world-switch', 'nvhe', false],
    ['4.14-nvhe/kp-mixed.txt.gz', 'world-switch', 'nvhe', true],
    ['4.15-nvhe/cntvoff.txt.gz', 'load-put-4.15', 'nvhe', true],
    ['4.15-nvhe/tickwfi.dat', 'load-put-4.15', 'nvhe', true],
    ['4.19-vhe/busy.txt.gz', 'load-put-4.16', 'vhe', true],
    ['5.0-nvhe/tickwfi.txt.gz', 'load-put-5.0', 'nvhe', true],
    ['5.10-vhe/kp-mixed.txt.gz', 'timer-map', 'vhe', true],
    ['6.1-vhe/overcommit.txt.gz', 'timer-map', 'vhe', true],
    ['6.1-nvhe/cntvoff.txt.gz', 'timer-map', 'nvhe', true],
    ['7.2-vhe/kp-tickwfi.dat', 'stateless-level', 'vhe', true],
    ['rfc-nvhe/tickwfi.dat', 'rfc-load-put', 'nvhe', false],
  ] as const)('%s', async (path, id, host, hasPtimer) => {
    const { recorded, replayed, stopped } = await tripsOf(path, id, host, hasPtimer);
    expect(stopped).toBeUndefined();
    expect(replayed.map((trips) => trips.length)).toEqual(recorded.map((trips) => trips.length));
    const reports = recorded.flat().filter((trip) => /\d/.test(trip)).length;
    expect(reports).toBeGreaterThan(20);
    const differing = recorded.flatMap((trips, vcpu) => trips.filter((trip, n) => trip !== replayed[vcpu]![n]));
    // An expiry that shows late, or twice in one trip, may be placed in a neighbouring one.
    expect(differing.length).toBeLessThanOrEqual(recorded.flat().length / 80);
  });
});
