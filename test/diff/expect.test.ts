import { describe, expect, it } from 'vitest';
import { ExpectationError } from '../../src/diff/expect/error.js';
import { failsOn, parseFailOn } from '../../src/diff/expect/limits.js';
import { parseExpectations } from '../../src/diff/expect/parse.js';
import { type Diff, diff, type Expectation, fileInput } from '../../src/index.js';

const recordings = {
  old: '4.9-nvhe/kp-overcommit.txt.gz',
  new: '6.1-nvhe/overcommit.txt.gz',
  rfc: 'rfc-nvhe/tickwfi.dat',
  landed: '4.15-nvhe/tickwfi.dat',
  tick: '6.1-nvhe/tickwfi-zstd.dat',
  noExits: '6.1-nvhe/fn-mixed.txt.gz',
};
type Name = keyof typeof recordings;

async function diffOf(old: Name, next: Name, expectations: readonly Expectation[], limits: readonly string[] = []) {
  const input = (name: Name) => fileInput(`traces/recordings/${recordings[name]}`);
  const options = {
    expect: { source: 'patch.json', expect: expectations },
    limits: failsOn(limits).limits,
    failOn: failsOn(limits).severity,
  };
  let found: { diff: Diff; exitCode: number } | undefined;
  for await (const fact of diff(input(old), input(next), options))
    if (fact.type === 'diff') found = { diff: fact.diff!, exitCode: fact.exitCode };
  return found!;
}

type Answer = Awaited<ReturnType<typeof diffOf>>;
const answers = new Map<string, Promise<Answer>>();

/** What is asked for several times is diffed once. */
function together(key: string, ask: () => Promise<Answer>): Promise<Answer> {
  const known = answers.get(key) ?? ask();
  answers.set(key, known);
  return known;
}

