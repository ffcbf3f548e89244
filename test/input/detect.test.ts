import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createTextReader, detectFormat, inputFormats } from '../../src/input/index.js';
import { Collector, catalogue } from './support.js';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const event = '          <idle>-0       [003] d.h1   812.408001: hrtimer_cancel: hrtimer=00000000c0ffee11\n';

describe('a format is recognised', () => {
  it.each([
    ['ftrace', event],
    ['ftrace', `# tracer: nop\n#\n# comment\n${event}`],
    ['ftrace', `cpus=2\n${event}`],
    ['ftrace', `trace-cmd: warning of some kind\n${event}`],
    ['ftrace', `\ufeff${event}`.replace('\ufeff', '\u00ef\u00bb\u00bf')],
    ['ftrace', '# tracer: nop\n#\n# entries-in-buffer/entries-written: 0/0   #P:2\n'],
    ['ftrace', 'cpus=2\nCPU 0 is empty\n'],
    ['ftrace', '  <idle>-0         1d.h.. 19353us : irq_handler_entry: irq=11 name=arch_timer\n'],
    ['perf-script', '            perf   760 [000]   220.986223:              sched:sched_switch: prev_comm=perf\n'],
    ['perf-script', '       CPU 0/KVM  2110/2113  [003]   812.402115123:      1    kvm:kvm_entry: PC: 0x1\n'],
    ['console', 'U-Boot 2024.01\n\n[    0.000000] Booting Linux\n[   12.407240] Dumping ftrace buffer:\n'],
    ['console', '[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x411fd070]\n'],
    ['console', '[   12.417420]   <idle>-0         1d.h.. 19353us : irq_handler_entry: irq=11 name=arch_timer\n'],
    ['console', 'Nov 22 12:00:00 host kernel: Linux version 6.1.0\n'],
    ['console', 'Dumping ftrace buffer:\n---------------------------------\n'],
    ['native-csv', '# a comment\n\ntime,cpu,event,vcpu\n'],
    ['native-csv', '"time","event"\n'],
    ['native-jsonl', '# a comment\n{"event":"load"}\n'],
    ['trace-dat', '\x17\x08\x44tracing7\0'],
    ['perf-data', 'PERFILE2h\0\0\0'],
  ])('%s: %j', (format, text) => {
    expect(detectFormat(bytes(text), true)).toBe(format);
    expect(inputFormats).toContain(format);
  });

  it('as soon as its first line is there, whatever the pieces', () => {
    const text = `# tracer: nop\n#\n${event}`;
    for (let length = 0; length < text.length; length++)
      expect(detectFormat(bytes(text.slice(0, length)), false)).toBeUndefined();
    expect(detectFormat(bytes(text), false)).toBe('ftrace');
  });

  it('after 64 KiB at the latest', () => {
    expect(detectFormat(bytes('[    0.000000] line\n'.repeat(4000)), false)).toBe('console');
    expect(() => detectFormat(bytes('hello\n'.repeat(20_000)), false)).toThrow('found none of them');
  });
});

describe('an input that cannot be checked is refused with place, finding and advice', () => {
  const unusable = (file: string) => readFileSync(join(import.meta.dirname, '../../traces/formats/unusable', file));

  it.each([
    ['no context', unusable('nocontext.txt'), /^line 3: .*`irq_handler_entry: irq=1 name=IPI`.*options\/context-info/],
    ['raw numbers', unusable('raw.txt'), /^line 13: .*`\d+ \d+ \d+ type: \d+`.*clear options\/raw/],
    ['nothing', bytes(''), /is empty/],
    ['blank lines', bytes('\n\n'), /only blank lines/],
    ['binary junk', bytes('\x01\x02\x00\x03\n'), /^line 1: found binary data/],
    ['other text', bytes('hello world\n'), /^line 1: expected ftrace text.*found none of them.*`hello world`/],
    ['a CSV of something else', bytes('a,b,c\n1,2,3\n'), /^line 1: expected .*`a,b,c`/],
    ['function_graph', bytes('# tracer: function_graph\n#\n'), /^line 1: .*function_graph.*current_tracer/],
    ['function_graph without header', bytes(' 0)   0.123 us    |  kvm_timer_vcpu_load();\n'), /function_graph/],
    ['zstd', bytes('\x28\xb5\x2f\xfdxxxx'), /zstd -dc/],
    ['UTF-16', bytes('\xff\xfef\0o\0'), /iconv/],
  ])('%s', (_name, input, message) => {
    expect(() => detectFormat(input, true)).toThrow(message);
  });

  it.each([
    ['bars of function_graph', ` 0) ${'|'.repeat(65_000)}`],
    ['announcements of a dump', 'Dumping ftrace instance '.repeat(2700)],
    ['carriage returns', `x${'\r'.repeat(65_000)}x`],
    ['notes of losses', 'CPU:1 [LOST 1'.repeat(5000)],
    ['empty cells', ','.repeat(65_000)],
  ])('a line of many %s takes no longer than another', (_, line) => {
    const start = performance.now();
    expect(() => detectFormat(bytes(`${line}\n`), true)).toThrow('found none of them');
    // Quadratic in the length of the line it takes many seconds.
    expect(performance.now() - start).toBeLessThan(1000);
  });

  it('shows at most 80 printable characters of a line', () => {
    expect(() => detectFormat(bytes(`\x1b[31m${'x'.repeat(5000)}\n`), true)).toThrow(/`\.\[31mx{75}…`/);
  });

  it('perf-data', () => {
    const read = () => createTextReader('perf-data', catalogue, new Collector());
    expect(read).toThrow(/perf script --ns -i FILE.*--guestkallsyms/);
  });
});
