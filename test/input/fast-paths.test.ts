import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runs } from '../fuzz.js';
import { readText } from './support.js';

/** Lines of the forms and events that the readers have fast paths for, as tracers print them. */
const lines = [
  '       CPU 3/KVM-364   [003]    82.596501: kvm_timer_update_irq: VCPU: 1, IRQ 27, level 0',
  '       CPU 3/KVM-364   [003]    82.596513: kvm_timer_restore_state: CTL: 0x000001 CVAL:         0x206cc8 arch_timer_ctx_index: 1',
  '       CPU 3/KVM-364     [003] d..2.    82.596487123: kvm_get_timer_map: VCPU: 3, dv: 1, dp: 0, ep: -1',
  '       CPU 3/KVM-364     (    361) [003] d.h2.    82.596487: hrtimer_expire_entry: hrtimer=0xffff00000ae39068 function=kvm_bg_timer_expire now=82505147728',
  '       CPU 3/KVM-364   [003]    82.596487: hrtimer_start:        hrtimer=0xffff00000ae39068 function=kvm_timer_expire expires=82505147728 softexpires=82505147728 mode=0x8',
  'CPU 0/KV-613     1d..2.   170.649541: irq_handler_entry: irq=11 name=kvm guest timer',
  '          <idle>-0       [000] dnh1.   195.235468: irq_handler_exit: irq=11 ret=handled',
  '       CPU 3/KVM-364   [003]    82.596604: kvm_exit:             IRQ: HSR_EC: 0x0000 (UNKNOWN), PC: 0x0000000040001d78',
  '          <idle>-0     [003]    82.596472: sched_switch:         prev_comm=swapper/3 prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=CPU 3/KVM next_pid=364 next_prio=120',
  '       CPU 3/KVM-464   [001]    82.596755: kvm_wfx_arm64:        guest executed wfi at: 0x0000000040001d78',
  '             vmm-685     [000] d....          191: vgic_update_irq_pending: VCPU: 3, IRQ 27, level: 0',
];

/** What may turn one token into another: separators, digits, letters of numbers and labels, bytes that are no text. */
const bytes = [...' -[(:,=09ax<', '\0', '\xff'];

const anchors = lines.map((line) =>
  // The same columns, so that the pid's place is known, and another CPU, thread and event, so that nothing else is.
  line
    .replace(/-\d+ /, (pid) => `-${'7'.repeat(pid.length - 2)} `)
    .replace(/^(CPU 0\/KV-\d+ +)1|\[00./, (_, latency) => (latency === undefined ? '[009' : `${latency}9`))
    .replace(/: [a-z_]{4,}:.*/, ': other_event: a=1'),
);

/** What a reader that has read `before` makes of `line`. */
function readAfter(before: readonly string[], line: string) {
  const text = Buffer.from(`${[...before, line].join('\n')}\n`, 'latin1');
  const position = before.length + 1;
  const { records, conditions } = readText('ftrace', text);
  return {
    records: records.filter((record) => record.startsWith(`${position}: `)).map((r) => r.replace(/^\d+/, '')),
    conditions: conditions
      .filter((c) => c.position === position && c.kind !== 'time-backwards')
      .map(({ kind, count, detail }) => ({ kind, count, detail })),
  };
}

/** The complete reader and the one that has learnt from three lines of this form have to agree on `line`. */
function expectAgreement(index: number, line: string): void {
  const anchor = anchors[index]!;
  const known = lines[index]!;
  expect(readAfter([anchor, known, known, known], line), line).toEqual(readAfter([anchor], line));
}

describe('what was learnt from earlier lines never changes what a line says', () => {
  it('an unchanged line is a record', () => {
    for (const [index, line] of lines.entries()) {
      expectAgreement(index, line);
      expect(readAfter([anchors[index]!, line, line], line).records, line).toHaveLength(1);
    }
  });

  it.each(lines.map((line, index) => [line.slice(0, 60), index] as const))('%s… with one byte changed', (_, index) => {
    const line = lines[index]!;
    for (let at = 0; at < line.length; at++) {
      expectAgreement(index, line.slice(0, at) + line.slice(at + 1));
      expectAgreement(index, line.slice(0, at));
      for (const byte of bytes) {
        expectAgreement(index, line.slice(0, at) + byte + line.slice(at + 1));
        if (at % 3 === 0) expectAgreement(index, line.slice(0, at) + byte + line.slice(at));
      }
    }
  });

  it('with several changed', () => {
    const change = fc.record({ at: fc.nat(200), byte: fc.constantFrom(...bytes), kind: fc.nat(2) });
    fc.assert(
      fc.property(fc.nat(lines.length - 1), fc.array(change, { minLength: 2, maxLength: 5 }), (index, changes) => {
        let line = lines[index]!;
        for (const { at, byte, kind } of changes) {
          const place = at % (line.length + 1);
          line = line.slice(0, place) + (kind === 2 ? '' : byte) + line.slice(kind === 1 ? place : place + 1);
        }
        expectAgreement(index, line);
      }),
      runs(2000),
    );
  });

  it('every line counts, whoever wants its event', () => {
    const line = (index: number, event: string) =>
      `             vmm-685     [00${index % 2}] d....    10.${String(100000 + index)}: ${event}`;
    const events = ['kvm_entry: PC: 0x1', 'no_such_event: x', 'x: (a=1) id=1', 'kvm_mmio: mmio read len 4'];
    const text = Array.from({ length: 400 }, (_, index) => `${line(index, events[index % 4]!)}\n`).join('');
    const collector = readText('ftrace', text);
    expect([collector.count, collector.records.length, collector.of('unused-event').sort()]).toEqual([
      ...[400, 100, ['100 kvm_mmio', '100 no_such_event', '100 x']],
    ]);
    expect(collector.records.at(-1)).toMatch(/^397: vmm-685 \[0\] task 396000:/);
    expect(collector.cpuRecords.map(({ records, last }) => [records, last])).toEqual([
      [200, 398_000],
      [200, 399_000],
    ]);
  });
});
