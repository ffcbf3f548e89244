import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from './timervet.js';

const trace = join(root, 'traces/recordings/6.1-nvhe/tickwfi-zstd.dat');

/** Runs the command, then lists the modules of Node.js that it has loaded on stderr, a pipe. */
const script = `
  process.on('exit', () => require('node:fs').writeSync(2, process.moduleLoadList.join('\\n')));
  require('./bin/timervet.js');`;

describe('a check', () => {
  it('loads no modules of Node.js that take long and do nothing for it', () => {
    const { status, stderr } = spawnSync(process.execPath, ['-e', script, 'timervet', 'check', trace], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    expect(status).toBe(0);
    const modules = stderr.split('\n');
    expect(modules).toContain('NativeModule zlib');
    for (const name of ['net', 'perf_hooks', 'child_process', 'http', 'crypto'])
      expect(modules).not.toContain(`NativeModule ${name}`);
  });
});
