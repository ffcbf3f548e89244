import { describe, expect, it, test } from 'vitest';
import { createTextReader } from '../../src/input/index.js';
import { Collector, catalogue, feed, readText } from './support.js';

/** The records of an ftrace text. */
const records = (...lines: string[]) => readText('ftrace', `${lines.join('\n')}\n`).records;

describe('columns before the event', () => {
  const rest = 'irq_handler_exit: irq=11 ret=handled';
  it.each([
    ['tracefs, 5 flags', '       CPU 0/KVM-2113    [003] d.h1.   812.402115: ', 'CPU 0/KVM-2113 [3] hardirq 0:'],
    ['tracefs, 4 flags', '          <idle>-0       [003] dNs.   812.402115: ', '<idle>-0 [3] softirq 0:'],
    [
      'hard interrupt inside a soft one',
      '          <idle>-0       [003] d.H.   812.402115: ',
      '<idle>-0 [3] hardirq 0:',
    ],
    ['an NMI', '          <idle>-0       [003] d.Z.   812.402115: ', '<idle>-0 [3] hardirq 0:'],
    ['tgid', '             vmm-685     (    680) [000] d....   195.236676: ', 'vmm-685 (680) [0] task 0:'],
    ['tgid unknown', '          <idle>-0       (-------) [000] dnh1.   195.235468: ', '<idle>-0 [0] hardirq 0:'],
    ['no irq-info', '             vmm-685     [000]   195.236676: ', 'vmm-685 [0] ? 0:'],
    ['counter clock', '             vmm-685     [000] d....          191: ', 'vmm-685 [0] task 0:'],
    ['large counter', '             vmm-685     [000] d.... 18446744073709551615: ', 'vmm-685 [0] task 0:'],
    ['nanoseconds', '             vmm-685   [000]    10.703282688: ', 'vmm-685 [0] ? 0:'],
    ['latency, counter', 'rcu_sche-15        1d..2.   23: ', 'rcu_sche-15 [1] task 0:'],
    ['latency, microseconds', 'rcu_sche-15        1d.s2. 19353us : ', 'rcu_sche-15 [1] softirq 0:'],
    ['latency, delay mark', 'rcu_sche-15        1d.h2. 19353us+: ', 'rcu_sche-15 [1] hardirq 0:'],
    ['latency, trace-cmd', 'CPU 0/KV-613     1d..2.   170.649541: ', 'CPU 0/KV-613 [1] task 0:'],
    ['latency, raw flags', 'CPU 0/KV-613     1-0x9   170.649541: ', 'CPU 0/KV-613 [1] hardirq 0:'],
    ['time difference', '             vmm-685   [000]    10.703282:  (+123)  ', 'vmm-685 [0] ? 0:'],
    ['instance', '  perfw:              vmm-685   [000]    10.703282: ', 'vmm-685 [0] ? 0:'],
    ['top instance', '                      vmm-685   [000]    10.703282: ', 'vmm-685 [0] ? 0:'],
    ['quoted in a mail', '>              vmm-685   [000]    10.703282: ', 'vmm-685 [0] ? 0:'],
    ['blanks lost', 'vmm-685 [000] d.... 10.703282: ', 'vmm-685 [0] task 0:'],
    ['name with a slash and a dash', '   kvm-pit/1-2-685   [000]    10.703282: ', 'kvm-pit/1-2-685 [0] ? 0:'],
    ['unknown name', '           <...>-685   [000]    10.703282: ', '<...>-685 [0] ? 0:'],
    ['name of brackets', '   foo [001] bar-685   [000]    10.703282: ', 'foo [001] bar-685 [0] ? 0:'],
    ['name like a prefix', '  a-1 [001] 5.1: -685   [000]    10.703282: ', 'a-1 [001] 5.1:-685 [0] ? 0:'],
    ['the same, blanks lost', 'a-1 [001] 5.1: -685 [000] 10.703282: ', 'a-1 [001] 5.1:-685 [0] ? 0:'],
    ['many CPUs', '             vmm-4194304 [1023] d....    10.703282: ', 'vmm-4194304 [1023] task 0:'],
  ])('%s', (_name, prefix, expected) => {
    expect(records(prefix + rest)).toEqual([`1: ${expected} irq_handler_exit irq=11`]);
  });

  it('a byte order mark before the first line is no part of it, and nowhere else', () => {
    const line = `             vmm-685   [000]    10.703282: ${rest}`;
    const text = Buffer.concat([Buffer.from('\ufeff'), Buffer.from(`${line}\n${line}\n\ufeff\n`)]);
    const { records: found, conditions } = readText('ftrace', text.toString('latin1'));
    expect(found.map((record) => record.replace(/^\d+: (\S+).*/, '$1'))).toEqual(['vmm-685', 'vmm-685']);
    expect(conditions.map(({ kind, position }) => [kind, position])).toEqual([['unparsed-line', 3]]);
  });

  it('times are relative to the first record, to the digit', () => {
    const at = (time: string) => `             vmm-1     [000] d....   ${time}: ${rest}`;
    const times = (...of: string[]) =>
      records(...of.map(at)).map((record) => Number(/ (-?\d+): irq/.exec(record)?.[1]));
    expect(times('9.999999', '10.000000')).toEqual([0, 1000]);
    expect(times('1763800000.999999999', '1763800001.000000001')).toEqual([0, 2]);
    expect(times('18446744073709551000', '18446744073709551615')).toEqual([0, 615]);
    expect(times('999999999', '1000000000')).toEqual([0, 1]);
    expect(times('19353us', '1000000us')).toEqual([0, 980_647_000]);
    expect(times('5.000000', '4.000000')).toEqual([0, -1_000_000_000]);
  });

  test.each([
    ['counts', [1, 2, 3], 'counter'],
    ['counts, of many events that no rule uses', [30, 2, 90], 'counter'],
    ['ticks', [0, 0, 0, 0, 0, 1], 'uptime'],
    ['nanoseconds', [300, 12_000, 180, 4_000], undefined],
    ['nanoseconds, and step back', [300, 12_000, -60_000, 4_000], undefined],
  ])('plain numbers that are %s', (_, steps, clock) => {
    let time = 9_000_000;
    let text = '';
    for (let line = 0; line < 40; line++) {
      text += `             vmm-685     [000] d....          ${time}: ${rest}\n`;
      time += steps[line % steps.length] as number;
    }
    const { facts } = readText('ftrace', text);
    expect(facts).toMatchObject({ origin: 9_000_000n });
    expect(facts.clock).toBe(clock);
  });

  test.each([
    ['for ten milliseconds', 40, 'uptime'],
    ['for a moment', 8, undefined],
  ])('times that stand still %s', (_, each, clock) => {
    const line = (_: unknown, index: number) =>
      `             vmm-685     [000] d....     0.${String(12 + Math.floor(index / each)).padStart(6, '0')}: kvm_entry: PC: 0x40001514\n`;
    expect(readText('ftrace', Array.from({ length: 80 }, line).join('')).facts.clock).toBe(clock);
  });
});

