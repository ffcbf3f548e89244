import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { createReporter } from '../../src/report/reporter.js';
import { cleanTrace, facts, finding, rule, trace, vcpu } from './facts.js';
import { memoryOutput, replay } from './replay.js';

const failure = { path: 'bad.dat', error: 'neither a known text format nor trace.dat; give --input-format' };

describe('the text report of a file', () => {
  test('begins with the verdict and gives each finding with its place, events, state and argument', async () => {
    expect(await replay('text', facts([trace()]))).toMatchInlineSnapshot(`
      "violations  trace.txt
        - restore-equals-last-save was violated
        findings   1 distinct (1 error), 1 in all
        input      ftrace, kernel 6.1.0, clock local, 12034 records, 812 timer events, 2 CPUs,
                   12.300000000 s

      error  restore-equals-last-save/ctl-clobbered-by-irq
        the restored CTL is 0x0, but 0x1 had been saved
        where      trace.txt:23, 177.119720000, CPU 0, vcpu 0 of VM 0, thread CPU 0/KVM-589
        events
          line 19  177.119605000  [000]  CPU 0/KVM-589  save               kvm_timer_save_state: CTL:
                                                                           0x000001 CVAL: 0x1000
                                                                           arch_timer_ctx_index: 1
          line 20  177.119611000  [000]  CPU 0/KVM-589  vtimer_irq         irq_handler_entry: irq=11
                                                                           name=kvm guest vtimer
        > line 23  177.119720000  [000]  CPU 0/KVM-589  restore (derived)  kvm_timer_restore_state: CTL:
                                                                           0x000000 CVAL: 0x1000
                                                                           arch_timer_ctx_index: 1
        state before -> after
          loaded    0    -> 1
          cntv_ctl  0x1  -> 0x0
        given      the save at 177.119605000 stored cntv_ctl 0x1, and an interrupt of the timer came after
                   it
        must       the next restore writes the saved cntv_ctl 0x1
        but        it wrote 0x0
        therefore  the interrupt handler overwrote the saved CTL: the timer stays off and the guest waits
                   for ever
        see        timervet explain restore-equals-last-save; fingerprint 00c0ffee12345678

      conditions
        info  1  vm-grouping-assumed  which vcpus form a VM is assumed
                                      first at line 3

      vcpus  1 in 1 VM
        VM 0 (assumed)  vcpu 0  CPU 0/KVM-589  640  events, known since 177.107077000

      model  timer-map
        - get_timer_map printed no emul_vtimer at line 7
      host  nvhe
        - the timer map has an emulated physical timer

      counter  62.5 MHz, inferred
        VM 0  vcpu 0  vtimer  known to 30 us  from 185 equalities, 453 lower and 360 upper bounds  1 offset change

      rules                          held  violated  undecided
        one-vcpu-per-cpu               12         0          0
        restore-equals-last-save       40         1          2

      rules without a decision
        not exercised: needs reset
          reset-clears-timer
      "
    `);
  });

  test('says in a line that nothing was lost when there are no conditions', async () => {
    const text = await replay('text', facts([cleanTrace()], [], 0));
    expect(text).toContain('conditions  none: nothing lost, skipped or assumed\n');
    expect(text.startsWith('clean  clean.txt\n')).toBe(true);
  });

  test('shows what a condition is about, where it began and its details', async () => {
    const conditions = [
      {
        kind: 'lost-events',
        severity: 'loss',
        sentence: 'the recorder lost records of a CPU',
        count: 30,
        position: { offset: 4096 },
        details: { 'CPU 0': 10, 'CPU 1': 20 },
      },
    ] as const;
    const text = await replay('text', facts([trace({ conditions, verdict: 'inconclusive' })]));
    expect(text).toContain('  loss  30  lost-events  the recorder lost records of a CPU\n');
    expect(text).toContain('first at offset 4096, CPU 0 10, CPU 1 20\n');
  });

  test('folds repeated findings and names the first places', async () => {
    const occurrences = [23, 40, 51].map((line) => ({
      time: `177.${line}0000000`,
      cpu: 1,
      pid: 589,
      position: { line },
    }));
    const text = await replay('text', facts([trace({ findings: [finding({ count: 40, occurrences })] })]));
    expect(text).toContain(
      '  times      40, also at 177.400000000 (CPU 1, line 40), 177.510000000 (CPU 1, line 51), 37 more\n',
    );
    expect(text).toContain('1 distinct (1 error), 40 in all');
  });

  test('shows the fields that changed or that the argument names, and all when verbose', async () => {
    const argument = { ...finding().argument, must: 'cntvoff stays' };
    const stream = facts([trace({ findings: [finding({ argument })] })]);
    const normal = await replay('text', stream);
    expect(normal).toMatch(/cntv_ctl +0x1 +-> 0x0\n/);
    expect(normal).toMatch(/cntvoff +0x20\n/);
    expect(normal).not.toMatch(/cntv_cval +0x1000/);
    expect(await replay('text', stream, { detail: 'verbose' })).toMatch(/cntv_cval +0x1000/);
  });

  test('shows undecided reasons and coverage by vcpu when verbose', async () => {
    const text = await replay('text', facts([trace()]), { detail: 'verbose' });
    expect(text).toContain('undecided 2: nothing was saved before\n');
    expect(text).toContain('vcpu 0 of VM 0: held 40, violated 1, undecided 2\n');
  });

  test('names the candidates while no model is decided', async () => {
    const model = { id: null, candidates: ['timer-map', 'offset'], reasons: [] };
    const text = await replay('text', facts([trace({ model, host: { id: null, reasons: [] } })]));
    expect(text).toContain('model  not decided between timer-map, offset\nhost  not known\n');
  });

  test('escapes what a thread name could do to a terminal', async () => {
    const evil = trace({ vcpus: [{ ...vcpu, comm: '\x1b[2J\u202eevil' }] });
    expect(await replay('text', facts([evil]))).toContain('\\x1b[2J\\u202eevil-589');
  });

  test('says when no rule was exercised, no vcpu was found and findings were left out', async () => {
    const rules = { 'reset-clears-timer': rule({ status: 'off', held: 0, byVcpu: [] }) };
    const text = await replay('text', facts([trace({ rules, vcpus: [], findingsOmitted: 7 })]));
    expect(text).toContain('rules  none was exercised by this trace\n');
    expect(text).toContain('  switched off\n    reset-clears-timer\n');
    expect(text).toContain('vcpus  none found\n');
    expect(text).toContain('and 7 more beyond --max-findings');
  });

  test('wraps prose to the width and leaves event lines whole', async () => {
    const text = await replay('text', facts([trace()]), {}, memoryOutput({ columns: 60 }));
    const long = text.split('\n').filter((line) => line.length > 60);
    const whole = /^[ >]+line \d+ |^ {2}see |^ {2}VM /;
    expect(long.filter((line) => !whole.test(line))).toEqual([]);
  });

  test('colours only an output that wants it, and changes nothing but colours', async () => {
    const plain = await replay('text', facts([trace()]));
    const colored = await replay('text', facts([trace()]), {}, memoryOutput({ color: true }));
    expect(plain).not.toContain('\x1b');
    expect(colored).toContain('\x1b[31merror\x1b[39m');
    expect(stripVTControlCharacters(colored)).toBe(plain);
  });
});

