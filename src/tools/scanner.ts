import { join } from 'node:path';

/** What is compiled: no TypeScript, although it looks like it. */
const source = 'src/input/text/assembly/scanner.ts';

/** Length of the strings that the code is cut into. */
const lineLength = 110;

/** Memory of the module in units of 64 KiB: what the addresses in `src/input/text/assembly/scanner.ts` reach, and a vector beyond. */
const pages = 41;

/**
 * `src/input/text/assembly/scanner.ts` compiled, as the module that `src/input/text/scanner.ts` reads: so neither the build nor the
 * installed program needs the compiler.
 */
export function scannerModule(root: string): Promise<string> {
  compiled ??= compile(root);
  return compiled;
}

/** Compiling takes seconds. */
let compiled: Promise<string> | undefined;

async function compile(root: string): Promise<string> {
  const { main } = await import('assemblyscript/asc');
  let code: Uint8Array | undefined;
  const { error, stderr } = await main(
    [
      ...[source, '--baseDir', root, '--outFile', 'scanner.wasm'],
      ...['-O3', '--runtime', 'stub', '--noAssert', '--enable', 'simd', '--initialMemory', String(pages)],
    ],
    {
      writeFile: (_name, contents) => {
        code = contents as Uint8Array;
      },
    },
  );
  if (error !== null || code === undefined) throw new Error(`${join(root, source)}: ${stderr.toString()}`);
  const lines =
    Buffer.from(code)
      .toString('base64')
      .match(new RegExp(`.{1,${lineLength}}`, 'g')) ?? [];
  return [
    '/** `assembly/scanner.ts` compiled to WebAssembly, in base64; written by `npm run generate`. */',
    'export const scannerCode: string =',
    `${lines.map((line) => `  '${line}'`).join(' +\n')};`,
    '',
  ].join('\n');
}
