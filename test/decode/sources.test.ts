import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { catalogue } from '../../src/decode/catalogue.js';
import { kindSources, probeDefinition, probes, recordCommand } from '../../src/decode/sources.js';
import { kindNames } from '../../src/events/kinds.js';
import { rules } from '../../src/index.js';
import { root } from '../package/timervet.js';

const readme = readFileSync(join(root, 'README.md'), 'utf8');

describe('the table of what records a kind', () => {
  it('has every kind that a rule needs', () => {
    const needed = new Set(rules.flatMap(({ needs }) => needs.flat()));
    expect([...needed].filter((kind) => kindSources[kind] === undefined)).toEqual([]);
  });

  it('names kinds, and sources that the decoder takes', () => {
    expect(kindNames).toEqual(expect.arrayContaining(Object.keys(kindSources)));
    for (const { name, system } of Object.values(kindSources).flat()) {
      const index = system === undefined ? catalogue.functionEntry(name) : catalogue.tracepoint(name);
      expect(catalogue.events[index]?.name).toBe(name);
    }
  });

  it('fetches arguments that the decoder takes', () => {
    for (const source of probes.values()) {
      const fields = catalogue.events[catalogue.functionEntry(source.name)]!.fields.map(({ name }) => name);
      const fetched = [...source.fetch!.matchAll(/(\w+)=%x\d:[xsu]\d+/g)].map(([, name]) => name);
      expect(fields).toEqual(expect.arrayContaining(fetched));
      expect(probeDefinition(source)).toMatch(/^p:timervet\/\w+ \w+( \w+=%x\d:[xsu]\d+)*$/);
    }
  });

  it('advises what the README does', () => {
    const [recommended] = /^trace-cmd record [\s\S]*?sleep 10$/m.exec(readme)!;
    const events = (command: string) => [...command.matchAll(/-e (\S+)/g)].map(([, event]) => event).sort();
    expect(events(recordCommand(false))).toEqual(events(recommended));
    for (const [line] of readme.matchAll(/(?<=')p:timervet\/\w+ .*(?=')/g))
      expect([...probes.values()].map(probeDefinition)).toContain(line);
  });
});
