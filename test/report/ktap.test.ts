import { describe, expect, test } from 'vitest';
import { cleanTrace, facts, finding, rule, trace } from './facts.js';
import { replay } from './replay.js';

interface KtapTest {
  ok: boolean;
  name: string;
  directive: string;
  subtests: KtapTest[];
  diagnostics: string[];
}

/** Reads one level of KTAP version 1, strictly: version line, plan, results in order, as many as planned. */
function parseLevel(lines: string[], indent: string): KtapTest[] {
  const next = () => lines.shift()?.slice(indent.length);
  expect(next()).toBe('KTAP version 1');
  const tests: KtapTest[] = [];
  let planned: number | undefined;
  let subtests: KtapTest[] = [];
  let diagnostics: string[] = [];
  while (lines[0]?.startsWith(indent)) {
    if (lines[0].startsWith(`${indent}  KTAP version`)) {
      subtests = parseLevel(lines, `${indent}  `);
      continue;
    }
    const line = next()!;
    const plan = /^1\.\.(\d+)$/.exec(line);
    const result = /^(ok|not ok) (\d+) ([^#]*?)(?: # (.*))?$/.exec(line);
    if (plan) planned = Number(plan[1]);
    else if (line.startsWith('# ')) diagnostics.push(line);
    else {
      expect(result, line).not.toBeNull();
      expect(Number(result![2])).toBe(tests.length + 1);
      tests.push({ ok: result![1] === 'ok', name: result![3]!, directive: result![4] ?? '', subtests, diagnostics });
      subtests = [];
      diagnostics = [];
    }
    if (indent !== '' && tests.length === planned && !lines[0]?.startsWith(`${indent}#`)) break;
  }
  expect(tests.length).toBe(planned);
  return tests;
}

function parse(text: string): KtapTest[] {
  return parseLevel(text.trimEnd().split('\n'), '');
}

describe('the KTAP report', () => {
  test('is a suite a trace with a test a rule', async () => {
    expect(await replay('ktap', facts([trace(), cleanTrace()]), { inputs: 2 })).toMatchInlineSnapshot(`
      "KTAP version 1
      1..2
        KTAP version 1
        # Subtest: trace.txt
        1..3
        # ftrace, kernel 6.1.0, model timer-map, host nvhe
        # info vm-grouping-assumed: which vcpus form a VM is assumed, 1
        ok 1 one-vcpu-per-cpu
        # error: the restored CTL is 0x0, but 0x1 had been saved
        #   at trace.txt:23, 177.119720000, CPU 0, vcpu 0 of VM 0, thread CPU 0/KVM-589
        #   the next restore writes the saved cntv_ctl 0x1; but it wrote 0x0; fingerprint 00c0ffee12345678
        not ok 2 restore-equals-last-save
        ok 3 reset-clears-timer # SKIP not exercised: needs reset
      not ok 1 trace.txt
        KTAP version 1
        # Subtest: clean.txt
        1..1
        # ftrace, kernel 6.1.0, model timer-map, host nvhe
        ok 1 one-vcpu-per-cpu
      ok 2 clean.txt
      "
    `);
  });

  test('parses, with failures bubbling up and skips not', async () => {
    const failure = { path: 'bad#1.dat', error: 'not a trace' };
    const tests = parse(await replay('ktap', facts([trace(), cleanTrace()], [failure]), { inputs: 3 }));
    expect(tests.map(({ ok, name, directive }) => [ok, name, directive])).toEqual([
      [false, 'trace.txt', ''],
      [true, 'clean.txt', ''],
      [false, 'bad_1.dat', 'ERROR not a trace'],
    ]);
    expect(tests[0]!.subtests.map(({ ok, directive }) => [ok, directive])).toEqual([
      [true, ''],
      [false, ''],
      [true, 'SKIP not exercised: needs reset'],
    ]);
    expect(tests[0]!.subtests[1]!.diagnostics[0]).toContain('the restored CTL is 0x0');
  });

  test.each([
    ['undecided', 'SKIP undecided: initial state unknown'],
    ['not-applicable', 'SKIP not applicable: initial state unknown'],
    ['off', 'SKIP switched off: initial state unknown'],
  ] as const)('skips a rule that is %s, with the reason', async (status, directive) => {
    const rules = { a: rule({ status, held: 0, reason: 'initial state unknown' }) };
    const [suite] = parse(await replay('ktap', facts([cleanTrace({ rules })])));
    expect(suite!.subtests[0]).toMatchObject({ ok: true, directive });
  });

  test('passes a violation below the failing severity, and shows it', async () => {
    const rules = { 'restore-equals-last-save': rule({ status: 'violated', severity: 'info', violated: 2 }) };
    const findings = [finding({ severity: 'info', count: 2 })];
    const [suite] = parse(await replay('ktap', facts([cleanTrace({ rules, findings })])));
    expect(suite!.subtests[0]).toMatchObject({ ok: true, directive: 'violated 2 times, info does not fail the run' });
    expect(suite!.subtests[0]!.diagnostics.join('\n')).toContain('2 times');
  });

  test('skips an inconclusive trace: a pass would say that it was checked', async () => {
    const lossy = cleanTrace({ verdict: 'inconclusive', because: ['30 records were lost on CPU 0'] });
    const [suite] = parse(await replay('ktap', facts([lossy])));
    expect(suite).toMatchObject({ ok: true, directive: 'SKIP inconclusive: 30 records were lost on CPU 0' });
  });
});
