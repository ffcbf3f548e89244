import { defineConfig } from 'vitest/config';
import { compiledSource } from './test/compiled.js';
import { LongestFirst } from './test/longest-first.js';

// Coverage is that of the source.
const coverage = process.argv.some((argument) => argument.startsWith('--coverage'));

export default defineConfig({
  plugins: coverage ? [] : [compiledSource()],
  test: {
    include: ['test/**/*.test.ts'],
    // Most of a test's time is reading a recording; a slow machine must not fail it.
    testTimeout: 0,
    // One for each processor: vitest leaves one idle, which is half of a small machine.
    maxWorkers: '100%',
    sequence: { sequencer: LongestFirst },
    server: { deps: { external: [/\/dist-test\//] } },
    execArgv: ['--enable-source-maps'],
    coverage: {
      include: ['src/**/*.ts'],
      exclude: ['src/input/text/assembly/**'],
      reporter: ['text-summary', 'json-summary'],
    },
  },
});