describe('fields', () => {
  const at = (event: string) =>
    records(`             vmm-685     [000] d....    10.703282: ${event}`).map((r) => r.replace(/^.* 0: /, ''));
  it.each([
    ['kvm_entry: PC: 0xffff80001083d1a4', 'kvm_entry vcpu_pc=ffff80001083d1a4'],
    [
      `kvm_entry:            CAN'T FIND FIELD "vcpu_id"<CANT FIND FIELD rip>PC: 0x40001514`,
      'kvm_entry vcpu_pc=40001514',
    ],
    ['kvm_exit: IRQ: HSR_EC: 0x0000 (UNKNOWN), PC: 0xffff80001083d1a8', 'kvm_exit ret=0 esr_ec=0'],
    ['kvm_exit: 0x2: HSR_EC: 0x0001 (WFx), PC: 0xffff000008a3d1a4', 'kvm_exit ret=2 esr_ec=1'],
    [
      'kvm_exit:             <CANT FIND FIELD exit_reason>TRAP: HSR_EC: 0x0024 (DABT_LOW), PC: 0x4',
      'kvm_exit ret=2 esr_ec=36',
    ],
    [
      'kvm_exit:             reason MWAIT_INSTRUCTION<CANT FIND FIELD guest_rip>IRQ: HSR_EC: 0x0024 (DABT_LOW), PC: 0x4',
      'kvm_exit ret=0 esr_ec=36',
    ],
    ['kvm_exit:              ret=2 esr_ec=0x0024 vcpu_pc=0x00000000400014b0', 'kvm_exit ret=2 esr_ec=36'],
    ['kvm_exit:              idx=2 exit_reason=0x0020 vcpu_pc=0x40000000', 'kvm_exit ret=2 esr_ec=32'],
    ['kvm_exit: HYP_GONE: HSR_EC: 0x0000 (UNKNOWN), PC: 0x0', 'kvm_exit ret=2147483647 esr_ec=0'],
    ['kvm_timer_update_irq: VCPU: 0, IRQ 27, level 1', 'kvm_timer_update_irq vcpu_id=0 irq=27 level=1'],
    ['vgic_update_irq_pending: VCPU: 0, IRQ 27, level: 1', 'vgic_update_irq_pending vcpu_id=0 irq=27 level=1'],
    ['vgic_update_irq_pending:  vcpu_id=0 irq=27 level=1', 'vgic_update_irq_pending vcpu_id=0 irq=27 level=1'],
    [
      'vgic_update_irq_pending: vcpu_id=0x0 (0) irq=0x1b (27) level=(1)',
      'vgic_update_irq_pending vcpu_id=0 irq=27 level=1',
    ],
    [
      'kvm_get_timer_map: VCPU: 0, dv: 1, dp: -1, ep: 0',
      'kvm_get_timer_map vcpu_id=0 direct_vtimer=1 direct_ptimer=-1 emul_ptimer=0',
    ],
    [
      'kvm_get_timer_map: VCPU: 0, dv: 1, dp: 0, ev: -1, ep: -1',
      'kvm_get_timer_map vcpu_id=0 direct_vtimer=1 direct_ptimer=0 emul_vtimer=-1 emul_ptimer=-1',
    ],
    [
      'kvm_timer_save_state:    CTL: 0x000001 CVAL:     0x1b2c3d4e5f arch_timer_ctx_index: 1',
      'kvm_timer_save_state ctl=1 cval=116706332255 timer_idx=1',
    ],
    [
      'kvm_timer_save_state:    CTL: 00000000 CVAL:                0 arch_timer_ctx_index: 1',
      'kvm_timer_save_state ctl=0 cval=0 timer_idx=1',
    ],
    [
      'kvm_timer_save_state: CTL: 0x000005 CVAL: 0xffffffffffffffff arch_timer_ctx_index: 1',
      'kvm_timer_save_state ctl=5 cval=-1 timer_idx=1',
    ],
    [
      'kvm_timer_save_state: ctl=0x1 (1) cval=0x98968 (625000) timer_idx=0x1 (1)',
      'kvm_timer_save_state ctl=1 cval=625000 timer_idx=1',
    ],
    ['kvm_timer_emulate: arch_timer_ctx_index: 0 (should_fire: 1)', 'kvm_timer_emulate timer_idx=0 should_fire=1'],
    ["kvm_timer_emulate: timer_idx=0x0 (0) should_fire='\x20'(32)", 'kvm_timer_emulate timer_idx=0 should_fire=32'],
    ['kvm_wfx_arm64: guest executed wfi at: 0x0000000040001dc4', 'kvm_wfx_arm64 is_wfe=0'],
    ['kvm_wfx_arm64: guest executed wfe at: 0x0000000040001dc4', 'kvm_wfx_arm64 is_wfe=1'],
    ['kvm_wfx_arm64:        guest executed wf>c< at: 0x0000000000000000', 'kvm_wfx_arm64 is_wfe=2147483647'],
    ['kvm_vcpu_wakeup: wait time 79994931840 ns, polling valid', 'kvm_vcpu_wakeup ns=79994931840'],
    ['irq_handler_entry: irq=12 name=kvm guest vtimer', 'irq_handler_entry irq=12 name=1'],
    ['irq_handler_entry: irq=11 name=arch_timer', 'irq_handler_entry irq=11 name=3'],
    [
      'hrtimer_start: hrtimer=00000000c0ffee11 function=kvm_bg_timer_expire expires=812408000123 softexpires=812408000123 mode=ABS|HARD',
      'hrtimer_start hrtimer=c0ffee11 function=1 expires=812408000123',
    ],
    [
      'hrtimer_start:        hrtimer=0xffff2c780ac86a98 function=kvm_bg_timer_expire/0x0 expires=78686881552 softexpires=78686881552',
      'hrtimer_start hrtimer=ffff2c780ac86a98 function=1 expires=78686881552',
    ],
    [
      'hrtimer_expire_entry: hrtimer=0xffff000012345678 (-281474671253896) now=0x5 (5) function=kvm_bg_timer_expire+0x0/0x80 (-1)',
      'hrtimer_expire_entry hrtimer=ffff000012345678 function=1 now=5',
    ],
    ['hrtimer_cancel: hrtimer=(____ptrval____)', 'hrtimer_cancel'],
    [
      'hrtimer_start: hrtimer=0xffff2c780ac86a98 function=0xffffaf7f8a26dd60 expires=1 softexpires=1',
      `hrtimer_start hrtimer=ffff2c780ac86a98 function=${BigInt.asIntN(64, 0xffffaf7f8a26dd60n)} expires=1`,
    ],
  ])('%s', (event, expected) => {
    expect(at(event)).toEqual([expected]);
  });

  it('an event without a field that it must have is counted, not delivered', () => {
    const collector = readText('ftrace', '  vmm-1 [000] 1.5: kvm_timer_update_irq: VCPU: 0, IRQ x, level 1\n');
    expect(collector.records).toEqual([]);
    expect(collector.of('malformed-fields')).toEqual(['1 kvm_timer_update_irq']);
  });

  it('pointers that the kernel hid are counted', () => {
    const line = '  vmm-1 [000] 1.5: hrtimer_cancel: hrtimer=(____ptrval____)\n';
    expect(readText('ftrace', line + line).of('hashed-pointers')).toEqual(['2']);
  });
});

