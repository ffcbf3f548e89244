import { describe, expect, it } from 'vitest';
import { catalogue } from '../../src/decode/catalogue.js';
import { Decoder } from '../../src/decode/decoder.js';
import type { TimerEvent } from '../../src/events/event.js';
import { createTextReader } from '../../src/input/index.js';
import { feed } from '../input/support.js';
import { checkText } from '../robustness/recordings.js';

/** The events of a text. */
function decoded(text: string): readonly TimerEvent[] {
  const events: TimerEvent[] = [];
  const decoder = new Decoder({ event: (event) => events.push(event), seen() {}, condition() {} });
  const reader = createTextReader('ftrace', catalogue, {
    record: (record) => decoder.record(record),
    counted() {},
    repeated() {},
    lost() {},
    cpuStarted() {},
    fact() {},
    discontinuity() {},
    condition() {},
  });
  feed(reader, text);
  return events;
}

const recording = (next: string) =>
  `# tracer: nop\n  vmm-71 [000] d..1. 8.000001: sched_switch: prev_comm=vmm prev_pid=71 prev_prio=120 prev_state=S ==> ${next}\n`;

describe('a sched_switch', () => {
  it.each(['', 'next_comm=swapper/0', 'next_comm=swapper/0 next_pid=x next_prio=120'])(
    'that does not tell the next thread is counted, and still ends the previous one: %s',
    async (next) => {
      const { conditions, timerEvents } = await checkText(recording(next));
      expect(conditions.filter(({ kind }) => kind === 'malformed-fields')).toMatchObject([{ count: 1 }]);
      expect(timerEvents).toBe(1);
    },
  );

  it('that tells it is not', async () => {
    const { conditions } = await checkText(recording('next_comm=swapper/0 next_pid=0 next_prio=120'));
    expect(conditions.filter(({ kind }) => kind === 'malformed-fields')).toEqual([]);
  });

  it.each([
    ['R', 'swapper/0', 0, -1],
    ['R+', 'sh', 8, 0],
    ['R', 'sh', 8, 0],
    ['S', 'swapper/0', 0, 1],
    ['D', 'swapper/0', 0, -1],
  ])('in state %s, to %s, tells whether the thread sleeps as a vcpu does', (state, comm, pid, sleeping) => {
    const text = recording(`next_comm=${comm} next_pid=${pid} next_prio=120`).replace('=S', `=${state}`);
    expect(decoded(text).map((event) => event.sleeping)).toEqual([sleeping]);
  });
});