describe('the text report of a run', () => {
  test('ends with the totals and the inputs that were not clean', async () => {
    const text = await replay('text', facts([trace(), cleanTrace()], [failure], 3), { inputs: 3 });
    expect(text.slice(text.indexOf('unreadable'))).toMatchInlineSnapshot(`
      "unreadable  bad.dat
        neither a known text format nor trace.dat; give --input-format

      3 inputs: 1 with violations, 1 clean, 1 unreadable; exit code 3
        violations    trace.txt
        unreadable    bad.dat
      "
    `);
  });

  test('has a line a verdict when quiet', async () => {
    const text = await replay('text', facts([trace(), cleanTrace()], [failure], 3), { inputs: 3, detail: 'quiet' });
    expect(text).toMatchInlineSnapshot(`
      "violations  trace.txt: restore-equals-last-save was violated
      clean  clean.txt
      unreadable  bad.dat: neither a known text format nor trace.dat; give --input-format
      3 inputs: 1 with violations, 1 clean, 1 unreadable; exit code 3
      "
    `);
  });

  test('says that it was interrupted', async () => {
    expect(await replay('text', facts([trace()], [], 130))).toContain('\ninterrupted: ');
  });
});

describe('the text report of standard input', () => {
  test('shows findings as they are found and repeats only their count', async () => {
    const output = memoryOutput();
    const options = { version: '0', inputs: 1, failOn: 'warning', detail: 'normal' } as const;
    const reporter = await createReporter('text', output, options);
    const stream = facts([trace({ path: '-', findings: [finding({ count: 3 })] })]);
    for (const fact of stream.slice(0, 3)) await reporter.fact(fact);
    expect(output.text).toContain('error  restore-equals-last-save/ctl-clobbered-by-irq');
    expect(output.text).toContain('where      standard input line 23, ');
    const before = output.text.length;
    for (const fact of stream.slice(3)) await reporter.fact(fact);
    const rest = output.text.slice(before);
    expect(rest.startsWith('\nviolations  standard input\n')).toBe(true);
    expect(rest).toContain('repeated findings\n    3  times  restore-equals-last-save/ctl-clobbered-by-irq');
    expect(rest).not.toContain('therefore');
  });

  test('shows only the verdict when quiet', async () => {
    const text = await replay('text', facts([trace({ path: '-' })]), { detail: 'quiet' });
    expect(text).toBe('violations  standard input: restore-equals-last-save was violated\n');
  });
});
