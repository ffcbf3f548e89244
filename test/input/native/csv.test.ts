import { describe, expect, it } from 'vitest';
import { Kind, kindNames } from '../../../src/events/kinds.js';
import { formatNativeCsv } from '../../../src/events/native.js';
import { readNative } from './read.js';

const read = (text: string) => readNative('native-csv', text);

describe('a CSV trace', () => {
  it('may have comments, blank lines, padding, short rows, quotes, CRLF, a byte order mark and no last line end', async () => {
    const { events, error } = await read(
      '\ufeff# a comment, with a " quote\r\n\r\n  # another\r\n event , vcpu,cpu,comm\r\nload,0 , 2,"CPU 0, KVM"\r\n\t\r\n,,,\r\nentry,0\r\nput, "0"',
    );
    expect(error).toBeUndefined();
    expect(events.map(({ kind, cpu, position }) => [kindNames[kind], cpu, position])).toEqual([
      ['load', 2, 5],
      ['entry', 2, 8],
      ['put', 2, 9],
    ]);
  });

  it('names its columns in any order, and a column without a name may be empty', async () => {
    const { events, error } = await read('level,,event,vcpu\n1,,update_irq,3\n');
    expect(error).toBeUndefined();
    expect(events[0]).toMatchObject({ kind: Kind.update_irq, level: 1, vcpuId: 3, irq: 27 });
  });

  it('states facts in comments', async () => {
    const { facts } = await read(
      '# model: rfc-load-put\n# host:nvhe,,,\n#kernel:  6.1 \n# cpus: 4\n# author: nobody\n# Host: no\nevent\n# clock: mono\n',
    );
    expect(facts).toEqual({ model: 'rfc-load-put', host: 'nvhe', kernel: '6.1', cpus: 4, clock: 'mono' });
  });

  it('tells of a clock that steps back and of lost records', async () => {
    const { conditions, counted } = await read(
      'time,event,cpu,count\n3,load,0\n2,put,0\n2,put,1\n4,lost,1,7\n4,lost,0\n',
    );
    expect(conditions).toEqual([
      ['time-backwards', 1, 3, 'CPU 0'],
      ['lost-events', 7, 5, 'CPU 1'],
      ['lost-events', 1, 6, 'CPU 0'],
    ]);
    expect(counted).toBe(5);
  });

  it('delivers a row while it is pushed, without waiting for the next one', async () => {
    const { createNativeReader } = await import('../../../src/input/native/reader.js');
    let events = 0;
    const reader = await createNativeReader('native-csv', {
      event: () => events++,
      fact: () => {},
      condition: () => {},
      recorded: () => {},
      thread: () => {},
      cpuEnd: () => {},
      counted: () => {},
    });
    reader.push(Buffer.from('event\nload\n'));
    expect(events).toBe(1);
    reader.push(Buffer.from('pu'));
    reader.push(Buffer.from('t\n'));
    expect(events).toBe(2);
  });
});

it.each([' ', ',', ', \t'])('a comment full of %j is read as fast as another', async (blank) => {
  const comment = `# kernel: 6.1${blank.repeat(60_000 / blank.length)}x`;
  const start = performance.now();
  expect((await read(`${comment}\nevent\n`)).facts.kernel).toHaveLength(comment.length - '# kernel: '.length);
  // Quadratic in the length of the line it takes many seconds.
  expect(performance.now() - start).toBeLessThan(1000);
});

describe('a CSV trace that cannot be read', () => {
  const wrong: [string, string, string][] = [
    ['nothing', '', 'expected a header row that names the columns (at least "event"), found none'],
    ['only comments', '# x\n', 'expected a header row that names the columns (at least "event"), found none'],
    ['a header without event', 'vcpu,cpu\n', 'line 1: header: expected a column "event", found vcpu, cpu'],
    ['a column twice', 'event,cpu,cpu\n', 'line 1: header: expected each column once, found "cpu" twice'],
    ['a misspelt column', '\nevent,vpcu\n', 'line 2: header: unknown field "vpcu"; did you mean `vcpu`?'],
    [
      'a cell too many',
      'event,vcpu\nload,0,1\n',
      'line 2: expected at most 2 cells as in the header, found "1" in cell 3, which has no column',
    ],
    ['an open quote', 'event\n"load\nput\n', 'line 2: expected a closing quote, found the end of the line'],
    ['a quote inside', 'event\nlo"ad\n', 'line 2: expected quotes only around a whole cell, found one elsewhere'],
    ['text after a quote', 'event\n"load"x\n', 'line 2: expected quotes only around a whole cell, found one elsewhere'],
    [
      'no event',
      'event,vcpu\n,0\n',
      'line 2: field "event": expected an event such as load, entry, save or vtimer_irq, found nothing',
    ],
    [
      'a misspelt event',
      'event\nrestoer',
      'line 2: field "event": expected an event such as load, entry, save or vtimer_irq, found "restoer"; did you mean `restore`?',
    ],
    [
      'a bad value',
      '# comments\n# count\n\nevent,vcpu,ctl\nload,0\nrestore,0,5\nsave,0,foo\n',
      'line 7: field "ctl": expected a number 0..2^53-1 or bit names such as enable|imask, found "foo"',
    ],
    [
      'a line without an end',
      `event\n${'x'.repeat(70_000)}`,
      'line 2: expected a row of at most 65536 bytes, found a longer line',
    ],
  ];
  it.each(wrong)('has %s', async (_, text, message) => {
    expect((await read(text)).error).toBe(message);
  });

  it('delivers the rows before the bad one', async () => {
    const { events, counted, error } = await read('event\nload\nput\nnonsense\nload\n');
    expect(formatNativeCsv(events)).toBe('time,cpu,event\n0.000000,0,load\n0.000001,0,put\n');
    expect(counted).toBe(2);
    expect(error).toMatch(/^line 4: /);
  });
});