describe('an expectation', () => {
  const storm = 'irq-not-repeated-while-level-high';

  const cases: readonly [string, Name, Name, Expectation, string, RegExp][] = [
    ['a finding is gone', 'rfc', 'landed', { finding: storm, is: 'gone' }, 'met', /1 in the old .* 0 in the new/],
    ['by its diagnosis', 'rfc', 'landed', { finding: `${storm}/storm`, is: 'gone' }, 'met', /1 in the old/],
    ['a finding is still there', 'rfc', 'rfc', { finding: storm, is: 'gone' }, 'unmet', /1 in the new/],
    ['there was none to go', 'landed', 'landed', { finding: storm, is: 'gone' }, 'unmet', /none to go/],
    [
      'its rule decides nothing',
      'rfc',
      'landed',
      { finding: 'affinity-forwarded-while-any-loaded', is: 'gone' },
      'undecided',
      /decided nothing/,
    ],
    ['a finding is absent', 'rfc', 'landed', { finding: storm, is: 'absent' }, 'met', /0 in the new/],
    [
      'absent, but nobody could see it',
      'tick',
      'tick',
      { finding: 'traps-follow-world-nvhe', is: 'absent' },
      'undecided',
      /decided nothing/,
    ],
    [
      'an event never happens',
      'tick',
      'tick',
      { event: 'bg_cancel', occurs: 'never', after: ['exit'] },
      'undecided',
      /no bg_cancel|after/,
    ],
    ['where events are', 'old', 'new', { event: 'update_irq 1', occurs: 'never', after: ['put'] }, 'met', /after load/],
    [
      'events are elsewhere',
      'old',
      'new',
      { event: 'update_irq 1', occurs: 'only', after: ['exit'] },
      'unmet',
      /after load/,
    ],
    [
      'almost all are there',
      'old',
      'new',
      { event: 'update_irq 1', occurs: 'only', after: ['load'], tolerance: 100 },
      'met',
      /after load/,
    ],
    [
      'a kind that is not recorded',
      'tick',
      'tick',
      { event: 'set_cntvoff', occurs: 'never' },
      'undecided',
      /not recorded/,
    ],
    [
      'a place that is not recorded',
      'new',
      'old',
      { event: 'save', occurs: 'only', after: ['put'] },
      'undecided',
      /save in the new recording/,
    ],
    [
      'an operation is gone',
      'old',
      'new',
      { cost: 'distributor write', occurs: 'never', at: ['entry'] },
      'met',
      /by model timer-map/,
    ],
    [
      'an operation is there',
      'new',
      'old',
      { cost: 'distributor write', occurs: 'never', at: ['entry'] },
      'unmet',
      /by model world-switch/,
    ],
    [
      'operations are in their places',
      'old',
      'new',
      { cost: 'cntvoff_write', occurs: 'only', at: ['load', 'put'] },
      'met',
      /load, .* put/,
    ],
    [
      'operations are elsewhere',
      'new',
      'old',
      { cost: 'cntvoff_write', occurs: 'only', at: ['load', 'put'] },
      'unmet',
      /entry/,
    ],
    ['operations of nothing', 'tick', 'tick', { cost: 'affinity', occurs: 'only', at: ['load'] }, 'undecided', /none/],
    ['a cost drops', 'old', 'new', { cost: 'all', at: ['entry'], is: 'lower', by: 50 }, 'met', /each entry/],
    ['a cost does not', 'new', 'new', { cost: 'all', at: ['entry'], is: 'lower' }, 'unmet', /\+0\.0 %/],
    ['a rate stays', 'rfc', 'landed', { rate: 'exits', is: 'not higher', by: 50 }, 'met', /per tick/],
    ['a rate by reason', 'rfc', 'landed', { rate: 'exits WFx', per: 'exit', is: 'same', by: 50 }, 'met', /per exit/],
    ['a rate drops', 'new', 'old', { rate: 'interrupts', per: 'entry', is: 'lower', by: 50 }, 'met', /per entry/],
    ['a rate is no other', 'tick', 'tick', { rate: 'exits', is: 'higher' }, 'unmet', /\+0\.0 %/],
    [
      'a latency is not there',
      'landed',
      'old',
      { latency: 'expiry-to-wakeup', is: 'not higher' },
      'undecided',
      /has no/,
    ],
    [
      'a latency stays',
      'tick',
      'tick',
      { latency: 'load-to-entry', quantile: 'p50', is: 'same' },
      'met',
      /us \(\+0\.0 %\)/,
    ],
  ];

  it.each(cases)('%s (%s, %s)', async (_, old, next, expectation, outcome, because) => {
    // All of one pair of recordings at once.
    const ofPair = cases.filter(([, first, second]) => first === old && second === next);
    const all = await together(`${old} ${next}`, () =>
      diffOf(
        old,
        next,
        ofPair.map(([, , , one]) => one),
      ),
    );
    const declared = all.diff.expectations!.declared[ofPair.findIndex(([, , , one]) => one === expectation)]!;
    expect([declared.outcome, declared.because]).toEqual([outcome, expect.stringMatching(because)]);
    const reason = `expectation ${outcome}: ${declared.says}: ${declared.because}`;
    expect(all.diff.because.includes(reason)).toBe(outcome !== 'met');
    if (outcome !== 'met') expect([all.exitCode, all.diff.verdict]).toEqual([1, 'failed']);
  });

  it.each<[string, Name, Name, Expectation, number]>([
    ['met', 'rfc', 'landed', { finding: storm, is: 'gone' }, 0],
    ['unmet', 'landed', 'landed', { finding: storm, is: 'gone' }, 1],
    ['undecided', 'tick', 'tick', { event: 'set_cntvoff', occurs: 'never' }, 1],
  ])('that is %s alone decides the exit code (%s, %s)', async (_, old, next, expectation, exitCode) => {
    expect((await diffOf(old, next, [expectation])).exitCode).toBe(exitCode);
  });

  it('that allows a new finding keeps it from failing, and does not hide it', async () => {
    const without = await diffOf('landed', 'rfc', []);
    expect([without.exitCode, without.diff.findings.new.length > 0]).toEqual([1, true]);
    const rules = [...new Set(without.diff.findings.new.map(({ finding }) => finding.rule))];
    const allowed = await diffOf(
      'landed',
      'rfc',
      rules.map((finding) => ({ finding, is: 'new' as const })),
    );
    expect(allowed.exitCode).toBe(0);
    expect(allowed.diff.findings.new.length).toBe(without.diff.findings.new.length);
  });

  it('declares what it names; all else that differs is told', async () => {
    const none = (await diffOf('rfc', 'landed', [])).diff.expectations!.undeclared;
    const some = (await diffOf('rfc', 'landed', [{ finding: storm, is: 'gone' }])).diff.expectations!.undeclared;
    const isStorm = (text: string) => text.includes(storm);
    expect(none.filter(isStorm).length).toBeGreaterThan(0);
    expect(some).toEqual(none.filter((text) => !isStorm(text)));
    expect((await diffOf('tick', 'tick', [])).diff.expectations!.undeclared).toEqual([]);
  });
});

