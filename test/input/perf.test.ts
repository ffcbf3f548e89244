import { describe, expect, it } from 'vitest';
import { readText } from './support.js';

const read = (...lines: string[]) => readText('perf-script', `${lines.join('\n')}\n`);

describe('perf script', () => {
  it.each([
    ['plain', '            perf   760 [000]   220.986223:                 irq:irq_handler_exit: ', 'perf-760 [0]'],
    [
      'pid/tid',
      '       CPU 0/KVM  2110/2113  [003]   220.986223123:           irq:irq_handler_exit: ',
      'CPU 0/KVM-2113 (2110) [3]',
    ],
    ['period', '            perf   760 [000]   220.986223:          1        irq:irq_handler_exit: ', 'perf-760 [0]'],
    [
      'unknown thread',
      '            :744   744 [001]   237.218101664:                irq:irq_handler_exit: ',
      ':744-744 [1]',
    ],
    ['no thread', '             :-1    -1 [001]   237.218101664:                irq:irq_handler_exit: ', ':-1--1 [1]'],
    ['no thread, of a process', '  :-1   149/-1 [001]   237.218101664: irq:irq_handler_exit: ', ':-1--1 (149) [1]'],
    ['no thread, no process', '    :-1    -1/-1 [001]   237.218101664: irq:irq_handler_exit: ', ':-1--1 [1]'],
    ['modifier', '            perf   760 [000]   220.986223:               irq:irq_handler_exit:H: ', 'perf-760 [0]'],
    [
      'name of brackets',
      '   7 [001] 1.5: x   760 [000]   220.986223:          irq:irq_handler_exit: ',
      '7 [001] 1.5: x-760 [0]',
    ],
    ['blanks lost', 'perf 760 [000] 220.986223: irq:irq_handler_exit: ', 'perf-760 [0]'],
  ])('%s', (_name, prefix, expected) => {
    expect(read(`${prefix}irq=11 ret=handled`).records).toEqual([`1: ${expected} ? 0: irq_handler_exit irq=11`]);
  });

  it('skips call chains and blank lines', () => {
    const event = '            perf   760 [000]   220.986223: irq:irq_handler_exit: irq=11 ret=handled';
    const collector = read(
      event,
      '\tffff800080012345 kvm_vcpu_load+0x10 ([kernel.kallsyms])',
      '            7f8c00 [unknown] (/bin/x)',
      '',
      event,
    );
    expect(collector.records).toHaveLength(2);
    expect(collector.conditions).toEqual([]);
  });

  it('tells of losses', () => {
    const at = '            perf   760 [001]   220.986223: ';
    const collector = read(
      `${at}PERF_RECORD_LOST lost 12`,
      `${at}PERF_RECORD_LOST_SAMPLES lost 3`,
      `${at}PERF_RECORD_COMM: perf:760/760`,
    );
    expect(collector.notes).toEqual(['1: lost cpu=1 count=12', '2: lost cpu=1 count=3']);
    expect([collector.count, collector.of('unparsed-line')]).toEqual([0, []]);
  });

  it('counts what it does not understand', () => {
    expect(read('[kvm:kvm_sys_access] bad op token :', 'hello').of('unparsed-line')).toEqual(['2']);
  });
});
