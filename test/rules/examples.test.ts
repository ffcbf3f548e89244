import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import type { TraceSummary } from '../../src/check/facts.js';
import { kindNames } from '../../src/events/kinds.js';
import { check, rules } from '../../src/index.js';
import { modelIds } from '../../src/models/model.js';
import type { Example, Rule } from '../../src/rules/rule.js';

const folder = join(import.meta.dirname, '../../src/rules');

/** Files of the rules' folder that are not a rule. */
const notRules = ['context', 'index', 'occasion', 'rule', 'support', 'whereabouts'];

/** The code of a rule: its file, and those that hold a part of it. */
function codeOf(id: string): string {
  const code = readFileSync(join(folder, `${id}.ts`), 'utf8');
  const parts = readdirSync(join(folder, 'parts')).filter((part) =>
    code.includes(`'./parts/${part.replace(/\.ts$/, '.js')}'`),
  );
  return [code, ...parts.map((part) => readFileSync(join(folder, 'parts', part), 'utf8'))].join('\n');
}

/** The catalogue: a rule that goes missing here would no longer be asked anywhere. */
const catalogue = [
  'one-vcpu-per-cpu',
  'one-cpu-per-vcpu',
  'load-put-alternate',
  'loaded-owns-cntv-ctl',
  'entry-only-when-loaded',
  'entry-exit-alternate',
  'no-put-in-guest',
  'state-access-on-load-cpu',
  'restore-equals-last-save',
  'save-without-entry-equals-restore',
  'save-requires-restore',
  'user-write-survives',
  'first-entry-restores-user-state',
  'reset-clears-timer',
  'ctl-bits-valid',
  'cntvoff-correct-in-guest',
  'cntvoff-zero-for-host',
  'cntvoff-uniform-while-loaded',
  'traps-follow-world-nvhe',
  'vhe-traps-not-toggled',
  'host-clock-monotonic',
  'irq-only-when-loaded',
  'irq-not-repeated-while-level-high',
  'irq-raises-level',
  'irq-handler-returns',
  'level-true-only-if-can-fire',
  'level-true-only-if-expired',
  'level-lowered-at-sync',
  'level-alternates',
  'asserted-level-reaches-guest',
  'vgic-follows-level',
  'bg-armed-only-when-blocked',
  'bg-not-armed-in-guest',
  'bg-fire-wakes-vcpu',
  'soft-timer-follows-emulated-context',
  'bg-armed-when-needed',
  'bg-deadline-matches-cval',
  'no-sleep-with-expired-timer',
  'dist-active-at-load',
  'affinity-forwarded-while-any-loaded',
  'timer-not-early',
  'expired-timer-asserted',
  'flush-entry-sync-order',
  'disabled-vcpu-silent',
  'timer-identity-consistent',
];

/** The sub-diagnoses that the specification names. */
const subDiagnoses = { 'restore-equals-last-save': ['ctl-clobbered-by-irq', 'stale-restore'] };

async function run(example: Example): Promise<TraceSummary> {
  const input = {
    path: example.title,
    async *open() {
      yield Buffer.from(example.trace);
    },
  };
  let summary: TraceSummary | undefined;
  const options = { model: example.model, ...(example.host !== undefined && { host: example.host }) };
  for await (const fact of check([input], options)) {
    if (fact.type === 'trace-failed') throw new Error(fact.failure.error);
    if (fact.type === 'trace-end') summary = fact.summary;
  }
  return summary!;
}

/**
 * Message ids in a rule's code: the literals in values of `message`, and in calls of local functions that take a
 * `message` to pass it on.
 */
function messagesUsed(source: string): string[] {
  const code = source.slice(source.indexOf('create(context'));
  const passing = [...code.matchAll(/function (\w+)\([^)]*\bmessage: string/g)].map(([, name]) => name!);
  const places = [
    /\bmessage: ([^,}\n]*)/g,
    /\bconst message =([^;]*);/g,
    ...passing.map((name) => new RegExp(`(?<!function )\\b${name}\\(([^;]*?)\\)[;,\\n]`, 'g')),
  ];
  return places
    .flatMap((place) => [...code.matchAll(place)].map(([, text]) => text!))
    .flatMap((text) => [...text.matchAll(/'([a-z][a-z-]*)'/g)].map(([, id]) => id!));
}

const findingsOf = (summary: TraceSummary, rule: Rule) =>
  summary.findings.filter((finding) => finding.rule === rule.id);

describe('the catalogue of rules', () => {
  test('has every rule of the list', () => {
    expect(rules.map(({ id }) => id)).toEqual(expect.arrayContaining(catalogue));
  });

  test('names each rule once', () => {
    expect(new Set(rules.map(({ id }) => id)).size).toBe(rules.length);
  });

  test('has one file a rule, named by its id', () => {
    const files = readdirSync(folder)
      .filter((file) => file.endsWith('.ts'))
      .map((file) => file.replace(/\.ts$/, ''));
    expect(files.filter((file) => !notRules.includes(file)).sort()).toEqual(rules.map(({ id }) => id).sort());
    for (const { id } of rules) {
      expect(readFileSync(join(folder, `${id}.ts`), 'utf8')).toContain(`  id: '${id}',\n`);
    }
  });

  test.each(Object.entries(subDiagnoses))('%s has its sub-diagnoses', (id, diagnoses) => {
    const rule = rules.find((candidate) => candidate.id === id)!;
    expect(Object.keys(rule.messages)).toEqual(expect.arrayContaining(diagnoses));
  });
});

describe.each(rules.map((rule) => [rule.id, rule] as const))('%s', (id, rule) => {
  test('applies to a known model, and only to such', () => {
    const models = Object.keys(rule.models);
    expect(models).not.toEqual([]);
    expect(modelIds).toEqual(expect.arrayContaining(models));
  });

  test('needs kinds of events that exist', () => {
    expect(kindNames).toEqual(expect.arrayContaining(rule.needs.flat()));
  });

  test('uses the messages that it has, and has no other', () => {
    const used = messagesUsed(codeOf(id));
    expect([...new Set(used)].sort()).toEqual(Object.keys(rule.messages).sort());
  });

  test('has legal and violating examples, under models that have the rule', () => {
    expect(rule.examples.legal.length).toBeGreaterThan(0);
    expect(rule.examples.violating.length).toBeGreaterThan(0);
    for (const { model } of [...rule.examples.legal, ...rule.examples.violating]) {
      expect(Object.keys(rule.models)).toContain(model);
    }
  });

  it.each(rule.examples.legal.map((example) => [example.title, example] as const))('holds: %s', async (_, example) => {
    const summary = await run(example);
    expect(findingsOf(summary, rule)).toEqual([]);
    expect(summary.rules[id]).toMatchObject({ status: 'held', violated: 0 });
    expect(summary.rules[id]!.held).toBeGreaterThan(0);
    expect(summary.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(summary.conditions.filter(({ severity }) => severity !== 'info')).toEqual([]);
  });

  it.each(rule.examples.violating.map((example) => [example.title, example] as const))(
    'is violated: %s',
    async (_, example) => {
      const summary = await run(example);
      const found = findingsOf(summary, rule).map(({ diagnosis, position }) => ({ diagnosis, line: position.line }));
      expect(found).toContainEqual({ diagnosis: example.message, line: example.line });
      for (const { message, argument, witness } of findingsOf(summary, rule)) {
        expect([message, ...Object.values(argument)].join('\n')).not.toMatch(/[{}]|undefined|NaN/);
        expect(witness.filter(({ decisive }) => decisive)).toHaveLength(1);
      }
      expect(Object.keys(rule.messages)).toContain(example.message);
    },
  );
});
