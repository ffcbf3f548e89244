import { describe, expect, it } from 'vitest';
import type { CheckOptions } from '../../src/check/facts.js';
import { checkText, told } from '../robustness/recordings.js';

/** What is told of records of one thread on CPU 0, 20 us apart. */
async function findings(records: readonly string[], options: CheckOptions): Promise<string[]> {
  const lines = records.map((record, index) => {
    const time = 10_000_000 + 20 * index;
    return `       CPU 0/KVM-187   [000]    ${Math.floor(time / 1e6)}.${String(time % 1e6).padStart(6, '0')}: ${record}\n`;
  });
  return told(await checkText(`cpus=1\n${lines.join('')}`, options)).map((line) => line.replace(/ ×.*/, ''));
}

describe('without irq_handler_exit', () => {
  const options: CheckOptions = { model: 'load-put-4.15', host: 'nvhe' };
  const arms =
    'hrtimer_start: hrtimer=0xffffffc00aa41d18 function=kvm_bg_timer_expire expires=10709693360 softexpires=10709693360';
  /** The vcpu goes to sleep, something comes on the way, and 200 ms later it is entered again. */
  const sleeps = (...onTheWay: readonly string[]) => [
    'kvm_exit: 0x2: HSR_EC: 0x0001 (WFx), PC: 0x40001b4c',
    'kvm_wfx_arm64: guest executed wf>c< at: 0x00000000',
    ...onTheWay,
    'sched_switch: prev_comm=CPU 0/KVM prev_pid=187 prev_prio=120 prev_state=S ==> next_comm=swapper/0 next_pid=0 next_prio=120',
    'timer_put: (ffffff80080bd3e0) vcpu=0xffffffc00aa40000 id=0 ctl=0x1 cval=0x214aa1 level=0 loaded=0 off=0x28bed753 enabled=1',
    'kvm_entry: PC: 0x40001b50',
  ];

  it.each(['arch_timer', 'kvm guest timer'])('a thread that arms its timer after %s is no handler', async (name) => {
    expect(await findings(sleeps(`irq_handler_entry: irq=3 name=${name}`, arms), options)).toEqual([]);
  });
});

describe('what appears only after the model has been chosen', () => {
  const options: CheckOptions = { model: 'timer-map', host: 'nvhe' };
  const state = (ctl: number) => `CTL: 0x00000${ctl} CVAL: 0x1000 arch_timer_ctx_index: 1`;
  /** From a load to the return to userspace. */
  const round = (before: number, after: number, inGuest: readonly string[] = [], probed: readonly string[] = []) => [
    `kvm_timer_restore_state: ${state(before)}`,
    'kvm_entry: PC: 0x40000a84',
    ...inGuest,
    'kvm_exit: TRAP: HSR_EC: 0x0024 (DABT_LOW), PC: 0x40000a84',
    ...probed,
    `kvm_timer_save_state: ${state(after)}`,
    'kvm_userspace_exit: reason KVM_EXIT_MMIO (6)',
  ];
  /** More events than are held back until then. */
  const quiet = Array.from({ length: 1000 }, () => round(1, 1)).flat();
  const handler = [
    'irq_handler_entry: irq=12 name=kvm guest vtimer',
    'kvm_arch_timer_handler: (ffffaf7f8a26df20) irq=12 vcpu=0xffff2c780ae51ef8 id=0',
    'kvm_get_timer_map: VCPU: 0, dv: 1, dp: -1, ep: 0',
    'kvm_timer_update_irq: VCPU: 0, IRQ 27, level 1',
    'irq_handler_exit: irq=12 ret=handled',
  ];
  const interrupted = (calls: readonly string[]) => [
    ...round(1, 5, calls),
    ...Array.from({ length: 5 }, () => round(5, 5, calls)).flat(),
  ];

  it('a handler probe repeats the interrupt that its filter has let through', async () => {
    expect(await findings([...quiet, ...interrupted(handler)], options)).toEqual([]);
  });

  it('a handler that reports no level is told', async () => {
    const ignoring = handler.filter((record) => !record.startsWith('kvm_timer_update_irq'));
    expect(await findings([...quiet, ...round(1, 5, handler), ...interrupted(ignoring).slice(7)], options)).toContain(
      'warning irq-raises-level/ignored',
    );
  });

  it('a probe of puts takes the place of what was derived from saves', async () => {
    const put = ['kvm_arch_vcpu_put: (ffffaf7f8a26df20) vcpu=0xffff2c780ae51ef8 id=0 cpu=0'];
    const probed = Array.from({ length: 5 }, () => round(1, 1, [], put)).flat();
    expect(await findings([...quiet, ...probed], options)).toEqual([]);
  });
});
