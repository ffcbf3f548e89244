import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it, test } from 'vitest';
import { corpus } from '../corpus/manifest.js';
import { checkText, told } from './recordings.js';

// Interrupts and hrtimers come in whatever thread is current: a recording that is filtered by thread leaves some of them
// out, and shows others (specification §3.5).

/** Recordings of stock kernels, of which the beginning is kept here. */
const recordings = [
  '4.9-nvhe/kp-overcommit',
  '4.14-nvhe/kp-mixed',
  '4.15-nvhe/tickwfi',
  '4.19-nvhe/tickwfi',
  '5.10-nvhe/kp-overcommit',
  '5.10-vhe/kp-mixed',
  '6.1-nvhe/kp-mixed',
  '6.1-vhe/overcommit',
  '7.2-vhe/ptimer',
] as const;

const textOf = (name: string) =>
  gunzipSync(readFileSync(join(corpus, 'recordings', `${name}.txt.gz`)))
    .toString('latin1')
    .split('\n');

const pidOf = (line: string) => /^.{16,}?-(\d+) +\[\d+\]/.exec(line)?.[1];

/** Threads that enter a guest. */
const vcpusOf = (lines: readonly string[]) =>
  new Set(lines.filter((line) => line.includes(': kvm_entry:')).flatMap((line) => pidOf(line) ?? []));

/** What a filter keeps: `report -F '.*:common_pid!=0'`, `record -P` with all vcpus, and the same without what is switched. */
const filters: readonly (readonly [string, (lines: readonly string[]) => string[]])[] = [
  ['without idle', (lines) => lines.filter((line) => pidOf(line) !== '0')],
  [
    'of the vcpus, and what concerns them',
    (lines) => {
      const vcpus = vcpusOf(lines);
      const concerns = (line: string) =>
        line.includes(': sched_switch:') && [...line.matchAll(/_pid=(\d+)/g)].some(([, pid]) => vcpus.has(pid!));
      return lines.filter((line) => vcpus.has(pidOf(line) ?? '') || concerns(line));
    },
  ],
  [
    'of the vcpus alone',
    (lines) => {
      const vcpus = vcpusOf(lines);
      return lines.filter((line) => vcpus.has(pidOf(line) ?? ''));
    },
  ],
  [
    'without the first vcpu',
    (lines) => {
      const [first] = vcpusOf(lines);
      return lines.filter((line) => pidOf(line) !== first);
    },
  ],
];

describe.each(recordings)('%s', (name) => {
  const lines = textOf(name);

  it('leaves out no thread', async () => {
    const { conditions } = await checkText(lines.join('\n'));
    expect(conditions.map(({ kind }) => kind)).not.toContain('filtered-by-thread');
  });

  test.each(filters)('%s: the condition is told, and no violation', async (_, filter) => {
    const summary = await checkText(filter(lines).join('\n'));
    expect(told(summary)).toEqual([]);
    expect(summary.conditions.map(({ kind }) => kind)).toContain('filtered-by-thread');
  });
});

const thread = '       CPU 0/KVM-360   [000]';
const timer = 'hrtimer=0xffff2c780ac86a98';
const start = (at: string) =>
  `${thread} ${at}: hrtimer_start: ${timer} function=kvm_bg_timer_expire expires=78686881552 softexpires=78686881552\n`;

