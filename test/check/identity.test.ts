import { describe, expect, it } from 'vitest';
import type { TraceSummary } from '../../src/check/facts.js';
import { check } from '../../src/index.js';
import type { ModelId } from '../../src/models/model.js';

const at = '(ffffff80080a0810)';
const vcpu = 'vcpu=0xffffffc00ae80000 id=1';

/** A report in which the VMM's main thread loads a vcpu for an ioctl, and another thread has entered it after a loss. */
const report = `cpus=2
     vmm-197   [000]    11.000000000: vcpu_load:   ${at} ${vcpu} cpu=0 oldcpu=-1
     vmm-197   [000]    11.000010000: vcpu_put:    ${at} ${vcpu} cpu=0
     vmm-197   [000]    11.000020000: sched_switch: prev_comm=vmm prev_pid=197 prev_prio=120 prev_state=S ==> next_comm=swapper/0 next_pid=0 next_prio=120
CPU:0 [300 EVENTS DROPPED]
 CPU 1/KVM-200 [000]    11.100000000: kvm_entry:   PC: 0x40000a84
 CPU 1/KVM-200 [000]    11.200000000: timer_sync:  ${at} ${vcpu}
 CPU 1/KVM-200 [000]    11.200010000: kvm_exit:    IRQ: HSR_EC: 0x0024 (DABT_LOW), PC: 0x40001470
 CPU 1/KVM-200 [000]    11.200020000: kvm_entry:   PC: 0x40000a84
 CPU 1/KVM-200 [000]    11.290000000: timer_sync:  ${at} ${vcpu}
 CPU 1/KVM-200 [000]    11.300000000: kvm_exit:    IRQ: HSR_EC: 0x0024 (DABT_LOW), PC: 0x40001470
 CPU 1/KVM-200 [000]    11.300010000: vcpu_put:    ${at} ${vcpu} cpu=0
`;

/** What a check says of a report. */
async function summaryOf(text: string, model: ModelId): Promise<TraceSummary> {
  let summary: TraceSummary | undefined;
  const input = {
    path: 'report',
    async *open() {
      yield Buffer.from(text);
    },
  };
  for await (const fact of check([input], { model })) {
    if (fact.type === 'trace-failed') throw new Error(fact.failure.error);
    if (fact.type === 'trace-end') summary = fact.summary;
  }
  return summary!;
}

const threadsOf = (summary: TraceSummary) => summary.vcpus.map(({ id, pid }) => ({ id, pid }));

it('takes a vcpu that its thread has entered and the one that a probe names for the same', async () => {
  const summary = await summaryOf(report, 'rfc-load-put');
  expect(summary.findings).toEqual([]);
  expect(threadsOf(summary)).toEqual([{ id: 1, pid: 200 }]);
});

/** A load, a stay in the guest and a put, which leaves the level high. */
function stay(thread: string, second: number): string {
  const line = (microsecond: number, text: string) =>
    ` ${thread} [000]    ${second}.${String(microsecond).padStart(6, '0')}000: ${text}\n`;
  const registers = 'CTL: 0x000005 CVAL:           0x100000 arch_timer_ctx_index: 1';
  return [
    line(10, `vcpu_load:   ${at} ${vcpu}`),
    line(20, 'kvm_get_timer_map: VCPU: 1, dv: 1, dp: -1, ep: 0'),
    line(30, 'kvm_timer_update_irq: VCPU: 1, IRQ 27, level 1'),
    line(40, `kvm_timer_restore_state: ${registers}`),
    line(50, 'kvm_entry:   PC: 0x40000a84'),
    line(60, 'kvm_exit:    IRQ: HSR_EC: 0x0024 (DABT_LOW), PC: 0x40001470'),
    line(70, `vcpu_put:    ${at} ${vcpu}`),
    line(80, 'kvm_get_timer_map: VCPU: 1, dv: 1, dp: -1, ep: 0'),
    line(90, `kvm_timer_save_state: ${registers}`),
    line(95, 'kvm_userspace_exit: reason KVM_EXIT_INTR (10)'),
  ].join('');
}

const reset = (thread: string) => ` ${thread} [000]    12.500000000: timer_vcpu_reset: ${at} ${vcpu}\n`;

describe('the address of a vcpu', () => {
  it('is given to the vcpu of a later VM, which has nothing to do with the one before', async () => {
    // No level of the new vcpu's timer has ever been reported: there is none for its reset to lower.
    const silent = stay('CPU 1/KVM-307', 13).replace(/.*kvm_timer_update_irq.*\n/, '');
    const next = `${reset('vmm-305')}${silent}`;
    const summary = await summaryOf(`cpus=1\n${stay('CPU 1/KVM-200', 11)}${next}`, 'timer-map');
    expect(summary.findings).toEqual([]);
    expect(threadsOf(summary)).toEqual([
      { id: 1, pid: 200 },
      { id: 1, pid: 307 },
    ]);
  });

  it('shows a vcpu of another id, or one that is enabled once more, to be a new one', async () => {
    const renamed = `cpus=1\n${stay('t-200', 11)}${reset('t-200').replace('id=1', 'id=0')}`;
    expect(threadsOf(await summaryOf(renamed, 'timer-map')).map(({ id }) => id)).toEqual(
      expect.arrayContaining([0, 1]),
    );
    const enabled = ` t-200 [000]    12.500000000: kvm_timer_enable: ${at} ${vcpu}\n`;
    const again = `cpus=1\n${stay('t-200', 11)}${enabled}`;
    expect((await summaryOf(again, 'timer-map')).vcpus).toHaveLength(2);
  });

  it('stays that of the vcpu whose registers another thread of the VMM sets', async () => {
    const text = `cpus=1\n${stay('CPU 1/KVM-200', 11)}${reset('vmm-197')}${stay('CPU 1/KVM-200', 13)}`;
    expect(threadsOf(await summaryOf(text, 'timer-map'))).toEqual([{ id: 1, pid: 200 }]);
  });

  it('names no more vcpus than threads that take turns in running one', async () => {
    const turns = Array.from({ length: 12 }, (_, turn) => stay(`t-${200 + (turn % 3)}`, 11 + turn));
    const summary = await summaryOf(`cpus=1\n${turns.join('')}`, 'timer-map');
    expect(summary.findings).toEqual([]);
    expect(summary.vcpus.length).toBeLessThanOrEqual(3);
  });
});
