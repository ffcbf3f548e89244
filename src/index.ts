export { check, type Input } from './check/check.js';
export type * from './check/facts.js';
export { InputError } from './input/errors.js';
export { openRandomAccess, openSource, type RandomAccess } from './input/index.js';
export { models } from './models/index.js';
export type { Model, ModelId } from './models/model.js';
export { rules } from './rules/index.js';
export type { Rule, Severity } from './rules/rule.js';
