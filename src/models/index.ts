import { loadPut415Model } from './load-put-4.15.js';
import { loadPut416Model } from './load-put-4.16.js';
import { loadPut50Model } from './load-put-5.0.js';
import type { Model, ModelId } from './model.js';
import { offsetModel } from './offset.js';
import { rfcLoadPutModel } from './rfc-load-put.js';
import { statelessLevelModel } from './stateless-level.js';
import { timerMapModel } from './timer-map.js';
import { worldSwitchModel } from './world-switch.js';

/** Every model by id. */
export const models: Readonly<Record<ModelId, Model>> = {
  'world-switch': worldSwitchModel,
  'rfc-load-put': rfcLoadPutModel,
  'load-put-4.15': loadPut415Model,
  'load-put-4.16': loadPut416Model,
  'load-put-5.0': loadPut50Model,
  'timer-map': timerMapModel,
  offset: offsetModel,
  'stateless-level': statelessLevelModel,
};
