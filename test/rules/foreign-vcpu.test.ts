import { expect, it } from 'vitest';
import type { TraceSummary } from '../../src/check/facts.js';
import { check } from '../../src/index.js';

// Vcpus are told apart by what their threads print: native rows, which name the vcpu, cannot show a wrong one.

/** A record of a thread on CPU 0, the n-th of a report. */
type Record = readonly [thread: string, text: string];

async function findingsOf(records: readonly Record[]): Promise<string[]> {
  const lines = records.map(
    ([thread, text], n) => ` ${thread} [000]    11.${String(n).padStart(6, '0')}000: ${text}\n`,
  );
  let summary: TraceSummary | undefined;
  const input = {
    path: 'report',
    async *open() {
      yield Buffer.from(`cpus=1\n${lines.join('')}`);
    },
  };
  for await (const fact of check([input], { model: 'timer-map' })) {
    if (fact.type === 'trace-failed') throw new Error(fact.failure.error);
    if (fact.type === 'trace-end') summary = fact.summary;
  }
  return summary!.findings.map(({ rule, diagnosis }) => `${rule}/${diagnosis}`);
}

const map = (id: number) => `kvm_get_timer_map: VCPU: ${id}, dv: 1, dp: -1, ep: 0`;
const level = (id: number, high: number) => `kvm_timer_update_irq: VCPU: ${id}, IRQ 27, level ${high}`;
// The guest enables its timer, and cancels it once it has fired.
const registers = 'CTL: 0x000000 CVAL:           0x100000 arch_timer_ctx_index: 1';

/** A stay in the guest with one interrupt: ids that the load, the interrupt handler and the put print. */
function stay(thread: string, load: number, irq: number, put: number): Record[] {
  return [
    map(load),
    level(load, 0),
    `kvm_timer_restore_state: ${registers}`,
    'kvm_entry: PC: 0x40000a84',
    'irq_handler_entry: irq=12 name=kvm guest vtimer',
    map(irq),
    level(irq, 1),
    'irq_handler_exit: irq=12 ret=handled',
    'kvm_exit: IRQ: HSR_EC: 0x0024 (DABT_LOW), PC: 0x40001470',
    'kvm_entry: PC: 0x40001470',
    'kvm_exit: TRAP: HSR_EC: 0x0024 (DABT_LOW), PC: 0x40001470',
    map(put),
    `kvm_timer_save_state: ${registers}`,
    'kvm_userspace_exit: reason KVM_EXIT_INTR (10)',
  ].map((text) => [thread, text]);
}

const quiet = stay('a-200', 0, 0, 0);

it('takes nothing amiss where load, interrupt and put are of one vcpu', async () => {
  expect(await findingsOf([...quiet, ...quiet])).toEqual([]);
});

it('knows no vcpu by its id alone: another VM has the same', async () => {
  expect(await findingsOf([...quiet, ...stay('b-300', 0, 0, 0), ...stay('c-301', 1, 1, 1), ...quiet])).toEqual([]);
});

it('lets a thread set up another vcpu than it runs', async () => {
  const setUp: Record[] = [['a-200', map(1)]];
  expect(await findingsOf([...quiet, ...setUp, ...quiet])).toEqual([]);
});

it('lets one thread run two vcpus in turn', async () => {
  expect(await findingsOf([...quiet, ...stay('a-200', 1, 1, 1), ...quiet])).toEqual([]);
});

it('finds an interrupt that raises the level of another vcpu', async () => {
  expect(await findingsOf([...quiet, ...stay('a-200', 0, 1, 0)])).toEqual(['irq-raises-level/other-vcpu']);
});

it('finds registers that are saved for another vcpu than they were restored for', async () => {
  expect(await findingsOf([...quiet, ...stay('a-200', 0, 0, 1)])).toEqual(['state-access-on-load-cpu/other-vcpu']);
});

it('finds a vcpu that is loaded and put as another', async () => {
  expect(await findingsOf([...quiet, ...stay('a-200', 1, 0, 1)])).toEqual(['state-access-on-load-cpu/foreign-load']);
});
