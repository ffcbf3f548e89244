import { describe, expect, it } from 'vitest';
import { readText } from './support.js';

const dashes = '---------------------------------';
const line = (cpu: number, us: number, irq: number) =>
  `  <idle>-0         ${cpu}d.h.. ${us}us : irq_handler_exit: irq=${irq} ret=handled`;
const read = (...lines: string[]) => readText('console', `${lines.join('\n')}\n`);

describe('a dump in a kernel log', () => {
  it.each([
    ['nothing', ''],
    ["printk's time", '[   12.417420] '],
    ['a caller', '[   12.417420][    T123] '],
    ['a level', '<4>[   12.417420] '],
    ['syslog', 'Nov 22 12:00:00 host kernel: [   12.417420] '],
    ['the journal', 'Nov 22 12:00:00 host kernel: '],
  ])('is read behind %s', (_name, prefix) => {
    const lines = ['booting', 'Dumping ftrace buffer:', dashes, line(1, 10, 3), line(0, 12, 4), dashes, 'after'];
    const collector = read(...lines.map((text) => prefix + text));
    expect(collector.records).toEqual([
      '4: <idle>-0 [1] hardirq 0: irq_handler_exit irq=3',
      '5: <idle>-0 [0] hardirq 2000: irq_handler_exit irq=4',
    ]);
    expect(collector.conditions).toEqual([{ kind: 'surrounding-text', count: 2, position: 1 }]);
  });

  it('has other lines of the console in between, and losses', () => {
    const collector = read(
      'Dumping ftrace buffer:',
      'watchdog: BUG: soft lockup',
      dashes,
      '[    8.4] CPU:1 [LOST 3719 EVENTS]',
      line(1, 10, 3),
      '[    8.4] Unable to handle kernel paging request at virtual address 00001b58',
      '** 12 printk messages dropped **',
      line(1, 20, 4),
    );
    expect(collector.records).toHaveLength(2);
    expect(collector.notes).toEqual(['4: lost cpu=1 count=3719', '7: lost cpu=-1 count=12']);
    expect(collector.of('surrounding-text')).toEqual(['2']);
  });

  it('may lack its frame: the log began later, the machine died', () => {
    expect(read('text', line(1, 10, 3), line(1, 11, 3)).records).toHaveLength(2);
  });

  it('names the kernel', () => {
    const frame = ['Dumping ftrace buffer:', dashes, dashes];
    const kernel = (text: string) => read(text, ...frame).facts.kernel;
    expect(kernel('[    0.000000] Linux version 6.1.0-50-arm64 (debian@x) (gcc-12)')).toBe('6.1.0-50-arm64');
    expect(kernel('Linux (none) 6.1.0-50-arm64 #1 SMP Debian')).toBe('6.1.0-50-arm64');
    expect(kernel('CPU: 0 PID: 0 Comm: swapper/0 Not tainted 4.9.0 #3')).toBe('4.9.0');
    expect(kernel('CPU: 0 PID: 9 Comm: x Tainted: G      D W         5.10.0-rc1 #3')).toBe('5.10.0-rc1');
  });

  it('a second one is a recording of its own, later', () => {
    const collector = read(
      ...['Dumping ftrace buffer:', dashes, line(1, 10, 1), line(1, 30, 2), dashes],
      ...['Dumping ftrace buffer:', '   (ftrace buffer empty)'],
      ...['Dumping ftrace instance vm buffer:', dashes, line(1, 5, 3), line(1, 6, 4), dashes],
    );
    expect(collector.records.map((record) => record.slice(-52))).toEqual([
      expect.stringContaining(' 0: irq_handler_exit irq=1'),
      expect.stringContaining(' 20000: irq_handler_exit irq=2'),
      expect.stringContaining(' 20000: irq_handler_exit irq=3'),
      expect.stringContaining(' 21000: irq_handler_exit irq=4'),
    ]);
    expect(collector.notes).toEqual(['10: discontinuity']);
    expect(collector.conditions).toEqual([{ kind: 'extra-dump', count: 1, position: 10 }]);
  });

  it('an empty one is an empty recording', () => {
    expect(read('Dumping ftrace buffer:', '   (ftrace buffer empty)').count).toBe(0);
  });

  it('a log without one is refused', () => {
    expect(() => read('[    0.000000] Booting', '[    1.000000] done')).toThrow(
      /^line 2: expected `Dumping ftrace buffer:`/,
    );
  });
});