describe('sched_switch', () => {
  const at = (args: string, pid = 545) =>
    records(`             vmm-${pid}     [000] d....    10.703282: sched_switch: ${args}`).map((r) =>
      r.replace(/^.*sched_switch /, ''),
    );
  const labelled = (state: string) =>
    `prev_comm=CPU 1/KVM prev_pid=545 prev_prio=120 prev_state=${state} ==> next_comm=swapper/0 next_pid=0 next_prio=120`;
  const values = (state: number) => [`prev_pid=545 next_pid=0 prev_state=${state}`];

  it.each(['S', '1'])('state %s sleeps', (state) => {
    expect(at(labelled(state))).toEqual(values(1));
  });
  it.each(['D', 'I', 't', 'T', 'X', 'Z', 'P', 'W', 'x', 'D|K', 'S|W', '2', '128', '130', '64'])(
    'state %s is no wait of a vcpu',
    (state) => {
      expect(at(labelled(state))).toEqual(values(2));
    },
  );
  it.each(['R', 'R+', '0', '256', '4096'])('state %s stays runnable', (state) => {
    expect(at(labelled(state))).toEqual(values(0));
  });
  it('states are one letter too far where the idle thread sleeps', () => {
    const line = (pid: number, state: string) =>
      `             vmm-${pid}     [000] d....    10.703282: sched_switch: prev_comm=x prev_pid=${pid} prev_prio=120 prev_state=${state} ==> next_comm=y next_pid=9 next_prio=120`;
    const text = [line(545, 'S'), line(0, 'S'), line(545, 'S'), line(545, 'D'), line(545, 'R+')].join('\n');
    expect(records(text).map((record) => record.replace(/^.*prev_state=/, ''))).toEqual(['1', '0', '0', '1', '0']);
  });
  it('a state that says nothing is absent', () => {
    expect(at(labelled('?'))).toEqual(['prev_pid=545 next_pid=0']);
  });
  it.each([
    ['raw', 'prev_comm=CPU 1/KVM prev_pid=545 prev_prio=120 prev_state=1 next_comm=swapper/0 next_pid=0 next_prio=120'],
    [
      'option fields',
      'prev_comm=CPU 1/KVM prev_pid=0x221 (545) prev_prio=0x78 (120) prev_state=0x1 (1) next_comm=swapper/0 next_pid=0x0 (0) next_prio=0x78 (120)',
    ],
    ['plugin', 'CPU 1/KVM:545 [120] S ==> swapper/0:0 [120]'],
    ['plugin, negative priority', 'CPU 1/KVM:545 [-1] S ==> swapper/0:0 [120]'],
    [
      'name with =',
      'prev_comm=a prev_pid=1 b prev_pid=545 prev_prio=120 prev_state=S ==> next_comm=c next_pid=2 next_pid=0 next_prio=120',
    ],
    [
      'name with an arrow',
      'prev_comm=a ==> b prev_pid=545 prev_prio=120 prev_state=S ==> next_comm= ==> next_pid=0 next_prio=120',
    ],
    ['plugin, name like a field', ':1 [1] R ==> x:545 [120] S ==> :9 [1] S ==> y:0 [120]'],
  ])('%s', (_name, args) => {
    expect(at(args)).toEqual(values(1));
  });
});

