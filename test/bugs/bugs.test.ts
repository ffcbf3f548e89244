import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { type KnownBug, traceName } from '../../src/bugs/bug.js';
import { bugsBehind, bugsOfRule, findBugs, knownBugs } from '../../src/bugs/index.js';
import { check, type Finding, fileInput, rules, type TraceSummary } from '../../src/index.js';
import { modelIds } from '../../src/models/model.js';
import { corpus, rows } from '../corpus/manifest.js';

const visible = knownBugs.filter(({ signs }) => signs.length > 0);

/** Bugs that a trace can show, but for which no rule asks yet. */
const unasked: string[] = [];

async function summarise(path: string): Promise<TraceSummary> {
  for await (const fact of check([fileInput(join(corpus, path))])) if (fact.type === 'trace-end') return fact.summary;
  throw new Error(`${path} could not be read`);
}

/** Whether a finding is one of the signs of a bug, and says so. */
function shows({ rule, diagnosis, bugs }: Finding, bug: KnownBug): boolean {
  const isSign = bug.signs.some((sign) => sign.rule === rule && sign.diagnoses.includes(diagnosis));
  return isSign && bugs.some(({ id }) => id === bug.id);
}

/** The violating traces of a bug: its own, and variants with a word behind the name. */
function tracesOf(bug: KnownBug): string[] {
  const name = traceName(bug);
  const pattern = new RegExp(`^bugs/${name}(-(?!legal)[a-z]+)?\\.csv$`);
  return rows.filter(({ path, options }) => pattern.test(path) && options === undefined).map(({ path }) => path);
}

describe('the known bugs', () => {
  it('are the 29 entries of the history and the 15 weak points of the RFC', () => {
    const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
    expect(knownBugs.map(({ id }) => id)).toEqual([
      ...numbers(29).map((number) => `bug-${String(number).padStart(2, '0')}`),
      ...numbers(15).map((number) => `W${number}`),
    ]);
  });

  it('have either signs or a reason why no trace shows them', () => {
    const wrong = knownBugs.filter(({ signs, invisible }) => signs.length > 0 === (invisible !== undefined));
    expect(wrong.map(({ id }) => id)).toEqual(unasked);
  });

  it('name commits as twelve hexadecimal digits, and models that exist', () => {
    for (const { commits, models } of knownBugs) {
      expect(commits.filter((commit) => !/^[0-9a-f]{12}$/.test(commit))).toEqual([]);
      expect(models.length).toBeGreaterThan(0);
      expect(modelIds).toEqual(expect.arrayContaining([...models]));
    }
  });

  it.each(visible.map((bug) => [bug.id, bug] as const))('%s has signs that a rule of its models gives', (_, bug) => {
    for (const { rule: id, diagnoses } of bug.signs) {
      const rule = rules.find((candidate) => candidate.id === id);
      expect(rule, id).toBeDefined();
      expect(Object.keys(rule!.messages)).toEqual(expect.arrayContaining([...diagnoses]));
      expect(bug.models.some((model) => rule!.models[model] !== undefined)).toBe(true);
    }
  });

  it('have no trace that belongs to none of them', () => {
    const own = visible.flatMap(tracesOf);
    const all = rows.filter(({ path, options }) => path.startsWith('bugs/') && options === undefined);
    const violating = all.map(({ path }) => path).filter((path) => !path.endsWith('-legal.csv'));
    expect(violating.sort()).toEqual(own.sort());
  });
});

