import { describe, expect, it } from 'vitest';
import { modelIds } from '../../src/models/model.js';
import { timervet } from '../package/timervet.js';

describe('timervet models', () => {
  it('lists all models', async () => {
    const { code, stdout, stderr } = await timervet(['models']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const id of modelIds) expect(stdout).toMatch(new RegExp(`^${id.replaceAll('.', '\\.')}  `, 'm'));
  });

  it('prints states, transitions and effects of one', async () => {
    const { code, stdout } = await timervet(['models', 'rfc-load-put']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^states\n {2}OUT .*\n(?:.*\n)*transitions\n {2}OUT +load +LOADED\n(?:.*\n)*functions /m);
    expect(stdout).toMatch(
      / {2}kvm_timer_vcpu_put {2}\[V\] {2}timer_put\n(?:.*\n)*? {6}timer_save_state\(vtimer\)\n {6}wr CNTVOFF_EL2 := 0 .*\n {6}irq_set_vcpu_affinity\(x, NULL\)\n/,
    );
  });

  it.each([
    ['json', /^\{\n {2}"tool": "timervet",/],
    ['dot', /^digraph "offset" \{/],
    ['mermaid', /^stateDiagram-v2\n/],
    ['rv', /^digraph state_automaton \{\n\tcenter = true;\n/],
  ])('prints one as %s', async (format, beginning) => {
    const { code, stdout, stderr } = await timervet(['models', 'offset', '--format', format]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(beginning);
  });

  it('prints all of them as JSON', async () => {
    const { stdout } = await timervet(['models', '--format', 'json']);
    expect(JSON.parse(stdout).models.map(({ id }: { id: string }) => id)).toEqual(modelIds);
  });

  it.each([
    [
      'a misspelt model',
      ['ofset'],
      "error: unknown model 'ofset'\nhint: did you mean 'offset'? 'timervet models' lists all models\n",
    ],
    [
      'a part of a name',
      ['5.0'],
      "error: unknown model '5.0'\nhint: did you mean 'load-put-5.0'? 'timervet models' lists all models\n",
    ],
    [
      'nothing like it',
      ['xyzzy-plugh'],
      "error: unknown model 'xyzzy-plugh'\nhint: 'timervet models' lists all models\n",
    ],
    ['a graph of all', ['--format', 'rv'], 'error: --format rv prints one model\nhint: name one, '],
    ['an unknown format', ['--format', 'xml'], 'Allowed choices are text, json, dot, mermaid, rv'],
    ['two models', ['offset', 'timer-map'], 'too many arguments'],
  ])('answers %s in a line with a hint, exit code 2', async (_, args, message) => {
    const { code, stdout, stderr } = await timervet(['models', ...args]);
    expect(stderr).toContain(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });
});
