/**
 * Writes the files that are made from the code: `npm run generate`. With `--check` it writes nothing and exits
 * with 1 when one of them is out of step.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expectJsonSchema } from '../diff/expect/schema.js';
import { csvJsonSchema, jsonlJsonSchema } from '../events/native-schema.js';
import { diffJsonSchema } from '../report/json/diff/schema.js';
import { modelsDiffJsonSchema } from '../report/json/diff-models/schema.js';
import { infoJsonSchema } from '../report/json/info.js';
import { modelsJsonSchema } from '../report/json/models.js';
import { reportJsonSchema } from '../report/json/schema.js';
import { statsJsonSchema } from '../report/json/stats.js';
import { withGeneratedParts } from './readme.js';
import { scannerModule } from './scanner.js';

/** The project's root, seen from `src/tools` as from `dist/tools`. */
export const projectRoot = fileURLToPath(new URL('../../', import.meta.url));

/** A file that is made from the code. */
export interface GeneratedFile {
  /** Path from the project's root. */
  readonly file: string;
  /** What the file must hold. */
  content(): string | Promise<string>;
}

const json = (value: object) => `${JSON.stringify(value, null, 2)}\n`;

/** Every generated file. */
export const generatedFiles: readonly GeneratedFile[] = [
  { file: 'schemas/native-event.schema.json', content: () => json(jsonlJsonSchema()) },
  { file: 'schemas/native-csv.schema.json', content: () => json(csvJsonSchema()) },
  { file: 'schemas/report.schema.json', content: () => json(reportJsonSchema()) },
  { file: 'schemas/diff.schema.json', content: () => json(diffJsonSchema()) },
  { file: 'schemas/diff-models.schema.json', content: () => json(modelsDiffJsonSchema()) },
  { file: 'schemas/expect.schema.json', content: () => json(expectJsonSchema()) },
  { file: 'schemas/info.schema.json', content: () => json(infoJsonSchema()) },
  { file: 'schemas/stats.schema.json', content: () => json(statsJsonSchema()) },
  { file: 'schemas/models.schema.json', content: () => json(modelsJsonSchema()) },
  { file: 'src/input/text/scanner-code.ts', content: () => scannerModule(projectRoot) },
  {
    file: 'README.md',
    content: async () => withGeneratedParts(await readFile(join(projectRoot, 'README.md'), 'utf8')),
  },
];

/** The generated files that are missing or differ from what the code makes, as paths from the root. */
export async function outOfStep(root: string = projectRoot): Promise<string[]> {
  const stale: string[] = [];
  for (const { file, content } of generatedFiles) {
    const found = await readFile(join(root, file), 'utf8').catch(() => undefined);
    if (found !== (await content())) stale.push(file);
  }
  return stale;
}

/** Writes the generated files that are out of step, and returns their paths. */
export async function generate(root: string = projectRoot): Promise<string[]> {
  const stale = await outOfStep(root);
  for (const { file, content } of generatedFiles) {
    if (!stale.includes(file)) continue;
    await mkdir(dirname(join(root, file)), { recursive: true });
    await writeFile(join(root, file), await content());
  }
  return stale;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const check = process.argv.includes('--check');
  const files = check ? await outOfStep() : await generate();
  for (const file of files) {
    process.stdout.write(check ? `${file} is out of step: run npm run generate\n` : `${file} written\n`);
  }
  if (check && files.length > 0) process.exitCode = 1;
}