describe.each(visible.map((bug) => [bug.id, bug] as const))('%s', (_, bug) => {
  it('has a trace', () => {
    expect(tracesOf(bug)).toContain(`bugs/${traceName(bug)}.csv`);
  });

  it.each(tracesOf(bug))('is found under its name, and nothing else is: %s', async (path) => {
    const { findings } = await summarise(path);
    expect(findings.length).toBeGreaterThan(0);
    expect(findings.filter((finding) => !shows(finding, bug)).map(({ rule, diagnosis }) => [rule, diagnosis])).toEqual(
      [],
    );
  });

  it.each(tracesOf(bug))('is not found in the legal twin, and its rule held there: %s', async (path) => {
    const found = (await summarise(path)).findings.map(({ rule }) => rule);
    const summary = await summarise(path.replace('.csv', '-legal.csv'));
    expect(summary.findings).toEqual([]);
    expect(summary.verdict).toBe('clean');
    for (const rule of found) expect(summary.rules[rule], rule).toMatchObject({ status: 'held', violated: 0 });
  });

  it.each(tracesOf(bug))('is told in the first line of both traces: %s', (path) => {
    const twin = path.replace('.csv', '-legal.csv');
    expect(readFileSync(join(corpus, path), 'utf8')).toMatch(new RegExp(`^# ${bug.id}[:,] `));
    expect(existsSync(join(corpus, twin))).toBe(true);
    expect(readFileSync(join(corpus, twin), 'utf8')).toMatch(new RegExp(`^# Legal twin of .*\\b${bug.id}\\b`));
  });
});

describe('a finding names the bugs of which it is the sign', () => {
  const clobbered = { rule: 'restore-equals-last-save', diagnosis: 'ctl-clobbered-by-irq' } as const;
  const ids = (...answer: Parameters<typeof bugsBehind>) => bugsBehind(...answer).map(({ id }) => id);

  test('under the models whose kernels had it', () => {
    expect(ids({ ...clobbered, candidates: ['load-put-4.15'], release: undefined })).toEqual(['bug-09']);
    expect(ids({ ...clobbered, candidates: ['rfc-load-put'], release: undefined })).toEqual(['W3']);
    expect(ids({ ...clobbered, candidates: ['timer-map'], release: undefined })).toEqual([]);
  });

  test('all that are possible, where the model is not certain', () => {
    const candidates = ['rfc-load-put', 'load-put-4.15'] as const;
    expect(ids({ ...clobbered, candidates, release: undefined })).toEqual(['bug-09', 'W3']);
  });

  test('not where the trace names a kernel that does not have it', () => {
    const candidates = ['load-put-4.15'] as const;
    expect(ids({ ...clobbered, candidates, release: '4.15.0-rc3+' })).toEqual(['bug-09']);
    expect(ids({ ...clobbered, candidates, release: '4.15.1' })).toEqual([]);
  });

  test('older than every model only where the trace names its kernel', () => {
    const armed = {
      rule: 'bg-armed-only-when-blocked',
      diagnosis: 'not-waiting',
      candidates: ['world-switch'],
    } as const;
    expect(ids({ ...armed, release: '4.3.0' })).toEqual(['bug-02']);
    expect(ids({ ...armed, release: '4.9.0' })).toEqual([]);
    expect(ids({ ...armed, release: undefined })).toEqual([]);
  });

  test('not under another message of the rule', () => {
    expect(ids({ ...clobbered, diagnosis: 'cval-changed', candidates: modelIds, release: undefined })).toEqual([]);
  });
});

describe('a bug is found', () => {
  const found = (name: string) => findBugs(name).map(({ id }) => id);
  test.each([
    ['bug-09', ['bug-09']],
    ['9', ['bug-09']],
    ['w3', ['W3']],
    ['36e5cfd410ad', ['bug-09', 'W3']],
    ['36e5cfd', ['bug-09', 'W3']],
    ['0e45981028553c9dd8f2e6d3c0f6d8a6b5c4d3e2', ['bug-27']],
    ['36e5', []],
    ['vgic-follows-level', []],
  ])('by %s', (name, ids) => {
    expect(found(name)).toEqual(ids);
  });

  test('by the rules that catch it', () => {
    expect(bugsOfRule('user-write-survives').map(({ id }) => id)).toEqual(['bug-15', 'W4']);
  });
});
