import { describe, expect, it, test } from 'vitest';
import { designs, type ModelId, models } from '../../src/index.js';
import { dotText } from '../../src/report/graph/dot.js';
import { mermaidText } from '../../src/report/graph/mermaid.js';
import { rvText } from '../../src/report/graph/rv.js';
import { modelsJson, modelsSchema } from '../../src/report/json/models.js';
import { modelLines, modelListLines } from '../../src/report/text/models.js';
import { plainTheme } from '../../src/report/text/theme.js';
import { readRv } from './rvgen.js';

const ids = Object.keys(models) as ModelId[];
const all = ids.map((id) => ({ model: models[id], design: designs[id] }));
const identifier = /^[A-Za-z_][A-Za-z0-9_]*$/;

describe.each(all.map((each) => [each.model.id, each] as const))('%s', (_, each) => {
  const { lifecycle, functions } = each.design;
  const text = modelLines(each, plainTheme, 100).join('\n');

  it('has one function a role, and calls only what it has', () => {
    const roles = functions.map(({ role }) => role);
    expect(new Set(roles).size).toBe(roles.length);
    const called = [...JSON.stringify(functions).matchAll(/"call":"(\w+)"/g)].map(([, role]) => role);
    expect(roles).toEqual(expect.arrayContaining(called));
  });

  it('shows every function and state in its text, with nothing left unsaid', () => {
    for (const { kernel } of functions) expect(text).toContain(`  ${kernel}  [`);
    for (const state of Object.keys(lifecycle.states)) expect(text).toMatch(new RegExp(`^  ${state} `, 'm'));
    expect(text).not.toMatch(/undefined|\[object|\$/);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(132);
  });

  it('is read by the rules of rvgen as it is meant', () => {
    const read = readRv(rvText(each));
    expect(read.initial).toBe(lifecycle.initial);
    expect([...read.states].sort()).toEqual(Object.keys(lifecycle.states).sort());
    expect([...read.final].sort()).toEqual([...lifecycle.final].sort());
    for (const name of [...read.states, ...read.events]) expect(name).toMatch(identifier);
    const transitions = read.states.flatMap((from) =>
      Object.entries(read.matrix[from]!).map(([event, to]) => `${from} ${event} ${to}`),
    );
    expect(transitions.sort()).toEqual(
      lifecycle.transitions.map(({ from, event, to }) => `${from} ${event} ${to}`).sort(),
    );
  });

  it('draws every transition', () => {
    for (const { from, event, to } of lifecycle.transitions) {
      expect(dotText(each)).toMatch(
        new RegExp(`^  ${from} -> ${to} \\[label = "(?:.*\\\\n)?${event}(?:\\\\n.*)?"\\];$`, 'm'),
      );
      expect(mermaidText(each)).toMatch(new RegExp(`^  ${from} --> ${to} : .*\\b${event}\\b`, 'm'));
    }
  });
});

test('the monitor of a kernel from 4.16 on starts with a record that always leads to the initial state', () => {
  for (const each of all.filter(({ model }) => model.span[0] >= 4016))
    expect(readRv(rvText(each)).starts).toContain('userspace_exit');
});

test('the list says of each model what kernels have it, how it is recognised and what it shows', () => {
  const text = modelListLines(all, plainTheme, 100).join('\n');
  for (const { model } of all) expect(text).toContain(`${model.id}  ${model.kernels}\n  is `);
  expect(text.match(/^ {2}recognised /gm)).toHaveLength(all.length);
  expect(text.match(/^ {2}shows /gm)).toHaveLength(all.length);
});

test('the JSON fits its schema and loses nothing', () => {
  const document = JSON.parse(modelsJson(all, '1.2.3'));
  expect(modelsSchema.parse(document)).toEqual(document);
  expect(document.models.map(({ id }: { id: string }) => id)).toEqual(ids);
  for (const [index, { design }] of all.entries()) {
    expect(document.models[index].functions.map(({ effects }: { effects: unknown }) => effects)).toEqual(
      design.functions.map(({ body }) => body),
    );
  }
});

describe('the reader of the rvgen form', () => {
  const good = rvText(all[0]!);
  it.each([
    ['another graph', good.replace('state_automaton', 'automaton')],
    ['an edge in the place of the first', good.replace(/^\t"__init_.*\n/m, '')],
    ['a label without blanks', good.replace('[ label = "', '[label="')],
    ['one event for two states', good.replace(/(\t"OUT" -> )"LOADED"(.*)\n/, '$&$1"OUT"$2\n')],
    ['a state without a node', good.replace('\t{node [shape = circle] "GUEST"};\n', '')],
  ])('would catch %s', (_, text) => {
    expect(text).not.toBe(good);
    expect(() => readRv(text)).toThrow();
  });
});