describe('a limit', () => {
  const cases: readonly [string, Name, Name, boolean, RegExp][] = [
    ['rate:exits>10%', 'tick', 'tick', false, /\+0\.0 %/],
    ['rate:interrupts/entry>5%', 'old', 'new', true, /per entry/],
    ['rate:interrupts/entry>5%', 'new', 'old', false, /per entry/],
    ['cost>5%', 'new', 'new', false, /per tick/],
    ['cost:hrtimer_cancel@load>5%', 'old', 'new', true, /each load/],
    ['cost:isb@entry>5%', 'old', 'new', false, /each entry/],
    ['cost:isb@soft_expiry>5%', 'tick', 'tick', true, /cannot be evaluated: .* no soft_expiry/],
    ['p99:load-to-entry>20%', 'tick', 'tick', false, /us/],
    ['p50:expiry-to-wakeup>20%', 'tick', 'tick', true, /cannot be evaluated: the old recording has no/],
  ];

  it.each(cases)('%s (%s, %s) fails: %s', async (text, old, next, failed, because) => {
    const ofPair = cases.filter(([, first, second]) => first === old && second === next);
    const key = `limits ${old} ${next}`;
    const { diff: result } = await together(key, () =>
      diffOf(
        old,
        next,
        [],
        ofPair.map(([one]) => one),
      ),
    );
    const outcome = result.limits.find((one) => one.text === text);
    expect(outcome).toEqual({ text, failed, because: expect.stringMatching(because) });
    expect(result.because.some((reason) => reason.startsWith(text))).toBe(failed);
    if (failed) expect(result.verdict).toBe('failed');
  });

  it('of severity is the least of those that are named', () => {
    expect([failsOn([]), failsOn(['error']), failsOn(['finding:info', 'error']), failsOn(['cost>5%'])]).toMatchObject([
      { severity: 'warning', limits: [] },
      { severity: 'error' },
      { severity: 'info' },
      { severity: 'warning', limits: [{ figure: { cost: 'all' }, most: 5 }] },
    ]);
  });

  it.each([
    ['cots>5%', "unknown measure 'cots'", "did you mean 'cost'?"],
    ['rate:exitss>5%', "unknown event 'exitss'", "did you mean 'exits'?"],
    ['rate:exits/hour>5%', "unknown measure 'hour'", 'there are entry, exit, tick'],
    ['cost:ctl_raed>5%', "unknown operation 'ctl_raed'", "did you mean 'ctl_read'?"],
    ['cost:isb@lod>5%', "unknown occasion 'lod'", "did you mean 'load'?"],
    ['p99:deadline-to-enty>5%', "unknown latency 'deadline-to-enty'", "did you mean 'deadline-to-entry'?"],
    ['p98:deadline-to-entry>5%', "unknown measure 'p98'", 'p50, p90, p99'],
    ['finding:errr', "unknown severity 'errr'", "did you mean 'error'?"],
    ['warnin', 'expected a severity or MEASURE>PERCENT%', "did you mean 'warning'?"],
    ['cost>5', 'expected a severity or MEASURE>PERCENT%', 'cost>5%'],
    ['cost>-5%', 'expected a severity or MEASURE>PERCENT%', 'cost>5%'],
  ])('%s is refused', (text, message, hint) => {
    const read = () => parseFailOn(text);
    expect(read).toThrow(ExpectationError);
    expect(read).toThrow(`--fail-on ${text}: ${message}`);
    try {
      read();
    } catch (error) {
      expect((error as ExpectationError).hint).toContain(hint);
    }
  });
});

describe('a file of expectations', () => {
  it.each([
    ['{', 'patch.json: ', 'JSON'],
    ['[]', 'patch.json: expected object, found []', 'schemas/expect.schema.json'],
    ['{"expects": []}', 'patch.json: expect: expected array, found nothing', 'schemas/expect.schema.json'],
    ['{"expect": [], "more": 1}', 'patch.json: ', 'schemas/expect.schema.json'],
    ['{"expect": [5]}', 'patch.json: expect[0]: expected an object with one of finding, event', 'schemas'],
    ['{"expect": [{"evnt": "save"}]}', 'patch.json: expect[0]: expected an object with one of', 'schemas'],
    [
      '{"expect": [{"event": "sav", "occurs": "never"}]}',
      'expect[0].event: expected one of its values, found "sav"',
      "'save'",
    ],
    [
      '{"expect": [{"event": "save", "occurs": "never", "after": ["lod"]}]}',
      'expect[0].after[0]: ',
      "did you mean 'load'?",
    ],
    ['{"expect": [{"event": "save", "occurs": "only"}]}', "expect[0]: 'only' needs after, found nothing", '"after"'],
    ['{"expect": [{"cost": "isb", "occurs": "only"}]}', "expect[0]: 'only' needs at, found nothing", '"at"'],
    [
      '{"expect": [{"finding": "one-vcpu", "is": "gone"}]}',
      "expect[0].finding: unknown rule 'one-vcpu'",
      'one-vcpu-per-cpu',
    ],
    ['{"expect": [{"finding": "one-vcpu-per-cpu/x", "is": "gone"}]}', "one-vcpu-per-cpu has no 'x'", 'there are'],
    [
      '{"expect": [{"rate": "exits", "is": "less"}]}',
      'expect[0].is: expected one of its values, found "less"',
      'lower',
    ],
    [
      '{"expect": [{"rate": "exits", "is": "lower", "by": "5"}]}',
      'expect[0].by: expected number, found "5"',
      'schemas',
    ],
    ['{"expect": [{"rate": "exits", "is": "lower", "bye": 5}]}', "expect[0]: unknown field 'bye'", 'schemas'],
    ['{"expect": [{"latency": "wait", "is": "lower", "quantile": "p100"}]}', 'expect[0].quantile: ', 'p99'],
  ])('%s is refused', (text, message, hint) => {
    try {
      parseExpectations(text, 'patch.json');
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(ExpectationError);
      expect((error as ExpectationError).message).toContain(message);
      expect((error as ExpectationError).hint).toContain(hint);
    }
  });
});
