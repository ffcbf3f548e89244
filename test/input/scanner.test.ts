import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Record } from '../../src/input/record.js';
import { readHex, readNumber } from '../../src/input/text/numbers.js';
import {
  Ending,
  Head,
  Placement,
  Result,
  Scanner,
  type Step,
  Treatment,
  ValueKind,
} from '../../src/input/text/scanner.js';
import { TextRecord } from '../../src/input/text/text-record.js';
import { runs } from '../fuzz.js';

/** Puts a line where the scanner reads it. @returns its end, where the newline is */
function write(scanner: Scanner, line: string, at = 0): number {
  return at + scanner.bytes.write(`${line}\n`, at, 'latin1') - 1;
}

const step = (literal: string, kind: ValueKind, more: Partial<Step> = {}): Step => ({
  ...{ literal: Buffer.from(literal), placement: Placement.here, blanks: true, kind, field: 0, owner: 0, ends: 0 },
  ...more,
});

describe('the end of a line', () => {
  it('is the first newline, wherever the line begins', () => {
    const scanner = new Scanner();
    for (let from = 0; from < 40; from++) {
      for (let length = 0; length < 40; length++) {
        scanner.bytes.fill(0x20, 0, 200);
        scanner.bytes[from + length] = 0x0a;
        scanner.bytes[from + length + 3] = 0x0a;
        expect(scanner.lineEnd(from, 200)).toBe(from + length);
        expect(scanner.lineEnd(from, from + length)).toBe(-1);
      }
    }
  });
});

describe('texts that were kept', () => {
  const texts = fc.uniqueArray(fc.string({ unit: fc.constantFrom('a', 'b', '-'), minLength: 1, maxLength: 64 }), {
    minLength: 1,
    maxLength: 40,
  });

  it('are found again by their bytes, their length and their owner, and no other is', () => {
    fc.assert(
      fc.property(texts, fc.nat(20), (all, from) => {
        const scanner = new Scanner();
        const owner = scanner.newOwner();
        for (const [value, text] of all.entries()) {
          write(scanner, text, from);
          const place = scanner.keep(owner, from, text.length, value);
          // What follows the text is no part of it.
          write(scanner, `${text}${'x'.repeat(70)}`, from + 1);
          expect(scanner.recall(owner, from + 1, text.length)).toBe(place);
          expect(scanner.recall(scanner.newOwner(), from + 1, text.length)).toBe(-1);
          expect(scanner.recall(owner, from + 1, text.length + 1)).toBe(-1);
        }
        for (const [value, text] of all.entries()) {
          write(scanner, text, 3);
          const place = scanner.recall(owner, 3, text.length);
          // A third text of a pair takes the place of another; a wrong one never answers.
          if (place >= 0) expect(scanner.values[place]).toBe(value);
        }
      }),
      runs(200),
    );
  });

  it('are 1 to 64 bytes long', () => {
    const scanner = new Scanner();
    write(scanner, 'a'.repeat(100));
    expect(scanner.recall(1, 0, 0)).toBe(-1);
    expect(scanner.recall(1, 0, 65)).toBe(-1);
  });
});

