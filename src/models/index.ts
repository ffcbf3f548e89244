import type { Model, ModelId } from './model.js';
import { offsetModel } from './offset.js';
import { rfcLoadPutModel } from './rfc-load-put.js';
import { statelessLevelModel } from './stateless-level.js';
import { timerMapModel } from './timer-map.js';

/** Every model by id. */
export const models: Readonly<Record<ModelId, Model>> = {
  'rfc-load-put': rfcLoadPutModel,
  'timer-map': timerMapModel,
  offset: offsetModel,
  'stateless-level': statelessLevelModel,
};
