#!/usr/bin/env node
import { existsSync, readFileSync } from 'node:fs';

const program = new URL('../dist/bundle/timervet.js', import.meta.url);
if (!existsSync(program)) {
  process.stderr.write("error: timervet has not been built\nhint: run 'npm ci' or 'npm run build' in its directory\n");
  process.exit(70);
}
const { main } = await import(program.href);
// Not `process.exitCode`: an interrupted run may leave a read from a terminal or pipe pending for ever.
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
process.exit(await main(process.argv.slice(2), version));
