import { describe, expect, it } from 'vitest';
import { checkText } from '../robustness/recordings.js';

/** A recording of one record that names a timer context. */
const recording = (event: string) => `# tracer: nop\n  vmm-71 [000] d..1. 8.000001: ${event}\n`;

/** Records that name a context, each with the place of its number. */
const naming: readonly (readonly [string, string])[] = [
  ['kvm_timer_save_state', '   CTL: 0x000005 CVAL:       0x1d6a3c2 arch_timer_ctx_index: #'],
  ['kvm_timer_restore_state', 'CTL: 0x000001 CVAL:       0x1d6a3c2 arch_timer_ctx_index: #'],
  ['kvm_timer_emulate', 'arch_timer_ctx_index: # (should_fire: 1)'],
  ['kvm_timer_hrtimer_expire', 'arch_timer_ctx_index: #'],
  ['kvm_get_timer_map', 'VCPU: 0, dv: #, dp: 0, ev: -1, ep: -1'],
  ['kvm_get_timer_map', 'VCPU: 0, dv: 1, dp: #, ev: -1, ep: -1'],
  ['kvm_get_timer_map', 'VCPU: 0, dv: 1, dp: 0, ev: #, ep: -1'],
  ['kvm_get_timer_map', 'VCPU: 0, dv: 1, dp: 0, ev: -1, ep: #'],
];

// Seen in recordings with damaged pages: what looks for the context by its number finds none.
describe.each(naming)('a record of %s with %s', (name, text) => {
  const summary = (context: number) => checkText(recording(`${name}: ${text.replace('#', String(context))}`));
  const malformed = async (context: number) =>
    (await summary(context)).conditions.filter(({ kind }) => kind === 'malformed-fields');

  it.each([4, 200, -3, -2147483648])('and context %i is counted, and not used', async (context) => {
    expect(await malformed(context)).toMatchObject([{ count: 1 }]);
    expect((await summary(context)).timerEvents).toBe(0);
  });

  it.each([0, 3])('and context %i is used', async (context) => {
    expect(await malformed(context)).toEqual([]);
    expect((await summary(context)).timerEvents).toBe(1);
  });
});
