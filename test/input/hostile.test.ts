import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { detectFormat } from '../../src/input/index.js';
import { runs } from '../fuzz.js';
import { readText, report } from './support.js';

/** A thread's name: 1 to 15 bytes of anything but newline and NUL, often what a parser looks for. */
const comm = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ' ',
        '-',
        ':',
        '[',
        ']',
        '=',
        '<',
        '>',
        '(',
        ')',
        '/',
        '.',
        '0',
        '1',
        '7',
        'a',
        '==>',
        '[001]',
        '-1',
        ' 1.5: ',
        'pid=',
      ),
      fc.constantFrom('x', 'é'),
    ),
    {
      minLength: 1,
      maxLength: 15,
    },
  )
  .map((parts) => Buffer.from(parts.join('')).subarray(0, 15).toString('latin1'))
  .filter((name) => name.trim() === name && name.length > 0);
const pid = fc.integer({ min: 0, max: 4_194_304 });

const lineOf = (name: string, thread: number, args: string) =>
  `${name.padStart(16)}-${String(thread).padEnd(7)} [001] d..2.   812.404010: sched_switch: ${args}`;
const tail = / prev_pid=(\d+) next_pid=(\d+) prev_state=(\d)$|prev_pid=(\d+) next_pid=(\d+) prev_state=(\d)$/;

describe('names that threads choose', () => {
  it('are no place of a probe', () => {
    const line = lineOf('(.)x', 0, '(.)x:0 [120] S ==> -:0 [120]');
    expect(readText('ftrace', Buffer.from(`${line}\n`)).records).toHaveLength(1);
  });

  it('never change who was switched', () => {
    fc.assert(
      fc.property(
        comm,
        comm,
        pid,
        pid,
        fc.constantFrom('S', 'R', 'R+', 'D|K'),
        (prev, next, prevPid, nextPid, state) => {
          // The idle thread never sleeps: where it seems to, the letters are those of a kernel that shifts them.
          fc.pre(prevPid > 0);
          const args = [
            `prev_comm=${prev} prev_pid=${prevPid} prev_prio=120 prev_state=${state} ==> next_comm=${next} next_pid=${nextPid} next_prio=120`,
            `${prev}:${prevPid} [120] ${state} ==> ${next}:${nextPid} [120]`,
          ];
          for (const text of args) {
            const collector = readText('ftrace', Buffer.from(`${lineOf(prev, prevPid, text)}\n`, 'latin1'));
            expect(collector.records).toHaveLength(1);
            const found = tail.exec(collector.records[0]!)!;
            expect([found[1] ?? found[4], found[2] ?? found[5], found[3] ?? found[6]].map(Number)).toEqual([
              prevPid,
              nextPid,
              state.startsWith('R') ? 0 : state === 'S' ? 1 : 2,
            ]);
            expect(collector.records[0]).toContain(`-${prevPid} [1] task 0:`);
          }
        },
      ),
      runs(500),
    );
  });

  it('never change the columns of perf script', () => {
    fc.assert(
      fc.property(comm, pid, (name, thread) => {
        const line = `${name.padStart(16)} ${String(thread).padStart(5)} [001]   812.404010:   irq:irq_handler_exit: irq=11\n`;
        const collector = readText('perf-script', Buffer.from(line, 'latin1'));
        expect(collector.records).toHaveLength(1);
        expect(collector.records[0]).toContain(`-${thread} [1] ? 0: irq_handler_exit irq=11`);
      }),
      runs(500),
    );
  });
});

/** Pieces of trace text in any order: nearer to a trace than random bytes are. */
const almost = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '\n',
        '\r\n',
        ' ',
        '-',
        '[001]',
        '(',
        ')',
        '1',
        '99999999999999999999999',
        '812.402115: ',
        'us : ',
        'kvm_entry: ',
        'PC: 0x',
        'sched_switch: ',
        'prev_pid=',
        ' prev_prio=',
        ' ==> ',
        ' next_pid=',
        '(kvm_timer_vcpu_load+0x',
        '__probe_ip=',
        'function: ',
        '<- ',
        'CPU:1 [LOST ',
        ' EVENTS]',
        'EVENTS DROPPED]',
        '# tracer: nop',
        'Dumping ftrace buffer:\n',
        '---------------------------------\n',
        'd..2.',
        '0d..2. ',
        'vmm-1 [000] 1.5: ',
        'hrtimer=(____ptrval____)',
        "'",
        '0x',
        'CTL: ',
        'CVAL: ',
        'PERF_RECORD_LOST lost ',
        '\u0000',
        '{',
        'event,',
      ),
      fc.string({ maxLength: 6 }),
    ),
    { maxLength: 60 },
  )
  .map((parts) => Buffer.from(parts.join('')));

describe('garbage', () => {
  /** What a reader says, or the refusal. */
  const outcome = (read: () => string) => {
    try {
      return read();
    } catch (error) {
      expect(error).toMatchObject({ name: 'InputError' });
      return (error as Error).message;
    }
  };

  it.each(['ftrace', 'perf-script', 'console'] as const)(
    '%s: nothing but InputError, and the same in any pieces',
    (format) => {
      fc.assert(
        fc.property(almost, fc.integer({ min: 1, max: 20 }), (bytes, size) => {
          expect(outcome(() => report(readText(format, bytes, size)))).toBe(
            outcome(() => report(readText(format, bytes))),
          );
        }),
        runs(1500),
      );
    },
  );

  it('detection: a format or InputError, and never "more" at the end', () => {
    fc.assert(
      fc.property(almost, (bytes) => {
        outcome(() => {
          expect(detectFormat(bytes, true)).toBeDefined();
          return '';
        });
      }),
      runs(1500),
    );
  });

  it('many names do not fill the memory', () => {
    const lines = Array.from({ length: 30_000 }, (_, i) => `  vmm-1 [000] 1.5: event_${i}: x\n`).join('');
    const collector = readText('ftrace', lines);
    expect(collector.count).toBe(30_000);
    expect(collector.of('unused-event').at(-1)).toBe('10000 (other names)');
  });
});