/** 6.1: a vcpu waits with its background timer armed, and is entered again; `ended` is what comes between. */
const waits = (ended: string, next: string) => `cpus=1
${thread} 1.000000000: kvm_get_timer_map: VCPU: 0, dv: 1, dp: -1, ep: 0
${thread} 1.000001000: kvm_timer_restore_state: CTL: 0x000001 CVAL: 0x9000 arch_timer_ctx_index: 1
${thread} 1.000002000: kvm_entry: PC: 0x0000000040002000
${thread} 1.000003000: kvm_exit: TRAP: HSR_EC: 0x0001 (WFx), PC: 0x0000000040002000
${thread} 1.000004000: kvm_wfx_arm64: guest executed wfi at: 0x0000000040002000
${thread} 1.000005000: sched_switch: prev_comm=CPU 0/KVM prev_pid=360 prev_prio=120 prev_state=S ==> next_comm=swapper/0 next_pid=0 next_prio=120
${thread} 1.000006000: kvm_get_timer_map: VCPU: 0, dv: 1, dp: -1, ep: 0
${thread} 1.000007000: kvm_timer_save_state: CTL: 0x000001 CVAL: 0x9000 arch_timer_ctx_index: 1
${start('1.000008000')}          <idle>-0     [000] 1.000100000: hrtimer_expire_entry: hrtimer=0xffff2c780ac86b00 function=kvm_bg_timer_expire now=78686800000
          <idle>-0     [000] 1.000200000: hrtimer_cancel: hrtimer=0xffff2c780ac86b00
          <idle>-0     [000] 1.010000000: sched_switch: prev_comm=swapper/0 prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=CPU 0/KVM next_pid=360 next_prio=120
${thread} 1.010001000: kvm_get_timer_map: VCPU: 0, dv: 1, dp: -1, ep: 0
${thread} 1.010002000: kvm_timer_restore_state: CTL: 0x000001 CVAL: 0x9000 arch_timer_ctx_index: 1
${ended}${thread} 1.010004000: kvm_entry: PC: 0x0000000040002000
${thread} 1.010005000: kvm_exit: TRAP: HSR_EC: 0x0001 (WFx), PC: 0x0000000040002000
${thread} 1.010006000: kvm_wfx_arm64: guest executed wfi at: 0x0000000040002000
${thread} 1.010007000: sched_switch: prev_comm=CPU 0/KVM prev_pid=360 prev_prio=120 prev_state=S ==> next_comm=swapper/0 next_pid=0 next_prio=120
${thread} 1.010008000: kvm_get_timer_map: VCPU: 0, dv: 1, dp: -1, ep: 0
${thread} 1.010009000: kvm_timer_save_state: CTL: 0x000001 CVAL: 0x9000 arch_timer_ctx_index: 1
${next}`;
const cancel = (at: string) => `${thread} ${at}: hrtimer_cancel: ${timer}\n`;

describe('an entry with the background timer armed by all that was recorded', () => {
  test.each([
    ['cancelled before', waits(cancel('1.010003000'), start('1.010010000')), []],
    ['started again without a cancel: it has fired unseen', waits('', start('1.010010000')), []],
    ['started again with one', waits('', cancel('1.010010000') + start('1.010011000')), ['armed at line 16']],
    ['nothing comes of it', waits('', ''), []],
    ['cancelled later', waits('', cancel('1.010010000')), ['armed at line 16']],
  ])('%s', async (_, text, expected) => {
    const { findings } = await checkText(
      `${text}${thread} 1.020000000: kvm_userspace_exit: reason KVM_EXIT_MMIO (6)\n`,
    );
    const armed = findings.filter(({ rule }) => rule === 'bg-not-armed-in-guest');
    expect(armed.map(({ diagnosis, position }) => `${diagnosis} at line ${position.line}`)).toEqual(expected);
  });
});

describe('a CPU that goes offline', () => {
  const change = (at: string, prev: string, pid: number, next: string, nextPid: number) =>
    `${`${pid === 0 ? '<idle>' : prev}-${pid}`.padStart(16)} [001] ${at}: sched_switch: prev_comm=${prev} prev_pid=${pid} prev_prio=120 prev_state=S ==> next_comm=${next} next_pid=${nextPid} next_prio=0\n`;
  const goes = (last: string, returns: boolean) => `cpus=2
${thread} 1.000000000: kvm_entry: PC: 0x0000000040002000
${change('1.100000000', 'swapper/1', 0, last, 21)}${change('1.100100000', last, 21, 'swapper/1', 0)}${change('1.200000000', 'swapper/1', 0, last, 21)}${returns ? change('1.500000000', 'swapper/1', 0, 'cpuhp/1', 20) + change('1.600000000', 'cpuhp/1', 20, 'swapper/1', 0) : ''}${thread} 2.000000000: kvm_exit: IRQ: HSR_EC: 0x0000 (UNKNOWN), PC: 0x0000000040002000
`;
  test.each([
    ['comes back', 'migration/1', true, []],
    ['stays away', 'migration/1', false, []],
    ["comes back, after another CPU's stopper", 'migration/0', true, ['filtered-by-thread']],
    ['stays away, after another thread', 'worker/1', false, ['missing-cpu-end']],
  ])('%s', async (_, last, returns, expected) => {
    const { conditions } = await checkText(goes(last, returns));
    const told = conditions.map(({ kind }) => kind).filter((kind) => /filtered|missing/.test(kind));
    expect(told).toEqual(expected);
  });
});