describe('a line like earlier ones', () => {
  const columns = '-2113    [003] d..2.   812.';
  const line = (fraction: string, rest = 'kvm_entry:   PC: 0x1f') => `       CPU 0/KVM${columns}${fraction}: ${rest}`;
  const cpu = 3;
  const name = 7;

  /** A scanner that knows the columns and the name, with the first time 0 of the clock in the second 812. */
  function learned(treatment: Treatment = Treatment.passOver) {
    const scanner = new Scanner();
    write(scanner, line('0'));
    scanner.setColumns(16, columns.length);
    const place = scanner.keep(scanner.columnsOwner, 16, columns.length, cpu);
    scanner.seconds[place] = 812;
    scanner.clock[0] = 812;
    scanner.keep(scanner.namesOwner, line('0').indexOf('kvm_entry'), 'kvm_entry:'.length, name);
    scanner.treatments[name] = treatment;
    return { scanner, place };
  }
  const reached = ({ results }: Scanner) => [results[Result.start], results[Result.lines]];
  const next = (scanner: Scanner, text: string) => scanner.next(0, write(scanner, text) + 1, 1e9);

  it.each([
    ['402115', 402_115_000],
    ['402115123', 402_115_123],
    ['000000001', 1],
    ['5', 500_000_000],
  ])('is read by a plan, with the fraction %s', (fraction, time) => {
    const { scanner, place } = learned();
    const plan = scanner.newPlan();
    scanner.setPlan(plan, [step('PC:', ValueKind.pointer)], Ending.lineEnd);
    scanner.treatments[name] = plan + 1;
    expect(next(scanner, line(fraction))).toBe(1);
    expect(reached(scanner)).toEqual([line(fraction).length + 1, 1]);
    expect([...scanner.heads.subarray(0, Head.size)]).toEqual([place, name, 0, 1]);
    expect([scanner.times[0], scanner.lo[0]]).toEqual([time, 0x1f]);
    expect([scanner.lastTimes[cpu], scanner.counts[cpu], scanner.clock[3]]).toEqual([time, 1, time]);
    expect(next(scanner, line(fraction, 'kvm_entry: PC: 0x1f,'))).toBe(0);
    scanner.forgetPlan(plan);
    expect(next(scanner, line(fraction))).toBe(0);
    expect(reached(scanner)).toEqual([0, 0]);
  });

  it('may be passed over, and counts', () => {
    const { scanner } = learned();
    const lines = [
      line('000001'),
      `${line('000002')}\r`,
      line('000002', 'kvm_entry: a'),
      line('000003', 'kvm_exit: a'),
    ];
    expect(next(scanner, lines.join('\n'))).toBe(0);
    expect(reached(scanner)).toEqual([lines.slice(0, 3).join('\n').length + 1, 3]);
    expect([scanner.passed[name], scanner.counts[cpu], scanner.lastTimes[cpu]]).toEqual([3, 3, 2000]);
  });

  it.each(
    [
      ['', '4021151234', '40211x', '402115:', '402115: (+12)', '402115: \t'].map((fraction) => [line(fraction)]),
      ['kvm_entry:', 'kvm_entry:\tPC', 'kvm_entry: \tPC', 'kvm_entry:PC: 0', 'kvm_exit: PC'].map((rest) => [
        line('5', rest),
      ]),
      [line('5', 'kvm_entry: (kvm_timer_vcpu_load+0x0/0x210)'), line('5', 'kvm_entry: __probe_ip=1')],
      ['', '\r', 'cpus=6', line('5').slice(0, 40), ` ${line('5')}`, line('5').replace('[003]', '[004]')],
    ].flat(2),
  )('is not %j', (text) => {
    const { scanner } = learned();
    expect(next(scanner, text.replace('(+12): ', '(+12) '))).toBe(0);
    expect(reached(scanner)).toEqual([0, 0]);
    expect(scanner.counts[cpu]).toBe(0);
  });

  it('is left where there is no room for its record', () => {
    const { scanner } = learned();
    const plan = scanner.newPlan();
    scanner.setPlan(plan, [step('PC:', ValueKind.pointer)], Ending.lineEnd);
    scanner.treatments[name] = plan + 1;
    const { mostRecords } = scanner;
    const lines = Array.from({ length: mostRecords + 1 }, (_, index) =>
      line('5', `kvm_entry: PC: 0x${index.toString(16)}`),
    );
    expect(next(scanner, lines.join('\n'))).toBe(mostRecords);
    expect(reached(scanner)).toEqual([lines.slice(0, mostRecords).join('\n').length + 1, mostRecords]);
    const record = new TextRecord(scanner);
    const fields = Array.from({ length: mostRecords }, (_, index) => {
      record.choose(index);
      return [record.high(0), record.low(0)];
    });
    expect(fields).toEqual(Array.from({ length: mostRecords }, (_, index) => [0, index]));
  });

  it('is none without its newline', () => {
    const { scanner } = learned();
    expect(scanner.next(0, write(scanner, line('5')), 1e9)).toBe(0);
    expect(reached(scanner)).toEqual([0, 0]);
  });

  it.each([
    ['back', 0.6e9, 1e9],
    ['too far', 0, 0.4e9],
    ['from nowhere', Number.NEGATIVE_INFINITY, 1e9],
  ])('is none where the time of the CPU steps %s', (_, last, longestStep) => {
    const { scanner } = learned();
    scanner.lastTimes[cpu] = last;
    expect(scanner.next(0, write(scanner, line('5')) + 1, longestStep)).toBe(0);
    expect(reached(scanner)).toEqual([0, 0]);
  });
});

