import { expect, it } from 'vitest';
import type { Finding, RuleSummary } from '../../src/check/facts.js';
import { diffFindings } from '../../src/diff/findings.js';
import { finding, trace as summary } from '../report/facts.js';

const trace = (findings: Finding[], rules: Record<string, Partial<RuleSummary>> = {}) =>
  summary({ findings, rules: rules as Record<string, RuleSummary> });

it('knows a finding by its fingerprint, whatever its time, vcpu and count', () => {
  const old = trace([finding({ count: 3 })]);
  const next = trace([finding({ count: 5, time: '9.000000000', cpu: 3, vcpu: null })]);
  const { new: fresh, gone, both } = diffFindings(old, next, 'warning');
  expect([fresh, gone]).toEqual([[], []]);
  expect(both.map((one) => [one.old.count, one.new.count, one.otherChain])).toEqual([[3, 5, false]]);
});

it('tells which findings are new and which are gone, and whether the other recording could have them', () => {
  const old = trace([finding({ rule: 'a', fingerprint: '1' })], { b: { held: 0, violated: 0 } });
  const next = trace([finding({ rule: 'b', fingerprint: '2' })], { a: { held: 7, violated: 0 } });
  const { new: fresh, gone } = diffFindings(old, next, 'warning');
  expect(fresh.map((one) => [one.finding.rule, one.decidedInOther])).toEqual([['b', false]]);
  expect(gone.map((one) => [one.finding.rule, one.decidedInOther])).toEqual([['a', true]]);
});

it('takes the same diagnosis proven by another chain of events for the same violation', () => {
  const old = trace([finding({ fingerprint: '1' })]);
  const next = trace([finding({ fingerprint: '2' }), finding({ fingerprint: '3' })]);
  const { new: fresh, gone, both } = diffFindings(old, next, 'warning');
  expect([fresh, gone]).toEqual([[], []]);
  expect(both.map((one) => one.otherChain)).toEqual([true]);
});

it.each([
  ['rule', { rule: 'ctl-bits-valid' }],
  ['diagnosis', { diagnosis: 'lost-update' }],
  ['timer', { timer: 'ptimer' }],
] as const)('takes another %s for another violation', (_, other) => {
  const { new: fresh, gone } = diffFindings(
    trace([finding({ fingerprint: '1' })]),
    trace([finding({ fingerprint: '2', ...other })]),
    'warning',
  );
  expect([fresh.length, gone.length]).toEqual([1, 1]);
});

it.each([
  ['info', 'warning', false],
  ['warning', 'warning', true],
  ['error', 'warning', true],
  ['warning', 'error', false],
] as const)('a new finding of severity %s with failing severity %s fails: %s', (severity, failOn, fails) => {
  const { new: fresh } = diffFindings(trace([]), trace([finding({ severity })]), failOn);
  expect(fresh.map((one) => one.fails)).toEqual([fails]);
});
