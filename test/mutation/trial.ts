import type { TraceSummary } from '../../src/check/facts.js';
import { TraceRun } from '../../src/check/trace-run.js';
import { TimerEvent } from '../../src/events/event.js';
import type { Design } from '../../src/models/design.js';
import { rules } from '../../src/rules/index.js';
import type { EffectSink } from '../../src/simulate/sink.js';
import { KernelBug, type SimHost } from '../../src/simulate/state.js';
import { type Episode, Stage } from './driver/stage.js';

/** What a kernel of a design recorded in an episode. */
export interface Played {
  readonly events: readonly TimerEvent[];
  /** Where the kernel itself stopped. */
  readonly bug: string | undefined;
}

/** Most events of an episode: a kernel that goes on is in a loop. */
const most = 20_000;

export function play(design: Design, host: SimHost, episode: Episode, sink?: EffectSink): Played {
  const events: TimerEvent[] = [];
  const record = (event: TimerEvent) => {
    if (events.length >= most) throw new KernelBug('endless');
    events.push(new TimerEvent().copyFrom(event));
  };
  try {
    episode(new Stage(design, host, record, sink));
    return { events, bug: undefined };
  } catch (error) {
    if (error instanceof KernelBug) return { events, bug: error.message };
    throw error;
  }
}

/** Checks events as a native trace of a model. */
export function judge(events: readonly TimerEvent[], model: string, host: SimHost): TraceSummary {
  const run = new TraceRun('simulation', 'native-csv', { model, host: host.host, frequency: 62_500_000 }, rules);
  run.fact({ clock: 'mono' });
  for (const [index, event] of events.entries()) {
    const taken = TimerEvent.take().copyFrom(event);
    taken.position = index + 1;
    run.event(taken);
  }
  return run.end();
}
