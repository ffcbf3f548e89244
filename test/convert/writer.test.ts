import { describe, expect, it } from 'vitest';
import { TimerEvent } from '../../src/events/event.js';
import { Kind } from '../../src/events/kinds.js';
import { nativeForms } from '../../src/report/formats.js';
import { NativeWriter } from '../../src/report/native/writer.js';
import { readNative } from '../input/native/read.js';

const event = (fields: Partial<TimerEvent>) => Object.assign(new TimerEvent().clear(), fields);

describe.each(nativeForms)('a recording written as %s', (form) => {
  const write = (...calls: ((writer: NativeWriter) => void)[]) => {
    const writer = new NativeWriter(form);
    for (const call of calls) call(writer);
    return readNative(form === 'csv' ? 'native-csv' : 'native-jsonl', writer.taken());
  };

  it('keeps every bit of a value, and every nanosecond of a clock that has run for years', async () => {
    const origin = 18_446_744_073_709_551_000n;
    const { events, facts, error } = await write(
      (writer) => writer.fact({ recording: 'ftrace' }),
      (writer) => writer.event(event({ kind: Kind.lost, cpu: 0 }), ''),
      (writer) => writer.fact({ origin }),
      (writer) => writer.event(event({ kind: Kind.save, time: 615, cvalHi: -1, cvalLo: -2, hasCval: true }), ''),
      (writer) => writer.event(event({ kind: Kind.entry, time: -7 }), ''),
    );
    expect(error).toBeUndefined();
    expect(facts).toEqual({ recording: 'ftrace', origin });
    expect(events.map(({ time }) => time)).toEqual([0, 615, -7]);
    expect(events[1]).toMatchObject({ cvalHi: -1, cvalLo: -2, hasCval: true });
  });

  it.each(['CPU 0/KVM', 'a,b', '"x"', ' # y', '<...>', 'kvm é'])('keeps the thread name %j', async (comm) => {
    const { threads } = await write((writer) => writer.event(event({ kind: Kind.entry, pid: 7 }), comm.trim()));
    expect(threads).toEqual([[7, comm.trim(), true]]);
  });

  it('keeps a name with a line end on its line', async () => {
    const { threads, error } = await write(
      (writer) => writer.condition('unused-event', 3, 'one\n# two'),
      (writer) => writer.event(event({ kind: Kind.load, pid: 7 }), 'a\nb'),
    );
    expect({ threads, error }).toEqual({ threads: [[7, 'a?b', false]], error: undefined });
  });

  it('states conditions, sources, ends and the number of records', async () => {
    const { conditions, recorded, cpuEnds, facts, counted } = await write(
      (writer) =>
        writer.fact({ recording: 'ftrace', timerNames: 3, frequency: 62_500_000, count: 0xfedcba9876543210n }),
      (writer) => writer.recorded('kvm_entry'),
      (writer) => writer.event(event({ kind: Kind.entry, cpu: 1, time: 5 }), ''),
      (writer) => writer.event(event({ kind: Kind.lost, cpu: 1, lostCount: 9 }), ''),
      (writer) => writer.condition('lost-events', 9, 'CPU 1'),
      (writer) => writer.condition('truncated-line', 1, undefined),
      (writer) => writer.cpuEnd({ cpu: 1, time: -1_500_000_001, idle: true }),
      (writer) => writer.end(4711),
    );
    expect(conditions.map(([kind, count, , detail]) => [kind, count, detail])).toEqual([
      ['lost-events', 9, 'CPU 1'],
      ['truncated-line', 1, undefined],
    ]);
    expect(recorded).toEqual(['kvm_entry']);
    expect(cpuEnds).toEqual([[1, -1_500_000_001, true]]);
    expect(facts).toEqual({
      recording: 'ftrace',
      timerNames: 3,
      frequency: 62_500_000,
      count: 0xfedcba9876543210n,
      records: 4711,
    });
    // A mark of a loss is no record.
    expect(counted).toBe(1);
  });

  it('writes ? for what no column can hold', async () => {
    const { events, error } = await write((writer) =>
      writer.event(event({ kind: Kind.trapped_access, timer: 77, register: 16, pid: 3_000_000_000 }), ''),
    );
    expect(error).toBeUndefined();
    expect(events[0]).toMatchObject({ timer: -2, register: -1, pid: -1 });
  });
});

describe('a fact of a converted recording', () => {
  it.each([
    'condition: lost-events 1e+250',
    'condition: lost-events 9007199254740992',
    'condition: no-such-condition 1',
    'condition:',
    'cpus: 0',
    'origin: soon',
    'cpu-end: 1 5.0 idle',
    'records: -1',
  ])('%s that cannot be read is an error: it may be a loss', async (fact) => {
    const { error } = await readNative('native-csv', `# recording: ftrace\n# ${fact}\nevent,vcpu\nload,0\n`);
    expect(error).toMatch(/^line 2: "[a-z-]+": expected a value that timervet convert writes, found "/);
  });

  it.each(['kernel: 6.1.0 ,,,', 'condition: lost-events 9007199254740991 CPU 1\u2028,,,'])(
    '%s is read without what a spreadsheet adds',
    async (fact) => {
      const { error, facts, conditions } = await readNative('native-csv', `# recording: ftrace\n# ${fact}\nevent\n`);
      expect(error).toBeUndefined();
      expect([facts.kernel, ...conditions.map(([kind, count, , detail]) => [kind, count, detail])]).toEqual(
        fact.startsWith('kernel') ? ['6.1.0'] : [undefined, ['lost-events', Number.MAX_SAFE_INTEGER, 'CPU 1']],
      );
    },
  );
});

describe('a comment of a hand-written trace', () => {
  it.each([
    '# recording: made at home',
    '# origin: the mailing list',
    '# condition: fine',
    '# records: all',
    '# recorded: today',
  ])('%s states nothing that changes how it is read', async (comment) => {
    const { facts, conditions, error } = await readNative('native-csv', `${comment}\nevent,vcpu\nload,0\n`);
    expect({ facts, conditions, error }).toEqual({ facts: {}, conditions: [], error: undefined });
  });
});
