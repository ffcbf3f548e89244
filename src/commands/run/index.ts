/**
 * What the commands do. The command line is read without it: a command loads it when it runs, all of it at once,
 * because one file is read sooner than many. Only `check` is apart: it is run most, and needs the least.
 */
export { runConvert } from './convert.js';
export { runDiff } from './diff.js';
export { runDiffModels } from './diff-models.js';
export { runExplain } from './explain.js';
export { runInfo } from './info.js';
export { runModels } from './models.js';
export { runReplay } from './replay.js';
export { runRules } from './rules.js';
export { runStats } from './stats.js';
