import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { withoutPrivateNames } from '../../src/tools/private-names.js';
import { root } from './timervet.js';

const source = `class Line extends Base {
  readonly #level = 0;
  static #count = 0;
  #other?: Line;
  get #isHigh() {
    return this.#level > 0 && this.#other?.#isHigh !== false; // see #level
  }
  async *#all() {
    yield* [...this.#all()];
  }
  print() {
    return \`# tracer: nop, #level, CPU#3\`;
  }
}`;

describe('private names in the bundle', () => {
  it('become names of their file', () => {
    const name = (own: string) => `private_src_line_ts_${own}`;
    expect(withoutPrivateNames(source, 'src/line.ts')).toBe(`class Line extends Base {
  readonly ${name('level')} = 0;
  static ${name('count')} = 0;
  ${name('other')}?: Line;
  get ${name('isHigh')}() {
    return this.${name('level')} > 0 && this.${name('other')}?.${name('isHigh')} !== false; // see #level
  }
  async *${name('all')}() {
    yield* [...this.${name('all')}()];
  }
  print() {
    return \`# tracer: nop, #level, CPU#3\`;
  }
}`);
  });

  it.each(['timervet.cjs', 'check.cjs', 'run.cjs'])('are gone from %s', (file) => {
    const bundle = readFileSync(join(root, 'dist/bundle', file), 'latin1');
    expect(bundle).not.toMatch(/this\.#|private_src/);
  });
});
