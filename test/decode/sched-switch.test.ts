import { describe, expect, it } from 'vitest';
import { checkText } from '../robustness/recordings.js';

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
});
