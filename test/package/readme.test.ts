import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ExitCode } from '../../src/commands/support/exit-codes.js';
import { root, timervet } from './timervet.js';

const readme = readFileSync(join(root, 'README.md'), 'utf8');
const blocks = (language: string) =>
  [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(([, text]) => text!);

/** Asks whether a text has the lines of an excerpt in their order; a line `...` stands for any lines. */
function missingFrom(text: string, excerpt: string): string[] {
  const parts = excerpt.trimEnd().split(/^\.\.\.\n?/m);
  let at = 0;
  return parts.filter((part) => {
    const found = `\n${text}\n`.indexOf(`\n${part.trimEnd()}\n`, at);
    if (found >= 0) at = found + part.trimEnd().length;
    return found < 0;
  });
}

describe('the README', () => {
  it('sets up, runs and tests with two commands', () => {
    const [run, test] = blocks('sh');
    expect(test).toBe('npm ci && npm test\n');
    const [, path] = /^npm ci && node bin\/timervet\.js check (\S+)\n$/.exec(run!) ?? [];
    expect(existsSync(join(root, path!))).toBe(true);
  });

  it('shows that the main command finds its recording clean', async () => {
    const [, args] = /node bin\/timervet\.js (.*)\n/.exec(blocks('sh')[0]!) ?? [];
    expect(await timervet(args!.split(' '))).toMatchObject({ code: ExitCode.clean, stderr: '' });
  });

  it.each(blocks('console').map((block) => [block.split('\n')[0]!, block] as const))(
    'shows what is printed: %s',
    async (command, block) => {
      const [, args] = /^\$ node bin\/timervet\.js (.*)$/.exec(command) ?? [];
      const { stdout } = await timervet(args!.split(' '));
      expect(missingFrom(stdout, block.slice(command.length + 1))).toEqual([]);
    },
  );

  it.each(blocks('csv'))('has native examples that are clean', async (example) => {
    const { code, stderr } = await timervet(['check', '-q', '-'], { input: example });
    expect({ code, stderr }).toEqual({ code: ExitCode.clean, stderr: '' });
  });

  it('links to files that exist', () => {
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, link]) => link!);
    expect(links.length).toBeGreaterThan(0);
    expect(links.filter((link) => !existsSync(join(root, link)))).toEqual([]);
  });

  it('names the rooms of the source', () => {
    const named = [...readme.matchAll(/`(src\/[a-z]+(?:\.ts)?)`/g)].map(([, path]) => path!);
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it('has every exit code', () => {
    const codes = [...readme.matchAll(/^\| (\d+) +\| /gm)].map(([, code]) => Number(code));
    expect(codes.sort((a, b) => a - b)).toEqual(Object.values(ExitCode).sort((a, b) => a - b));
  });
});
