import { describe, expect, test } from 'vitest';
import type { Fact } from '../../src/check/facts.js';
import { addDestination } from '../../src/commands/support/destinations.js';
import { endingAt } from '../../src/commands/support/interrupt.js';
import { addRuleOverride, findRule } from '../../src/commands/support/rule-options.js';
import { type RunOptions, runReporters } from '../../src/commands/support/run-reporters.js';
import { UsageError } from '../../src/commands/support/usage-error.js';
import type { Reporter } from '../../src/report/reporter.js';
import type { Rule } from '../../src/rules/rule.js';
import { cleanTrace, facts, finding, trace } from '../report/facts.js';
import { type MemoryOutput, memoryOutput } from '../report/replay.js';

async function* stream(items: readonly Fact[]): AsyncIterable<Fact> {
  yield* items;
}

/** A reporter that keeps the types of the facts it got, and whose reader goes away at one of them. */
function recorder(closeAt?: Fact['type']): { seen: string[]; reporter: Reporter; output: MemoryOutput } {
  const seen: string[] = [];
  const output = memoryOutput();
  const reporter: Reporter = {
    fact(fact) {
      seen.push(fact.type === 'run-end' ? `run-end ${fact.run.exitCode}` : fact.type);
      if (fact.type === closeAt) output.closed = true;
    },
    end() {
      seen.push('end');
    },
  };
  return { seen, reporter, output };
}

function options(overrides: Partial<RunOptions>): RunOptions {
  const { signal } = new AbortController();
  return { reports: [], companions: [], inputs: 1, failOn: 'warning', interrupted: signal, ...overrides };
}

describe('a run of reporters', () => {
  test('gives every fact to each and answers the exit code of the check', async () => {
    const [one, two] = [recorder(), recorder()];
    const code = await runReporters(stream(facts([cleanTrace()], [], 0)), options({ reports: [one, two] }));
    expect(code).toBe(0);
    expect(one.seen).toEqual(['trace-start', 'model', 'trace-end', 'run-end 0', 'end']);
    expect(two.seen).toEqual(one.seen);
  });

  test('answers 130 when interrupted, and so does its report', async () => {
    const one = recorder();
    const interrupted = AbortSignal.abort();
    expect(await runReporters(stream(facts([trace()])), options({ reports: [one], interrupted }))).toBe(130);
    expect(one.seen).toContain('run-end 130');
  });

  test.each([
    ['a violation had been found', [trace(), cleanTrace()], 'trace-end', 1],
    [
      'a finding below the failing severity',
      [trace({ findings: [finding({ severity: 'info' })] }), cleanTrace()],
      'trace-end',
      4,
    ],
    ['nothing had been found', [cleanTrace(), trace()], 'trace-end', 4],
    ['every input had been read', [cleanTrace()], 'trace-end', 0],
  ] as const)('ends when nobody reads: %s', async (_, traces, closeAt, expected) => {
    const one = recorder(closeAt);
    const items = facts(traces, [], 0);
    expect(await runReporters(stream(items), options({ reports: [one], inputs: traces.length }))).toBe(expected);
    expect(one.seen.at(-1)).toBe('trace-end');
  });

  test('goes on while one report is read', async () => {
    const [gone, read] = [recorder('trace-start'), recorder()];
    const items = facts([trace(), cleanTrace()], [], 1);
    expect(await runReporters(stream(items), options({ reports: [gone, read], inputs: 2 }))).toBe(1);
    expect(gone.seen).toEqual(['trace-start']);
    expect(read.seen.at(-1)).toBe('end');
  });
});

describe('an interrupted input', () => {
  async function* endless(): AsyncIterable<Uint8Array> {
    yield Uint8Array.of(1);
    await new Promise(() => {});
  }

  test('ends although its next chunk never comes, and the inputs after it are not read', async () => {
    const controller = new AbortController();
    const [first, second] = endingAt(controller.signal, [
      { path: '-', open: endless },
      { path: 'next.txt', open: endless },
    ]);
    const chunks: Uint8Array[] = [];
    setTimeout(() => controller.abort(), 10);
    for await (const chunk of first!.open()) chunks.push(chunk);
    expect(chunks).toEqual([Uint8Array.of(1)]);
    await expect(second!.open()[Symbol.asyncIterator]().next()).rejects.toThrow('not read: ');
  });

  test('passes on what an input throws', async () => {
    const { signal } = new AbortController();
    const failing = {
      path: 'x',
      // biome-ignore lint/correctness/useYield: it fails before the first chunk
      async *open() {
        throw new Error('EISDIR');
      },
    };
    await expect(endingAt(signal, [failing])[0]!.open()[Symbol.asyncIterator]().next()).rejects.toThrow('EISDIR');
  });
});

describe('options', () => {
  test('send reports to files and stdout', () => {
    const first = addDestination('json=out=1.json');
    expect(addDestination('ktap=-', first)).toEqual([
      { format: 'json', file: 'out=1.json' },
      { format: 'ktap', file: '-' },
    ]);
  });

  test('set severities, the last one counts', () => {
    const once = addRuleOverride('a=off');
    expect(addRuleOverride('a=error', addRuleOverride('b=info', once))).toEqual({ a: 'error', b: 'info' });
  });

  test.each([
    ['misspelt', 'load-put-alternat', "did you mean 'load-put-alternate'? "],
    ['shortened', 'alternate', "did you mean 'load-put-alternate' or 'entry-exit-alternate'? "],
    ['foreign', 'xyz', "'timervet rules'"],
  ])('name a rule that was meant: %s', (_, id, hint) => {
    const rules = [{ id: 'load-put-alternate' }, { id: 'entry-exit-alternate' }] as unknown as Rule[];
    const error = (() => {
      try {
        return findRule(rules, id);
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(UsageError);
    expect((error as UsageError).hint).toMatch(new RegExp(`^${hint.replaceAll('?', '\\?')}`));
  });
});
