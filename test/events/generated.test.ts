import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { generate, generatedFiles, outOfStep } from '../../src/tools/generate.js';

it('has every generated file in step with the code', async () => {
  expect(await outOfStep()).toEqual([]);
});

it('generates what is missing, once', async () => {
  const root = await mkdtemp(join(tmpdir(), 'generated-'));
  const files = generatedFiles.map(({ file }) => file);
  expect(await outOfStep(root)).toEqual(files);
  expect(await generate(root)).toEqual(files);
  expect(await generate(root)).toEqual([]);
  const schema = JSON.parse(await readFile(join(root, 'schemas/native-event.schema.json'), 'utf8'));
  expect(schema.anyOf[0].properties.ctl.description).toMatch(/ save, restore, /);
});