describe('probes and functions', () => {
  const at = (event: string) =>
    records(`             vmm-685     [000] d....    10.703282: ${event}`).map((r) => r.replace(/^.* 0: /, ''));
  it.each([
    [
      'kprobe',
      'timer_load: (kvm_timer_vcpu_load+0x0/0x210) vcpu=0xffff2c780ae50000 id=1',
      'kvm_timer_vcpu_load (function) vcpu=ffff2c780ae50000 id=1',
    ],
    [
      'a name of nobody',
      'p1: (kvm_timer_vcpu_load+0x0/0x210 [kvm]) vcpu=0xffff2c780ae50000',
      'kvm_timer_vcpu_load (function) vcpu=ffff2c780ae50000',
    ],
    [
      'named like a tracepoint',
      'kvm_entry: (kvm_timer_vcpu_load+0x0/0x210) id=1',
      'kvm_timer_vcpu_load (function) id=1',
    ],
    ['suffix of the compiler', 'x: (kvm_timer_vcpu_load.isra.0+0x0/0x210) id=1', 'kvm_timer_vcpu_load (function) id=1'],
    ['fprobe', 'f: (kvm_timer_vcpu_load+0x4/0x210) id=1', 'kvm_timer_vcpu_load (function) id=1'],
    [
      'kretprobe',
      'r: (kvm_arch_vcpu_load+0x68/0x1dc <- kvm_timer_vcpu_load) id=1',
      'kvm_timer_vcpu_load%return (function) id=1',
    ],
    [
      'fprobe exit',
      'r: (kvm_arch_vcpu_load+0x68/0x1dc <- kvm_timer_vcpu_load+0x8/0x210) id=1',
      'kvm_timer_vcpu_load%return (function) id=1',
    ],
    [
      'address',
      'timer_load:           (ffffaf7f8a26df20) vcpu=0xffff2c780a4ecba0 id=1 cval=0x0',
      'kvm_timer_vcpu_load (alias) vcpu=ffff2c780a4ecba0 id=1 cval=0',
    ],
    [
      'address, return',
      'timer_load:           (ffffaf7f8a26df30 <- ffffaf7f8a26df20) id=1',
      'kvm_timer_vcpu_load%return (alias) id=1',
    ],
    [
      'raw',
      'timer_load:            __probe_ip=ffffaf7f8a26df20 vcpu=0xffff2c780a4ecba0 id=1',
      'kvm_timer_vcpu_load (alias) vcpu=ffff2c780a4ecba0 id=1',
    ],
    [
      'raw return',
      'timer_load: __probe_func=ffffaf7f8a26df20 __probe_ret_ip=ffffaf7f8a26df30 id=1',
      'kvm_timer_vcpu_load%return (alias) id=1',
    ],
    ['default name, address', 'p_kvm_timer_vcpu_load_0: (ffffaf7f8a26df20) id=1', 'kvm_timer_vcpu_load (alias) id=1'],
    [
      'perf probe',
      'probe:kvm_timer_vcpu_load__return: (ffffaf7f8a26df30 <- ffffaf7f8a26df20) id=1',
      'kvm_timer_vcpu_load%return (alias) id=1',
    ],
    ['function tracer', 'kvm_timer_vcpu_load <-kvm_arch_vcpu_load', 'kvm_timer_vcpu_load (function)'],
    ['function tracer, no parent', 'kvm_timer_vcpu_load', 'kvm_timer_vcpu_load (function)'],
    [
      'function tracer, offset',
      'kvm_timer_vcpu_load+0x4/0x210 <-kvm_arch_vcpu_load+0x10/0x20',
      'kvm_timer_vcpu_load (function)',
    ],
    [
      'function tracer, arguments',
      'kvm_timer_vcpu_load(vcpu=0xffff2c780ae50000, id=1) <-kvm_arch_vcpu_load',
      'kvm_timer_vcpu_load (function) vcpu=ffff2c780ae50000 id=1',
    ],
    [
      'function tracer of trace-cmd',
      'function:             kvm_timer_vcpu_load <-- kvm_arch_vcpu_load',
      'kvm_timer_vcpu_load (function)',
    ],
    ['the same, indented', 'function:                      kvm_timer_vcpu_load', 'kvm_timer_vcpu_load (function)'],
    [
      'the same, raw',
      'function:              ip=kvm_timer_vcpu_load parent_ip=kvm_arch_vcpu_load',
      'kvm_timer_vcpu_load (function)',
    ],
  ])('%s', (_name, event, expected) => {
    expect(at(event)).toEqual([expected]);
  });

  it.each([
    ['a probe inside a function', 'x: (kvm_timer_vcpu_load+0x88/0x210) id=1', 'unused-event'],
    ['a uprobe', 'x: (0x4005c0) id=1', 'unused-event'],
    ['an event with brackets', 'x: (a=1) id=1', 'unused-event'],
    ['an address nobody knows', 'x: (ffffaf7f8a26df20) id=1', 'unresolved-function'],
    ['a function tracer without symbols', 'function: ffffff80080a1650 <-- ffffff8008099998', 'unresolved-function'],
    ['text of user space', 'tracing_mark_write: kvm_entry: PC: 0x1', 'unused-event'],
    ['a stack trace', '<stack trace>', 'unused-event'],
  ])('%s is not delivered', (_name, event, kind) => {
    const collector = readText('ftrace', `  vmm-1 [000] 1.5: ${event}\n`);
    expect([collector.count, collector.records, collector.of(kind).length]).toEqual([1, [], 1]);
  });
});

