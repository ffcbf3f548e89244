import { expect, it } from 'vitest';
import type { TraceSummary } from '../../src/check/facts.js';
import { check } from '../../src/index.js';

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

it('takes a vcpu that its thread has entered and the one that a probe names for the same', async () => {
  let summary: TraceSummary | undefined;
  const input = {
    path: 'report',
    async *open() {
      yield Buffer.from(report);
    },
  };
  for await (const fact of check([input], { model: 'rfc-load-put' })) {
    if (fact.type === 'trace-failed') throw new Error(fact.failure.error);
    if (fact.type === 'trace-end') summary = fact.summary;
  }
  expect(summary!.findings).toEqual([]);
  expect(summary!.vcpus.map(({ id, pid }) => ({ id, pid }))).toEqual([{ id: 1, pid: 200 }]);
});
