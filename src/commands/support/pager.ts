import type { ReadStream } from 'node:tty';
import type { Output } from '../../report/output.js';
import { UsageError } from './usage-error.js';

/** An output that a person pages through. */
export type Pager = Output;

/** Most lines kept to go back to. */
const mostLines = 100_000;

const keys: Readonly<Record<string, 'line' | 'page' | 'back' | 'page-back' | 'end'>> = {
  '\r': 'line',
  '\n': 'line',
  j: 'line',
  '\u001b[B': 'line',
  ' ': 'page',
  f: 'page',
  '\u001b[6~': 'page',
  '\u001b[C': 'page',
  k: 'back',
  '\u001b[A': 'back',
  b: 'page-back',
  '\u001b[5~': 'page-back',
  '\u001b[D': 'page-back',
  q: 'end',
  '\u0003': 'end',
  '\u0004': 'end',
};

/**
 * Shows what is written a page at a time: keys go forward and back, q ends. What has been shown is kept, up to 100,000
 * lines; the rest of the input is read only when it is asked for.
 *
 * @throws UsageError where there is no terminal to show it on, or none to read keys from
 */
export function openPager(input: ReadStream, output: Output, path: string): Pager {
  if (path === '-' || input.isTTY !== true || process.stdout.isTTY !== true)
    throw new UsageError('--step needs a terminal', 'leave --step out, or name a file and run it in a terminal');
  const lines: string[] = [];
  let top = 0;
  let closed = false;
  let rest = '';
  const rows = () => Math.max(2, (process.stdout.rows ?? 24) - 1);
  const draw = async () => {
    const page = lines.slice(top, top + rows());
    const status = `\u001b[7m ${top + 1}-${top + page.length}  space/b page  arrows line  q end \u001b[27m`;
    await output.write(`\u001b[H\u001b[2J${page.map((line) => `${line}\r\n`).join('')}${status}`);
  };
  input.setRawMode(true);
  const key = () =>
    new Promise<string>((resolve) => {
      input.resume();
      input.once('data', (data: Buffer) => {
        input.pause();
        resolve(data.toString('latin1'));
      });
    });
  /** Takes keys until more lines are needed. */
  const interact = async (isEnd: boolean) => {
    while (!closed && (isEnd || lines.length >= top + rows())) {
      await draw();
      const action = keys[await key()];
      const last = Math.max(0, lines.length - rows());
      if (action === 'line') top = isEnd ? Math.min(top + 1, last) : top + 1;
      if (action === 'page') top = isEnd ? Math.min(top + rows(), last) : top + rows();
      if (action === 'back') top = Math.max(0, top - 1);
      if (action === 'page-back') top = Math.max(0, top - rows());
      if (action === 'end') closed = true;
    }
  };
  return {
    columns: output.columns,
    color: output.color,
    get closed() {
      return closed || output.closed;
    },
    async write(text) {
      const parts = (rest + text).split('\n');
      rest = parts.pop() ?? '';
      lines.push(...parts);
      if (lines.length > mostLines) {
        const gone = lines.splice(0, lines.length - mostLines).length;
        top = Math.max(0, top - gone);
      }
      await interact(false);
    },
    async close() {
      if (!closed) await interact(true);
      input.setRawMode(false);
      input.pause();
      await output.write('\r\n');
      await output.close();
    },
  };
}