describe('lines that are no events', () => {
  const text = (...lines: string[]) => readText('ftrace', `${lines.join('\n')}\n`);
  it.each([
    ['CPU:0 [LOST 14448 EVENTS]', 0, 14448],
    ['CPU:1 [214 EVENTS DROPPED]', 1, 214],
    ['CPU:1 [EVENTS DROPPED]', 1, -1],
    ['  perfw: CPU:1 [214 EVENTS DROPPED]', 1, 214],
  ])('%s is a loss', (line, cpu, count) => {
    const collector = text(line);
    expect(collector.notes).toEqual([`1: lost cpu=${cpu} count=${count}`]);
    expect(collector.of('lost-events')).toEqual([`${Math.max(1, count)} CPU ${cpu}`]);
  });

  it.each([
    '# tracer: nop',
    'cpus=2',
    'version = 7',
    'CPU 1 is empty',
    '  perfw: cpus=2',
    ' => vcpu_load',
    '=> kvm_vcpu_block (ffffaf7f8a250620)',
    'CPU:1 [SUBBUFFER START]',
    '   ',
  ])('%s is known', (line) => {
    expect(text(line).of('unparsed-line')).toEqual([]);
  });

  it('anything else is counted', () => {
    const collector = text('hello', '', 'world [001] 1.5:');
    expect(collector.conditions).toEqual([{ kind: 'unparsed-line', count: 2, position: 1 }]);
  });

  it('headers name the kernel and the CPUs', () => {
    expect(
      text(
        '# nop latency trace v1.1.5 on 6.1.0-50-arm64',
        '# latency: 0 us, #9/9, CPU#0 | (M:desktop VP:0, KP:0, SP:0 HP:0 #P:2)',
      ).facts,
    ).toEqual({
      kernel: '6.1.0-50-arm64',
      cpus: 2,
    });
  });

  it('what each CPU has recorded is told at the end, unused events included', () => {
    const line = (cpu: number, time: string) => `  vmm-1 [${String(cpu).padStart(3, '0')}] ${time}: no_such_event: x`;
    expect(text(line(100, '1.5'), line(0, '2.5'), line(100, '3.0')).cpuRecords).toEqual([
      { cpu: 0, records: 1, first: 1e9, last: 1e9 },
      { cpu: 100, records: 2, first: 0, last: 1.5e9 },
    ]);
  });

  it('a CPU whose buffer begins later is announced once', () => {
    const line = (cpu: number) => `  vmm-1 [00${cpu}] 1.5: kvm_entry: PC: 0x1`;
    const started = ['5: started cpu=1'];
    expect(text('', '', '', line(0), '##### CPU 1 buffer started ####', line(1)).notes).toEqual(started);
    const overwritten = '# entries-in-buffer/entries-written: 681/116762   #P:2';
    expect(text(overwritten, '', '', line(0), line(1), line(0)).notes).toEqual(started);
    expect(text('# entries-in-buffer/entries-written: 3/3   #P:2', line(0), line(1)).notes).toEqual([]);
  });

  it('a clock that steps back is counted by CPU', () => {
    const line = (cpu: number, time: string) => `  vmm-1 [00${cpu}] ${time}: kvm_entry: PC: 0x1`;
    const collector = text(line(0, '5.0'), line(1, '4.0'), line(1, '3.0'), line(0, '6.0'), line(1, '2.0'));
    expect(collector.conditions).toEqual([{ kind: 'time-backwards', count: 2, position: 3, detail: 'CPU 1' }]);
  });

  it('function_graph output is refused', () => {
    expect(() => text('# tracer: function_graph')).toThrow(/^line 1: .*function_graph.*current_tracer/);
  });

  it('a line without end does not fill the memory', () => {
    const collector = new Collector();
    const reader = createTextReader('ftrace', catalogue, collector);
    for (let i = 0; i < 64; i++) reader.push(Buffer.alloc(1 << 16, 'x'));
    reader.push(Buffer.from('\n  vmm-1 [000] 1.5: kvm_entry: PC: 0x1\n'));
    reader.end();
    expect(collector.records).toEqual(['2: vmm-1 [0] ? 0: kvm_entry vcpu_pc=1']);
    expect(collector.of('unparsed-line')).toEqual(['1']);
  });

  it('the last line counts only with its newline', () => {
    const collector = new Collector();
    feed(
      createTextReader('ftrace', catalogue, collector),
      '  vmm-1 [000] 1.5: kvm_entry: PC: 0x1\n  vmm-1 [000] 1.6: kvm_entry: PC: 0x12',
    );
    expect(collector.records).toHaveLength(1);
    expect(collector.conditions).toEqual([{ kind: 'truncated-line', count: 1, position: 2 }]);
  });
});