describe('the name of an event', () => {
  it('is known up to a blank', () => {
    const scanner = new Scanner();
    write(scanner, 'kvm_entry:   PC: 0x1');
    expect(scanner.name(0)).toBe(-1);
    const place = scanner.keep(scanner.namesOwner, 0, 'kvm_entry:'.length, 7);
    expect(scanner.name(0)).toBe(place);
    expect(scanner.results[Result.args]).toBe(13);
    for (const other of ['kvm_entry:', 'kvm_entry:\tPC', 'kvm_entry: \tPC', 'kvm_entry:PC: 0', 'kvm_exit: PC']) {
      write(scanner, other);
      expect(scanner.name(0), other).toBe(-1);
    }
  });
});

describe('a plan reads numbers as the complete readers do, or refuses them', () => {
  const text = fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }).map(String),
    fc.bigInt({ min: 0n, max: 2n ** 68n }).map((value) => `0x${value.toString(16)}`),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value) => value.toString(16).padStart(16, '0')),
    fc.string({ unit: fc.constantFrom(..."0123456789abcdefABCDEF-xX(' ,"), maxLength: 24 }),
  );

  it.each([
    ['number', ValueKind.number, readNumber],
    ['pointer', ValueKind.pointer, readHex],
  ] as const)('%s', (_, kind, read) => {
    const scanner = new Scanner();
    const plan = scanner.newPlan();
    expect(scanner.setPlan(plan, [step('level:', kind, { blanks: false })], Ending.anything)).toBe(true);
    const expected = new Record();
    let accepted = 0;
    fc.assert(
      fc.property(text, (number) => {
        const end = write(scanner, `level:${number}`);
        const after = scanner.plan(plan, 0, end);
        if (after < 0) return;
        accepted++;
        expect(after).toBe(read(scanner.bytes, 6, end, expected, 0));
        expect([scanner.hi[0], scanner.lo[0]]).toEqual([expected.hi[0], expected.lo[0]]);
      }),
      runs(3000),
    );
    expect(accepted).toBeGreaterThan(500);
  });

  it('goes on behind a text that stands elsewhere', () => {
    const scanner = new Scanner();
    const plan = scanner.newPlan();
    const next = step(' next_pid=', ValueKind.number, { placement: Placement.elsewhere, blanks: false, field: 1 });
    scanner.setPlan(plan, [step('prev_pid=', ValueKind.number), next], Ending.anything);
    const line = 'prev_pid=12 prev_prio=120 ==> next_comm=a next_pi next_pid=345 next_prio=120';
    expect(scanner.plan(plan, 0, write(scanner, line))).toBe(line.indexOf(' next_prio'));
    expect([...scanner.lo.subarray(0, 2)]).toEqual([12, 345]);
    expect(scanner.plan(plan, 0, line.indexOf('next_pid='))).toBe(-1);
    expect(scanner.plan(plan, 0, write(scanner, 'prev_pid=12 next_pi'))).toBe(-1);
  });

  it('has room for seven steps with texts of 64 bytes', () => {
    const scanner = new Scanner();
    const steps = (count: number, length: number) =>
      Array.from({ length: count }, () => step('a'.repeat(length), ValueKind.none));
    expect(scanner.setPlan(scanner.newPlan(), steps(7, 64), Ending.anything)).toBe(true);
    expect(scanner.setPlan(scanner.newPlan(), steps(8, 1), Ending.anything)).toBe(false);
    expect(scanner.setPlan(scanner.newPlan(), steps(1, 65), Ending.anything)).toBe(false);
  });
});
