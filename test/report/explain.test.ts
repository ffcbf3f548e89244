import { expect, test } from 'vitest';
import type { KnownBug } from '../../src/bugs/bug.js';
import { explainBugLines } from '../../src/report/text/bug.js';
import { explainLines } from '../../src/report/text/explain.js';
import { ruleListLines } from '../../src/report/text/rules.js';
import { plainTheme } from '../../src/report/text/theme.js';
import { defineRule } from '../../src/rules/rule.js';

const rule = defineRule({
  id: 'load-put-alternate',
  statement: 'For each vcpu load and put alternate.',
  why: 'A put without a load saves registers that another vcpu owns.',
  models: { 'rfc-load-put': 'error', 'timer-map': 'warning' },
  needs: ['load', ['put', 'sched_switch']],
  source: 'kvm_arch_vcpu_load',
  messages: {
    'put-twice': {
      headline: 'put without load',
      given: 'a put at {time}',
      must: 'a load',
      but: 'a put',
      therefore: 'x',
    },
    'load-twice': { headline: 'load without put', given: 'a', must: 'b', but: 'c', therefore: 'd' },
  },
  examples: {
    legal: [{ title: 'a load and its put', model: 'timer-map', trace: 'time,event\n1,load\n2,put\n' }],
    violating: [
      {
        title: 'two puts',
        model: 'timer-map',
        host: 'nvhe',
        trace: 'time,event\n1,load\n2,put\n3,put\n',
        message: 'put-twice',
        line: 4,
      },
    ],
  },
  create: () => ({}),
});

const bug: KnownBug = {
  id: 'bug-99',
  title: 'Put once',
  commits: ['0123456789ab'],
  kernels: '4.99',
  wrong: 'The vcpu was put twice.',
  models: ['timer-map'],
  signs: [{ rule: 'load-put-alternate', diagnoses: ['put-twice'] }],
};

test('a bug is explained with its signs and its trace', () => {
  expect(explainBugLines(bug, plainTheme, 80).join('\n')).toMatchInlineSnapshot(`
    "bug-99
      Put once

      wrong      The vcpu was put twice.
      kernels    4.99
      models     timer-map
      commits    0123456789ab
      signs      load-put-alternate: put-twice
      trace      traces/bugs/bug-99-0123456789ab.csv, legal in
                 traces/bugs/bug-99-0123456789ab-legal.csv"
  `);
  const invisible = { ...bug, signs: [], invisible: 'nothing records it' };
  expect(explainBugLines(invisible, plainTheme, 80).at(-1)).toBe('  invisible  nothing records it');
});

test('a rule is explained with its examples and the argument of the finding', () => {
  const argument = { headline: 'put', given: 'a put at 2', must: 'a load', but: 'a put at 3', therefore: 'y' };
  expect(explainLines(rule, [bug], () => argument, plainTheme, 80).join('\n')).toMatchInlineSnapshot(`
    "load-put-alternate
      For each vcpu load and put alternate.

      why        A put without a load saves registers that another vcpu owns.
      needs      load, one of put | sched_switch
      severity   rfc-load-put: error, timer-map: warning
      source     kvm_arch_vcpu_load

    diagnoses
      put-twice: put without load
      load-twice: load without put

    known bugs of which it is the sign
      bug-99: 0123456789ab, Put once (4.99): put-twice

    legal: a load and its put
      model timer-map
        1  time,event
        2  1,load
        3  2,put

    violating: two puts
      model timer-map, host nvhe
        1  time,event
        2  1,load
        3  2,put
      > 4  3,put
      finding    put-twice: put
      given      a put at 2
      must       a load
      but        a put at 3
      therefore  y"
  `);
});

test('a rule is listed with its severity by model', () => {
  expect(ruleListLines([rule], plainTheme, 80)).toEqual([
    'load-put-alternate  rfc-load-put: error, timer-map: warning',
    '    For each vcpu load and put alternate.',
  ]);
});
