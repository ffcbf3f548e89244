import { describe, expect, it } from 'vitest';
import { Kind } from '../../../src/events/kinds.js';
import { readNative } from './read.js';

const read = (text: string) => readNative('native-jsonl', text);

describe('a JSONL trace', () => {
  it('may have comments, blank lines, CRLF, a byte order mark and no last line end', async () => {
    const { events, error } = await read(
      '\ufeff# comment\r\n\r\n{"event":"load","vcpu":0,"cpu":1}\r\n  {"event":"save","vcpu":0,"cval":"~0","ctl":null}',
    );
    expect(error).toBeUndefined();
    expect(events).toHaveLength(2);
    expect(events[1]).toMatchObject({ kind: Kind.save, cpu: 1, ctl: -1, cvalHi: -1, position: 4, time: 1000 });
  });

  it('states facts in an object without event', async () => {
    expect((await read('{"model":"offset","host":"vhe","cpus":2}\n')).facts).toEqual({
      model: 'offset',
      host: 'vhe',
      cpus: 2,
    });
  });
});

describe('a JSONL trace that cannot be read', () => {
  const wrong: [string, string, string][] = [
    ['no object', '[1]', 'line 1: expected a JSON object, found [1]'],
    ['an unknown key', '{"event":"load","vpcu":1}', 'line 1: unknown field "vpcu"; did you mean `vcpu`?'],
    [
      'no event',
      '\n{"vcpu":1}',
      'line 2: field "event": expected an event such as load, entry, save or vtimer_irq, found nothing',
    ],
    ['an array as value', '{"event":"load","cpu":[0]}', 'line 1: field "cpu": expected a number 0..65535, found [0]'],
    [
      'a fact of the wrong type',
      '{"cpus":"two"}',
      'line 1: field "cpus": Invalid input: expected number, received string (a line without "event" states facts of the recording)',
    ],
    [
      'a number that JSON has rounded',
      '{"event":"save","cval":18446744073709551615}',
      'line 1: field "cval": expected a number 0..2^64-1, decimal or 0x hexadecimal, or ~0 (in JSON as text above 2^53-1), found 18446744073709552000',
    ],
    ['a key of every object', '{"event":"load","toString":1}', 'line 1: unknown field "toString"'],
    ['a prototype', '{"event":"load","__proto__":1}', 'line 1: unknown field "__proto__"'],
    ['half an object', '{"event":"lo', 'line 1: expected a JSON object; '],
  ];
  it.each(wrong)('has %s', async (_, text, message) => {
    const { error } = await read(text);
    expect(error?.slice(0, message.length)).toBe(message);
  });
});
