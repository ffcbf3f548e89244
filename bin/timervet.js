#!/usr/bin/env node
// CommonJS, as the package.json beside it says: ES modules need a loader that takes some milliseconds to start.
'use strict';
const { version } = require('../package.json');
const { isBuilt, load } = require('./load.js');

if (!isBuilt()) {
  process.stderr.write("error: timervet has not been built\nhint: run 'npm ci' or 'npm run build' in its directory\n");
  process.exit(70);
}
const { main } = load('timervet.cjs');
// Not `process.exitCode`: an interrupted run may leave a read from a terminal or pipe pending for ever.
main(process.argv.slice(2), version).then((code) => process.exit(code));
