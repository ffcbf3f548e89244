import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative, sep } from 'node:path';
import { expect, it } from 'vitest';

const source = join(import.meta.dirname, '../../src');

/**
 * The rooms from left to right, and of each what it may import: rooms to its left, or single modules of one. A room
 * always may import itself. What is not named here the room knows nothing of.
 */
const rooms: Readonly<Record<string, readonly string[]>> = {
  events: [],
  input: ['events'],
  decode: ['events', 'input/catalogue', 'input/record'],
  track: ['events'],
  machine: ['events'],
  models: ['events', 'machine'],
  timing: ['events', 'machine'],
  simulate: ['events', 'machine', 'models'],
  rules: ['events', 'machine', 'models', 'timing'],
  bugs: ['models'],
  check: ['events', 'input', 'decode', 'track', 'machine', 'models', 'timing', 'rules', 'bugs'],
  stats: ['events', 'input', 'machine', 'models', 'rules', 'check'],
  replay: ['events', 'input', 'machine', 'models', 'rules', 'check'],
  diff: ['events', 'input', 'machine', 'models', 'simulate', 'rules', 'check', 'stats'],
  report: [
    'diff/facts',
    'diff/behaviour/facts',
    'diff/behaviour/step',
    'diff/noise/level',
    'replay/moment',
    'replay/replay',
    'stats/facts',
    'stats/cell',
    'events',
    'models/model',
    'models/design',
    'rules/rule',
    'bugs/bug',
    'check/facts',
    'check/canonical',
  ],
  index: ['events', 'input', 'models', 'rules', 'bugs', 'check', 'stats', 'replay', 'diff'],
  commands: ['events', 'input', 'models', 'rules', 'bugs', 'check', 'stats', 'replay', 'diff', 'report', 'index'],
  cli: ['commands', 'report', 'events'],
  // Writes generated files of every room.
  tools: [
    'events',
    'input',
    'decode',
    'track',
    'machine',
    'models',
    'timing',
    'rules',
    'bugs',
    'check',
    'report',
    'index',
    'commands',
  ],
};

interface Import {
  /** Modules as paths from `src` without extension, `rules/index`. */
  readonly from: string;
  readonly to: string;
}

/** Imports of other modules of the source, type imports, re-exports and `import()` included. */
function importsOf(module: string, code: string): Import[] {
  const specifiers = [
    ...code.matchAll(/^\s*(?:import|export)\b[^;'"]*?\bfrom\s+['"](\.[^'"]+)['"]/gm),
    ...code.matchAll(/^\s*import\s+['"](\.[^'"]+)['"]/gm),
    ...code.matchAll(/\bimport\(\s*['"](\.[^'"]+)['"]/g),
  ].map(([, specifier]) => specifier!);
  return specifiers.map((specifier) => ({
    from: module,
    to: posix.normalize(posix.join(dirname(module), specifier)).replace(/\.(?:js|ts)$/, ''),
  }));
}

const roomOf = (module: string): string => module.split('/')[0]!;

/** Each import that does not point left, as a line. */
function wrong(imports: readonly Import[]): string[] {
  return imports
    .filter(({ from, to }) => {
      const allowed = rooms[roomOf(from)];
      if (allowed === undefined || rooms[roomOf(to)] === undefined) return true;
      return roomOf(from) !== roomOf(to) && !allowed.includes(roomOf(to)) && !allowed.includes(to);
    })
    .map(({ from, to }) => `${from} imports ${to}`);
}

const modules = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => relative(source, join(source, file)).split(sep).join('/').replace(/\.ts$/, ''));
const imports = modules.flatMap((module) => importsOf(module, readFileSync(join(source, `${module}.ts`), 'utf8')));

it('has a place for every room, and only rooms that exist', () => {
  expect([...new Set(modules.map(roomOf))].sort()).toEqual(Object.keys(rooms).sort());
});

it('lets a room import only rooms to its left', () => {
  const order = Object.keys(rooms);
  for (const [room, allowed] of Object.entries(rooms)) {
    for (const other of allowed) expect(order.indexOf(roomOf(other))).toBeLessThan(order.indexOf(room));
  }
});

it('imports in that direction only', () => {
  expect(imports.length).toBeGreaterThan(modules.length);
  expect(wrong(imports)).toEqual([]);
});

it('imports modules that exist', () => {
  expect(imports.filter(({ to }) => !modules.includes(to))).toEqual([]);
});

it('never imports in a circle inside a room', () => {
  const runtime = new Map(modules.map((module) => [module, [] as string[]]));
  for (const module of modules) {
    const code = readFileSync(join(source, `${module}.ts`), 'utf8').replace(/^(?:import|export) type\b[^;]*;/gm, '');
    runtime.set(
      module,
      importsOf(module, code.replace(/\bimport\(/g, 'deferred(')).map(({ to }) => to),
    );
  }
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (module: string, path: readonly string[]): void => {
    if (path.includes(module)) circles.push([...path.slice(path.indexOf(module)), module].join(' > '));
    if (done.has(module) || path.includes(module)) return;
    for (const next of runtime.get(module) ?? []) visit(next, [...path, module]);
    done.add(module);
  };
  for (const module of modules) visit(module, []);
  expect(circles).toEqual([]);
});

it.each([
  ['a later room', 'machine/machine', "import { rules } from '../rules/index.js';"],
  ['a type of a later room', 'rules/rule', "import type {\n  Finding,\n} from '../check/facts.js';"],
  ['a later room from a subfolder', 'input/text/lines', "import { Decoder } from '../../decode/decoder.js';"],
  ['a re-export', 'events/kinds', "export { check } from '../index.js';"],
  ['an import for its effect', 'check/check', "import '../report/output.js';"],
  ['a deferred import', 'check/check', "const { main } = await import('../cli.js');"],
  ['a module beside the one that is allowed', 'report/place', "import { check } from '../check/check.js';"],
  ['a room that nobody knows', 'check/check', "import { guess } from '../oracle/guess.js';"],
  ['a module of a room that nobody knows', 'oracle/guess', "import { u64 } from '../events/u64.js';"],
])('would catch %s', (_, module, code) => {
  expect(wrong(importsOf(module, code))).toHaveLength(1);
});
