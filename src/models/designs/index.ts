import type { Design } from '../design.js';
import type { ModelId } from '../model.js';
import { loadPut50Design, loadPut415Design, loadPut416Design } from './load-put.js';
import { offsetDesign } from './offset.js';
import { rfcLoadPutDesign } from './rfc-load-put.js';
import { statelessLevelDesign } from './stateless-level.js';
import { timerMapDesign } from './timer-map.js';
import { worldSwitchDesign } from './world-switch.js';

/** Every model's design by id. */
export const designs: Readonly<Record<ModelId, Design>> = {
  'world-switch': worldSwitchDesign,
  'rfc-load-put': rfcLoadPutDesign,
  'load-put-4.15': loadPut415Design,
  'load-put-4.16': loadPut416Design,
  'load-put-5.0': loadPut50Design,
  'timer-map': timerMapDesign,
  offset: offsetDesign,
  'stateless-level': statelessLevelDesign,
};
